//! Rust's own parts: formatter, linter, and the standard library for targets other than the host.
//!
//! Where rustup can provide a target, it does. Where it cannot (a machine with a mirror of crates only), Debian's
//! `rustc-web` comes with the sources of the standard library, from which it is built once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Consent, debian};
use crate::{process, workspace};

/// The browser's target.
pub const WEB: &str = "wasm32-unknown-unknown";
/// A microcontroller: 32 bits, no operating system, no 64-bit atomics.
pub const BARE_METAL: &str = "thumbv7em-none-eabihf";

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBRARIES: &str = "/usr/lib/rustlib";
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// The cargo that builds for a target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// The one in use, with the target added.
    Default,
    /// Debian's, with the target's standard library built from source.
    Debian,
}

impl Toolchain {
    /// `cargo SUBCOMMAND --target TARGET` in the repository.
    pub fn cargo(self, subcommand: &str, target: &str) -> Result<Command> {
        let mut command = process::in_repository(match self {
            Toolchain::Default => Command::new("cargo"),
            Toolchain::Debian => debian_cargo(),
        })?;
        command.args([subcommand, "--target", target]);
        if self == Toolchain::Debian && target == BARE_METAL {
            command.arg("-Zbuild-std=core,alloc").env("RUSTC_BOOTSTRAP", "1");
        }
        Ok(command)
    }
}

/// Has a program that calls cargo use Debian's toolchain.
pub fn use_debian(command: &mut Command) -> Result<()> {
    command.env_remove("RUSTUP_TOOLCHAIN").env("RUSTC", DEBIAN_RUSTC).env("CARGO", DEBIAN_CARGO);
    // It finds cargo and rustc by their names.
    let folder = Path::new(DEBIAN_CARGO).parent().context("a program in no folder")?;
    let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path.map(ToOwned::to_owned));
    let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let paths = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(paths)?);
    Ok(())
}

/// Has `command`, which calls cargo with what follows its `--`, build the standard library too: for size, and so that
/// a panic stops the program without first making a text of why, which nobody would see. That takes a fifth off an engine for
/// browsers. The options are not stable, and what they do stays in this build. The linker keeps what it knows of addresses, for
/// `package::split`.
pub fn build_small_std(toolchain: Toolchain, command: &mut Command) -> Result<()> {
    // Debian's toolchain was installed with the sources.
    if !has_small_std(toolchain)? {
        println!("setup: without the sources of the standard library the engine is a fifth larger");
        return Ok(());
    }
    command
        .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", SMALL.join(" "));
    Ok(())
}

/// Whether [`build_small_std`] builds it.
pub fn has_small_std(toolchain: Toolchain) -> Result<bool> {
    Ok(toolchain == Toolchain::Debian || default_sources()?)
}

/// Whether the default toolchain has the sources of its standard library, after adding them through rustup where that works.
pub fn default_sources() -> Result<bool> {
    let root = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let sources = Path::new(root.trim()).join("lib/rustlib/src/rust/library/Cargo.lock");
    if !sources.exists() && process::find(&["rustup"]).is_some() {
        println!("setup: the sources of the standard library");
        let mut add = Command::new("rustup");
        if let Err(error) = process::run_within(add.args(["component", "add", "rust-src"]), DOWNLOAD_LIMIT) {
            println!("setup: rustup cannot provide them ({error})");
        }
    }
    Ok(sources.exists())
}

/// How the engine of browsers is compiled. A little is inlined: what a page fetches first becomes smaller, for what is not run in its
/// place is taken out again, and what is run has less around it. Counters of loops stay as they are written.
const SMALL: [&str; 7] = [
    "-Zunstable-options",
    "-Cpanic=immediate-abort",
    "-Zlocation-detail=none",
    "-Clink-arg=--emit-relocs",
    "-Cllvm-args=-inline-threshold=50",
    "-Zinline-mir=yes",
    "-Cllvm-args=-disable-lsr",
];

