//! The library for one of Android's processors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{API, Abi};
use crate::package::mobile;
use crate::setup::{Consent, debian, rust};
use crate::{process, workspace};

/// What stands in for a C compiler that links.
const LINKER: &str = include_str!("linker.sh");
/// What stands before the compiler.
const COMPILER: &str = include_str!("rustc.sh");
/// What of Android's libraries is used, by library.
pub const BIONIC: &str = include_str!("bionic.txt");

/// Pages of 16 KiB, which Android 15 may have, and addresses that are read-only once they are known. The rest is for size: one function
/// of those that are alike, and forms of tables that all Androids of [`API`] read.
const LINK: [&str; 7] = [
    "-Wl,-z,max-page-size=16384",
    "-Wl,-z,relro",
    "-Wl,-z,now",
    "-Wl,-soname,liblightning_db_mobile.so",
    "-Wl,--icf=all",
    "-Wl,--pack-dyn-relocs=android",
    "-Wl,--hash-style=gnu",
];

/// The profile inlines next to nothing. A little more is smaller: what is inlined needs no call and no entry in the tables for unwinding.
const INLINE: &str = "-Cllvm-args=-inline-threshold=10";
/// What stands in for instructions that nearly all processors have, and little of what is encrypted needs: small, not quick.
const CIPHERS: [&str; 2] = ["--cfg=aes_backend_soft=\"compact\"", "--cfg=sha2_backend_soft=\"compact\""];
const PROFILE: &str = "phone";

/// The standard library is built with the library, for size, and able to unwind, for every entry catches that.
const STANDARD_LIBRARY: [&str; 2] =
    ["-Zbuild-std=std,panic_unwind", "-Zbuild-std-features=panic-unwind,optimize_for_size"];

/// What unwinds out of a destructor ends the program, as it does anyway while a panic is on its way: otherwise each value that goes
/// needs an entry in the tables for unwinding, and code behind it. The one that runs the engine, of the last handle of a database, lets
/// nothing out.
const DESTRUCTORS: &str = "-Zpanic-in-drop=abort";
/// What nothing unwinds through needs no entry in those tables.
const TABLES: &str = "-Cforce-unwind-tables=no";

/// Of arm64: what counts atomically calls a function, which takes the one instruction of newer processors for that, and a loop on others.
/// In its place the loop would be everywhere, and no part of what is alike.
pub const ATOMICS: &str = "-Ctarget-feature=+outline-atomics";

/// Builds the library; where it is, with its symbols.
pub fn build(abi: &Abi, folder: &Path, consent: Consent) -> Result<PathBuf> {
    match std::env::var_os("ANDROID_NDK_HOME") {
        Some(ndk) if !ndk.is_empty() => with_ndk(abi, Path::new(&ndk), folder)?,
        _ => with_stubs(abi, folder, consent)?,
    }
    Ok(workspace::target()?.join(abi.target).join(PROFILE).join(mobile::LIBRARY_FILE))
}

/// Without its symbols.
pub fn strip(library: &Path, to: &Path) -> Result<()> {
    let mut strip = match std::env::var_os("ANDROID_NDK_HOME") {
        Some(ndk) if !ndk.is_empty() => Command::new(tools(Path::new(&ndk))?.join("llvm-strip")),
        _ => Command::new("llvm-strip"),
    };
    process::run(strip.arg("--strip-unneeded").arg(library).arg("-o").arg(to))
}

/// What is not stable is asked for where the standard library is built as well, which has to be of the same mind.
fn arguments(abi: &Abi, has_own_standard_library: bool, folder: &Path, command: &mut Command) -> Result<()> {
    command.args(["--quiet", "-p", mobile::CRATE, "--lib", "--features", "jvm", "--profile", PROFILE]);
    command.args(["--crate-type", mobile::SHARED]).env("CARGO_PROFILE_PHONE_STRIP", "false");
    if has_own_standard_library {
        command.args(STANDARD_LIBRARY).env("RUSTC_BOOTSTRAP", "1");
    }
    let mut flags: Vec<String> = LINK.iter().map(|argument| format!("-Clink-arg={argument}")).collect();
    let small = [INLINE, DESTRUCTORS, TABLES]
        .iter()
        .chain(&CIPHERS)
        .chain(abi.flags)
        .filter(|flag| has_own_standard_library || !is_for_all(flag));
    flags.extend(small.map(|&flag| flag.to_owned()));
    command.env("RUSTFLAGS", flags.join(" ")).env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.env("RUSTC_WRAPPER", write_program(folder, "rustc.sh", COMPILER)?);
    Ok(())
}

