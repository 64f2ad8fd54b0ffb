//! The library for Swift, Kotlin and C, and what is made of it.

use std::env::consts::{ARCH, DLL_PREFIX, DLL_SUFFIX, OS};
use std::path::{Path, PathBuf};
use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

use super::{generated, header, library_size};
use crate::setup::{Consent, jvm, rust};
use crate::test::sanitizer;
use crate::{process, workspace};

pub(super) const CRATE: &str = "lightning-db-mobile";
pub(super) const LIBRARY: &str = "lightning_db_mobile";
/// The library as a file, where Linux or Android look for it.
pub(super) const LIBRARY_FILE: &str = "liblightning_db_mobile.so";

/// How the library is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As the tests of the workspace are.
    Test,
    /// As it is given to people, and measured.
    Dist,
}

impl Profile {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Dist => "mobile",
        }
    }

    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Test => "debug",
            Self::Dist => "mobile",
        }
    }
}

/// The standard library is built with the library, and able to unwind, for every entry catches that. What the toolchain brings reads DWARF
/// to say where a panic came from, which a stripped library does not have. For speed: what the engine calls of it was compiled so before.
const STANDARD_LIBRARY: [&str; 2] = ["-Zbuild-std=std,panic_unwind", "-Zbuild-std-features=panic-unwind"];
const STANDARD_CRATES: [&str; 3] = ["core", "alloc", "std"];

/// What is built of the crate, as the compiler calls it. One at a time: of several at once each would have what any of them exports.
pub(super) const SHARED: &str = "cdylib";
pub(super) const STATIC: &str = "staticlib";

/// Builds the library for this machine; the folder it is in.
pub(super) fn build(profile: Profile, kind: &str) -> Result<PathBuf> {
    header::check()?;
    let mut cargo = process::cargo()?;
    // To `cargo rustc` the profile of tests means the tests of the library, not the library.
    cargo.arg(if profile == Profile::Dist { "rustc" } else { "build" }).args(["--lib", "--features", "jvm"]);
    let folder = for_this_machine(&mut cargo, profile)?;
    if profile == Profile::Dist {
        cargo.args(["--crate-type", kind]);
        if (OS, ARCH) == ("linux", "x86_64") {
            // Rust links by lld there, which makes one function of those that are alike.
            cargo.args(["--", "-Clink-arg=-Wl,--icf=all"]);
        }
    }
    process::run(&mut cargo)?;
    Ok(folder)
}

/// Has a command of cargo's build the crate for this machine; the folder it builds into.
fn for_this_machine(cargo: &mut Command, profile: Profile) -> Result<PathBuf> {
    cargo.args(["--quiet", "-p", CRATE, "--profile", profile.name()]);
    let target = workspace::target()?;
    if profile == Profile::Test {
        return Ok(target.join(profile.folder()));
    }
    if !rust::default_sources()? {
        println!("setup: without the sources of the standard library the library is some 700 kB larger");
        return Ok(target.join(profile.folder()));
    }
    let host = rust::host()?;
    cargo.args(STANDARD_LIBRARY).args(["--target", &host]).env("RUSTC_BOOTSTRAP", "1");
    for name in STANDARD_CRATES {
        cargo.arg("--config").arg(format!("profile.{}.package.{name}.opt-level=3", profile.name()));
    }
    Ok(target.join(host).join(profile.folder()))
}

/// Builds the program in C that tries the interface for C, with what notices wrong access to memory and leaks; gives the command that
/// runs it.
pub fn program_in_c() -> Result<Command> {
    let library = build(Profile::Test, STATIC)?.join(format!("lib{LIBRARY}.a"));
    link_program_in_c(&library, &["-fsanitize=address"])
}

/// As [`program_in_c`], with every access of the library's checked, too: both are built for AddressSanitizer, and Rust's runtime of it
/// serves both.
pub fn watched_program_in_c() -> Result<Command> {
    let mut cargo = process::cargo()?;
    cargo.args(["+nightly", "build", "--quiet", "-p", CRATE, "--lib", "--profile", Profile::Test.name()]);
    cargo.args(["--target", sanitizer::TARGET]);
    process::run(cargo.env_remove("RUSTUP_TOOLCHAIN").env("RUSTFLAGS", "-Zsanitizer=address"))?;
    let mut rustc = Command::new("rustc");
    rustc.args(["+nightly", "--print", "target-libdir", "--target", sanitizer::TARGET]).env_remove("RUSTUP_TOOLCHAIN");
    let runtime = Path::new(process::output(&mut rustc)?.trim()).join("librustc-nightly_rt.asan.a");
    let library = workspace::target()?.join(sanitizer::TARGET).join("debug").join(format!("lib{LIBRARY}.a"));
    let runtime = runtime.to_str().context("the path of the sanitizer is not text")?;
    link_program_in_c(&library, &["-Wl,--whole-archive", runtime, "-Wl,--no-whole-archive"])
}

fn link_program_in_c(library: &Path, runtime: &[&str]) -> Result<Command> {
    let mobile = workspace::root().join("mobile");
    let folder = workspace::target()?.join("c");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("databases"))?;
    let (object, program) = (folder.join("program.o"), folder.join("program"));
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address", "-I"]);
    compiler.arg(mobile.join("include")).arg("-c").arg(mobile.join("tests/program.c")).arg("-o").arg(&object);
    process::run(&mut compiler)?;
    let mut linker = Command::new("cc");
    linker.arg(&object).arg(library).args(runtime).args(["-lm", "-ldl", "-lpthread", "-lrt", "-o"]).arg(&program);
    process::run(&mut linker)?;
    let mut command = Command::new(program);
    command.arg(folder.join("databases"));
    Ok(command)
}

