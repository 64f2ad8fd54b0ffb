//! `cargo xtask package`: what people install, built from the sources.

pub mod android;
mod generated;
mod glue;
pub mod header;
mod ios;
mod library_size;
pub mod mobile;
pub mod npm;
mod split;
pub mod swift;

use std::process::ExitCode;

use anyhow::Result;

use crate::setup::Consent;

#[derive(clap::Args)]
pub struct Arguments {
    /// What to build
    #[arg(value_enum, default_value = "npm")]
    package: Package,
    /// Only for these of Android's processors
    #[arg(long = "abi")]
    abis: Vec<String>,
    /// Also prints what of it is how large, by modules and functions of Rust
    #[arg(long)]
    sizes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Package {
    /// The npm package `lightning-db`, for browsers, Node, Deno and Bun
    Npm,
    /// The JAR for Kotlin, with the library for this machine
    Jvm,
    /// The AAR for Android, with the library for three processors
    Android,
    /// The package for Swift, with the library for this machine
    Swift,
    /// The package for Swift with the library for iOS and macOS, an XCFramework
    Ios,
    /// The header of the interface for C
    Header,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    match arguments.package {
        Package::Npm => {
            npm::pack(arguments.sizes, Consent::from_environment())?;
        }
        Package::Jvm => mobile::pack_kotlin(Consent::from_environment())?,
        Package::Android => println!("{}", android::pack(&arguments.abis, Consent::from_environment())?.display()),
        Package::Swift => println!("{}", swift::stage(mobile::Profile::Dist)?.display()),
        Package::Ios => println!("{}", ios::pack()?.display()),
        Package::Header => header::write()?,
    }
    Ok(ExitCode::SUCCESS)
}