/// Whether the standard library has to be built with it, too: it is not stable, or calls functions that come with that library.
fn is_for_all(flag: &str) -> bool {
    flag.starts_with("-Z") || flag == ATOMICS
}

fn linker_variable(abi: &Abi) -> String {
    format!("CARGO_TARGET_{}_LINKER", abi.target.to_uppercase().replace('-', "_"))
}

fn with_ndk(abi: &Abi, ndk: &Path, folder: &Path) -> Result<()> {
    let clang = tools(ndk)?.join(format!("{}{API}-clang", abi.clang));
    ensure!(clang.exists(), "the NDK has no {}", clang.display());
    let mut cargo = process::cargo()?;
    cargo.args(["rustc", "--target", abi.target]);
    let has_sources = rust::default_sources()?;
    if !has_sources {
        println!("setup: without the sources of the standard library the libraries are some 300 kB larger");
        ensure!(rust::add_target(abi.target), "rustup cannot provide Rust's standard library for {}", abi.target);
    }
    arguments(abi, has_sources, folder, &mut cargo)?;
    process::run(
        cargo.env(linker_variable(abi), write_program(folder, "linker.sh", LINKER)?).env("LIGHTNING_LINKER", clang),
    )
}

fn write_program(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let program = folder.join(name);
    fs::write(&program, text)?;
    process::run(Command::new("chmod").arg("+x").arg(&program))?;
    Ok(program)
}

/// The programs of the NDK for this machine.
fn tools(ndk: &Path) -> Result<PathBuf> {
    let all = ndk.join("toolchains/llvm/prebuilt");
    let host = fs::read_dir(&all).with_context(|| format!("{} is no NDK", ndk.display()))?.flatten().next();
    Ok(host.context("the NDK has no programs")?.path().join("bin"))
}

fn with_stubs(abi: &Abi, folder: &Path, consent: Consent) -> Result<()> {
    rust::debian_toolchain(consent)?;
    if process::find(&["llvm-mc"]).is_none() || process::find(&["llvm-strip"]).is_none() {
        debian::install("an assembler and a strip for Android's processors", &["llvm"], consent)?;
    }
    let stubs = folder.join("stubs").join(abi.name);
    write_stubs(abi, &stubs)?;
    let mut cargo = process::in_repository(rust::debian_cargo())?;
    cargo.args(["rustc", "--target", abi.target]);
    arguments(abi, true, folder, &mut cargo)?;
    cargo.env(linker_variable(abi), write_program(folder, "linker.sh", LINKER)?);
    cargo.env("LIGHTNING_LINKER", "ld.lld-22").env("LIGHTNING_EMULATION", abi.emulation);
    process::run(cargo.env("LIGHTNING_STUBS", stubs))
}

/// Libraries with the names and symbols of Android's, and nothing in them.
fn write_stubs(abi: &Abi, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let assemble = |name: &str, text: &str| -> Result<PathBuf> {
        let (source, object) = (folder.join(format!("{name}.s")), folder.join(format!("{name}.o")));
        fs::write(&source, text)?;
        let triple = format!("--triple={}", abi.target);
        process::run(Command::new("llvm-mc").arg(triple).arg("--filetype=obj").arg(&source).arg("-o").arg(&object))?;
        Ok(object)
    };
    for line in BIONIC.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (file, symbols) = line.split_once(':').context("a line of bionic.txt names no library")?;
        let library = file.split('.').next().unwrap_or(file);
        let symbol = |name: &str| format!(".globl {name}\n.type {name},%function\n{name}:\n.byte 0\n");
        let object = assemble(library, &symbols.split_whitespace().map(symbol).collect::<String>())?;
        let to = folder.join(file);
        let mut make = if file.ends_with(".a") {
            let mut archive = Command::new("llvm-ar");
            archive.arg("rcs").arg(to).arg(object);
            archive
        } else {
            let mut link = Command::new("ld.lld-22");
            link.args(["-m", abi.emulation, "-shared", "-soname", file]).arg(object).arg("-o").arg(to);
            link
        };
        process::run(&mut make)?;
    }
    Ok(())
}