/// Writes what UniFFI makes of the library's interface for `language`.
pub(super) fn generate(library: &Path, language: &str, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut bindgen = process::cargo()?;
    bindgen.args(["run", "--quiet", "-p", "uniffi-bindgen", "--"]);
    bindgen.args(["generate", "--no-format", "--language", language, "--config", "mobile/bindgen.toml", "--library"]);
    process::run(bindgen.arg(library).arg("--out-dir").arg(to))
}

/// Builds what Maven needs beside the sources: the generated Kotlin and the library for this machine. Gives the folder that
/// `-Dlightning.build` is.
pub fn stage_kotlin(profile: Profile) -> Result<PathBuf> {
    let library = build(profile, SHARED)?.join(format!("{DLL_PREFIX}{LIBRARY}{DLL_SUFFIX}"));
    let build = workspace::target()?.join("kotlin");
    let sources = build.join("generated");
    if sources.exists() {
        fs::remove_dir_all(&sources)?;
    }
    generate(&library, "kotlin", &sources)?;
    generated::make_internal(&sources)?;
    let native = build.join("native/dev/lightningdb/native").join(system());
    fs::create_dir_all(&native)?;
    let to = native.join(library.file_name().context("a library has a name")?);
    if strip(&library, &to)? && profile == Profile::Dist {
        library_size::check(&system(), &to)?;
    }
    fs::write(native.join(format!("{DLL_PREFIX}{LIBRARY}{DLL_SUFFIX}.digest")), digest(&fs::read(&to)?))?;
    Ok(build)
}

/// This machine, as the package for Kotlin calls it.
fn system() -> String {
    format!("{OS}-{ARCH}")
}

/// Builds the library as it is given to people; fails where it is larger than it may be.
pub fn check_size() -> Result<()> {
    let built = build(Profile::Dist, SHARED)?.join(format!("{DLL_PREFIX}{LIBRARY}{DLL_SUFFIX}"));
    let stripped = built.with_extension("stripped");
    ensure!(strip(&built, &stripped)?, "there is no 'strip', without which nobody knows how large the library is");
    library_size::check(&system(), &stripped)
}

/// Copies a library, without its symbols where this machine has what takes them off.
fn strip(library: &Path, to: &Path) -> Result<bool> {
    fs::copy(library, to)?;
    let is_there = process::find(&["strip"]).is_some();
    if is_there {
        let flag = if cfg!(target_os = "macos") { "-x" } else { "--strip-unneeded" };
        process::run(Command::new("strip").arg(flag).arg(to))?;
    }
    Ok(is_there)
}

/// By what `Library.kt` knows which library it has taken out of the JAR already: FNV-1a, and its length.
fn digest(library: &[u8]) -> String {
    let fold =
        |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    let hash = library.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, fold);
    format!("{hash:032x} {}", library.len())
}

/// Builds the JAR, and says where it is.
pub fn pack_kotlin(consent: Consent) -> Result<()> {
    let build = stage_kotlin(Profile::Dist)?;
    let mut maven = jvm::maven("kotlin", consent)?;
    maven.args(["package", "-DskipTests", "-Prelease", "-pl", "lightning-db,lightning-db-compose", "-am"]);
    process::run(maven.arg(format!("-Dlightning.build={}", build.display())))?;
    for name in ["lightning-db", "lightning-db-compose"] {
        for jar in jars(&build.join(name))? {
            println!("{}", jar.display());
        }
    }
    Ok(())
}

/// The JARs in a folder.
fn jars(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut jars: Vec<PathBuf> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    jars.retain(|path| path.extension().is_some_and(|extension| extension == "jar"));
    jars.sort();
    Ok(jars)
}

/// Builds the sample program in Kotlin; gives the command that runs it.
pub fn sample_in_kotlin(consent: Consent) -> Result<Command> {
    let build = stage_kotlin(Profile::Test)?;
    let mut maven = jvm::maven("kotlin", consent)?;
    maven.args(["package", "-DskipTests", "-pl", "sample", "-am"]);
    process::run(maven.arg(format!("-Dlightning.build={}", build.display())))?;
    let folder = build.join("sample");
    let mut java = Command::new("java");
    java.arg("-cp").arg(std::env::join_paths([folder.join("classes"), folder.join("libraries/*")])?);
    java.arg("dev.lightningdb.sample.MainKt");
    Ok(java)
}

/// Builds the program that measures the package for Kotlin beside other databases; gives the command that runs it.
pub fn benchmark_in_kotlin(consent: Consent) -> Result<Command> {
    let build = stage_kotlin(Profile::Dist)?;
    let mut maven = jvm::maven("kotlin", consent)?;
    maven.args(["package", "-DskipTests", "-Pbenchmark"]);
    process::run(maven.arg(format!("-Dlightning.build={}", build.display())))?;
    let folder = build.join("benchmark");
    let classes = std::env::join_paths([folder.join("classes"), folder.join("libraries/*")])?;
    let mut java = Command::new("java");
    java.arg("-cp").arg(classes).arg("dev.lightningdb.benchmark.MainKt");
    Ok(java)
}

/// Microseconds that the engine takes for a get of 100 bytes, without any language between.
pub fn engine_micros() -> Result<String> {
    let mut cargo = process::cargo()?;
    cargo.args(["run", "--example", "engine"]);
    for_this_machine(&mut cargo, Profile::Dist)?;
    Ok(process::output(&mut cargo)?.trim().to_owned())
}

pub(super) fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))
}