/// `cargo fmt` and `cargo clippy`.
pub fn formatter_and_linter() -> Result<()> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !process::succeeds(Command::new("cargo").args([tool, "--version"])) {
            process::run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// Miri, which runs tests in an interpreter that notices undefined behaviour. It belongs to the nightly toolchain.
pub fn miri() -> Result<()> {
    if !process::succeeds(Command::new("cargo").args(["+nightly", "miri", "--version"]).env_remove("RUSTUP_TOOLCHAIN"))
    {
        println!("setup: Miri");
        let mut install = Command::new("rustup");
        install.args(["toolchain", "install", "nightly", "--profile", "minimal", "--component", "miri,rust-src"]);
        process::run_within(&mut install, DOWNLOAD_LIMIT)?;
    }
    Ok(())
}

/// Builds a program of the registry into `folder`: quickly, for it is run, not measured.
pub fn install(package: &str, version: &str, folder: &Path) -> Result<Command> {
    let mut command = Command::new("cargo");
    command
        .args(["install", "--quiet", "--force", package, "--version", version, "--root"])
        .arg(folder)
        .current_dir(workspace::root())
        .env("CARGO_TARGET_DIR", workspace::target()?.join("tools"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off");
    Ok(command)
}

/// The nightly toolchain, which alone knows sanitizers.
pub fn nightly() -> Result<()> {
    if !process::succeeds(Command::new("cargo").args(["+nightly", "--version"]).env_remove("RUSTUP_TOOLCHAIN")) {
        println!("setup: the nightly toolchain");
        let mut install = Command::new("rustup");
        install.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
        process::run_within(&mut install, DOWNLOAD_LIMIT)?;
    }
    Ok(())
}

/// The nightly toolchain with the sources of the standard library, to build that with a sanitizer.
pub fn nightly_sources() -> Result<()> {
    nightly()?;
    let rustc =
        process::output(Command::new("rustc").args(["+nightly", "--print", "sysroot"]).env_remove("RUSTUP_TOOLCHAIN"))?;
    if !Path::new(rustc.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").exists() {
        println!("setup: the sources of the standard library");
        let mut install = Command::new("rustup");
        process::run_within(install.args(["component", "add", "rust-src", "--toolchain", "nightly"]), DOWNLOAD_LIMIT)?;
    }
    Ok(())
}

/// A toolchain that builds for [`WEB`], tests included.
pub fn web(consent: Consent) -> Result<Toolchain> {
    if add_target(WEB) {
        return Ok(Toolchain::Default);
    }
    debian_toolchain(consent)?;
    let linker = host_libraries()?.join("bin/rust-lld");
    if !linker.exists() {
        consent.obtain(&format!("link {} to wasm-ld-22, where rustc looks for its linker", linker.display()))?;
        let folder = linker.parent().context("a linker in no folder")?;
        process::run(debian::privileged("mkdir").arg("-p").arg(folder))?;
        process::run(debian::privileged("ln").args(["-sfn", "/usr/bin/wasm-ld-22"]).arg(&linker))?;
    }
    let libraries = Path::new(DEBIAN_LIBRARIES).join(WEB).join("lib");
    if !holds_std(&libraries) {
        build_std(&libraries, consent)?;
    }
    Ok(Toolchain::Debian)
}

/// A toolchain that builds for [`BARE_METAL`].
pub fn bare_metal(consent: Consent) -> Result<Toolchain> {
    if add_target(BARE_METAL) {
        return Ok(Toolchain::Default);
    }
    debian_toolchain(consent)?;
    Ok(Toolchain::Debian)
}

/// Whether the default toolchain has `target`, after adding it through rustup where that works.
pub fn add_target(target: &str) -> bool {
    // For trying the other way on a machine where this one works.
    if std::env::var_os("XTASK_WITHOUT_RUSTUP").is_some() {
        return false;
    }
    let installed = || {
        process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))
            .is_ok_and(|folder| holds_std(Path::new(folder.trim())))
    };
    if installed() {
        return true;
    }
    if process::find(&["rustup"]).is_none() {
        return false;
    }
    println!("setup: Rust target {target}");
    let add = process::run_within(Command::new("rustup").args(["target", "add", target]), DOWNLOAD_LIMIT);
    match add {
        Ok(()) => installed(),
        Err(error) => {
            println!("setup: rustup cannot provide {target} ({error}); it is had another way");
            false
        }
    }
}

fn holds_std(folder: &Path) -> bool {
    fs::read_dir(folder)
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-")))
}

pub fn debian_toolchain(consent: Consent) -> Result<()> {
    let missing: Vec<&str> = DEBIAN_PACKAGES.into_iter().filter(|package| !debian::is_installed(package)).collect();
    debian::install("a Rust toolchain with the sources of its standard library", &missing, consent)
}

/// Debian's cargo and rustc, untouched by rustup.
pub fn debian_cargo() -> Command {
    let mut command = Command::new(DEBIAN_CARGO);
    command.env_remove("RUSTUP_TOOLCHAIN").env("RUSTC", DEBIAN_RUSTC);
    command
}

/// This machine, as the default toolchain calls it.
pub fn host() -> Result<String> {
    host_of(Command::new("rustc"))
}

fn host_of(mut rustc: Command) -> Result<String> {
    let version = process::output(rustc.arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(host.to_owned())
}

fn host_libraries() -> Result<PathBuf> {
    Ok(Path::new(DEBIAN_LIBRARIES).join(host_of(Command::new(DEBIAN_RUSTC))?))
}

/// Builds std, with `test` so that test programs link, and with bitcode so that link-time optimisation works; then
/// copies it to where rustc looks.
fn build_std(libraries: &Path, consent: Consent) -> Result<()> {
    consent.obtain(&format!("build the standard library for {WEB} into {}", libraries.display()))?;
    let package = workspace::cache("std")?;
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"std-for-the-web\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
    )?;
    process::run(
        debian_cargo()
            .args(["build", "--quiet", "--release", "--target", WEB, "-Zbuild-std=std,panic_abort,test"])
            .current_dir(&package)
            .env_remove("CARGO_TARGET_DIR")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Cembed-bitcode=yes"),
    )?;
    let built: Vec<_> = fs::read_dir(package.join("target").join(WEB).join("release/deps"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rlib"))
        .filter(|path| !path.to_string_lossy().contains("libstd_for_the_web"))
        .collect();
    if built.is_empty() {
        bail!("building the standard library left no libraries in {}", package.display());
    }
    process::run(debian::privileged("mkdir").arg("-p").arg(libraries))?;
    process::run(debian::privileged("cp").args(&built).arg(libraries))
}
