//! The AAR for Android: the package's classes, and the library for three processors.
//!
//! With `ANDROID_NDK_HOME` the libraries are linked by Google's NDK, as they are published. Without it lld links them against stand-ins
//! for Android's own libraries, which have their names and the symbols of `bionic.txt` and nothing else: what comes of that shows that
//! everything compiles, what is exported, what is missing and how large it is, and is never published. It would stop where it unwinds,
//! for the unwinder belongs to the NDK.

mod check;
mod library;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::library_size;
use super::mobile::{self, Profile};
use crate::setup::{Consent, jvm};
use crate::{process, workspace};

/// What a library is built for.
pub struct Abi {
    /// As Android calls it.
    pub name: &'static str,
    /// As Rust does.
    pub target: &'static str,
    /// As the NDK names its compilers.
    pub clang: &'static str,
    /// As lld does.
    pub emulation: &'static str,
    /// As readelf does.
    pub machine: &'static str,
    /// What makes its code small; `docs/benchmarks.md` has what each takes off.
    pub flags: &'static [&'static str],
}

pub const ABIS: [Abi; 3] = [
    Abi {
        name: "arm64-v8a",
        target: "aarch64-linux-android",
        clang: "aarch64-linux-android",
        emulation: "aarch64linux",
        machine: "AArch64",
        flags: &AARCH64,
    },
    Abi {
        name: "armeabi-v7a",
        target: "armv7-linux-androideabi",
        clang: "armv7a-linux-androideabi",
        emulation: "armelf_linux_eabi",
        machine: "ARM",
        flags: &[],
    },
    Abi {
        name: "x86_64",
        target: "x86_64-linux-android",
        clang: "x86_64-linux-android",
        emulation: "elf_x86_64",
        machine: "Advanced Micro Devices X86-64",
        flags: &X86_64,
    },
];

/// Registers are saved and restored by functions for that, which all others share. What is alike elsewhere is a function of its own only
/// where that takes off more than its entries in the tables for unwinding, some 36 bytes.
const AARCH64: [&str; 3] =
    ["-Cllvm-args=-homogeneous-prolog-epilog", "-Cllvm-args=-outliner-benefit-threshold=36", library::ATOMICS];
/// What is on the stack is found from where the frame begins: shorter than from where the stack ends, which moves, and whose moves are
/// all noted for unwinding. Functions of the system are called in one byte less. What is alike is a function of its own here, too.
const X86_64: [&str; 4] = [
    "-Cforce-frame-pointers=yes",
    "-Zplt=yes",
    "-Cllvm-args=-enable-machine-outliner=always",
    "-Cllvm-args=-outliner-benefit-threshold=32",
];

/// Android 8: the first with `java.nio.file` and `java.time`. What the library asks of bionic is in 7.
pub const API: u32 = 26;

const ARTIFACT: &str = "lightning-db-android";

/// Builds the AAR for the processors named, or all, beside its POM and sources; gives the folder.
pub fn pack(only: &[String], consent: Consent) -> Result<PathBuf> {
    let abis: Vec<&Abi> =
        ABIS.iter().filter(|abi| only.is_empty() || only.iter().any(|name| name == abi.name)).collect();
    ensure!(!abis.is_empty(), "there is no ABI {}; there are {}", only.join(", "), ABIS.map(|abi| abi.name).join(", "));
    let folder = workspace::target()?.join("android");
    let content = folder.join("aar");
    if content.exists() {
        fs::remove_dir_all(&content)?;
    }
    for abi in &abis {
        let library = library::build(abi, &folder, consent)?;
        let to = content.join("jni").join(abi.name).join(mobile::LIBRARY_FILE);
        fs::create_dir_all(to.parent().context("a file in no folder")?)?;
        library::strip(&library, &to)?;
        check::library(abi, &to)?;
        library_size::check(abi.name, &to)?;
    }
    put_together(&content, consent)?;
    let packed = folder.join("packed");
    if packed.exists() {
        fs::remove_dir_all(&packed)?;
    }
    fs::create_dir_all(&packed)?;
    let built = workspace::target()?.join("kotlin").join(ARTIFACT);
    let version = version()?;
    let aar = packed.join(format!("{ARTIFACT}-{version}.aar"));
    archive(&content, &aar)?;
    let sources = format!("{ARTIFACT}-{version}-sources.jar");
    fs::copy(built.join(&sources), packed.join(&sources)).with_context(|| format!("{sources} was not built"))?;
    fs::write(packed.join(format!("{ARTIFACT}-{version}.pom")), pom()?)?;
    check::archive(&aar, &abis)?;
    Ok(packed)
}

/// The classes of both packages as one JAR, and what tells Android and its tools of them.
fn put_together(content: &Path, consent: Consent) -> Result<()> {
    let build = mobile::stage_kotlin(Profile::Dist)?;
    let mut maven = jvm::maven("kotlin", consent)?;
    maven.args(["package", "-DskipTests", "-Prelease", "-pl", "lightning-db,lightning-db-android"]);
    process::run(maven.arg(format!("-Dlightning.build={}", build.display())))?;
    let classes = workspace::target()?.join("android/classes");
    if classes.exists() {
        fs::remove_dir_all(&classes)?;
    }
    fs::create_dir_all(&classes)?;
    let version = version()?;
    for name in ["lightning-db", ARTIFACT] {
        let jar = build.join(name).join(format!("{name}-{version}.jar"));
        process::run(Command::new("jar").arg("xf").arg(jar).current_dir(&classes))?;
    }
    // The library for this machine is not for Android.
    fs::remove_dir_all(classes.join("dev/lightningdb/native"))?;
    fs::remove_dir_all(classes.join("META-INF/maven"))?;
    fs::remove_file(classes.join("META-INF/MANIFEST.MF"))?;
    archive(&classes, &content.join("classes.jar"))?;
    for name in ["AndroidManifest.xml", "proguard.txt"] {
        fs::copy(workspace::root().join("kotlin").join(ARTIFACT).join("aar").join(name), content.join(name))?;
    }
    // Required, and empty: there are no resources.
    fs::write(content.join("R.txt"), "")?;
    Ok(())
}

/// Puts all of a folder into an archive.
fn archive(folder: &Path, to: &Path) -> Result<()> {
    process::run(
        Command::new("jar").args(["--create", "--no-manifest", "--file"]).arg(to).arg("-C").arg(folder).arg("."),
    )
}

fn version() -> Result<String> {
    let pom = fs::read_to_string(workspace::root().join("kotlin/pom.xml"))?;
    let version = pom.split_once("<version>").and_then(|(_, rest)| rest.split_once("</version>"));
    Ok(version.context("kotlin/pom.xml has no version")?.0.to_owned())
}

/// What those who use the AAR are told of it: all that both packages need, for it has the classes of both.
fn pom() -> Result<String> {
    let kotlin = workspace::root().join("kotlin");
    let (parent, core) =
        (fs::read_to_string(kotlin.join("pom.xml"))?, fs::read_to_string(kotlin.join("lightning-db/pom.xml"))?);
    let own = fs::read_to_string(kotlin.join(ARTIFACT).join("pom.xml"))?;
    let within = |text: &str, from: &str, to: &str| -> Result<String> {
        let start = text.find(from).with_context(|| format!("no {from} in a POM"))?;
        let len = text[start..].find(to).with_context(|| format!("no {to} in a POM"))?;
        Ok(text[start..start + len + to.len()].to_owned())
    };
    let mut dependencies = String::new();
    for dependency in within(&core, "<dependencies>", "</dependencies>")?.split("<dependency>").skip(1) {
        if dependency.contains("<scope>test</scope>") {
            continue;
        }
        let mut dependency = dependency.split("</dependency>").next().unwrap_or_default().to_owned();
        // On Android JNA is an AAR, with its own library.
        if dependency.contains("<artifactId>jna</artifactId>") {
            dependency.push_str("  <type>aar</type>\n    ");
        }
        dependencies.push_str(&format!("    <dependency>{dependency}</dependency>\n"));
    }
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  \
         <modelVersion>4.0.0</modelVersion>\n  <groupId>dev.lightningdb</groupId>\n  <artifactId>{ARTIFACT}</artifactId>\n  \
         <version>{}</version>\n  <packaging>aar</packaging>\n  {}\n  {}\n  {}\n  {}\n  {}\n  {}\n  <dependencies>\n{dependencies}  \
         </dependencies>\n</project>\n",
        version()?,
        within(&own, "<name>", "</name>")?,
        within(&own, "<description>", "</description>")?,
        within(&parent, "<url>", "</url>")?,
        within(&parent, "<licenses>", "</licenses>")?,
        within(&parent, "<developers>", "</developers>")?,
        within(&parent, "<scm>", "</scm>")?,
    );
    for property in within(&parent, "<properties>", "</properties>")?.lines() {
        if let Some((name, rest)) = property.trim().strip_prefix('<').and_then(|line| line.split_once('>'))
            && let Some((value, _)) = rest.split_once("</")
        {
            text = text.replace(&format!("${{{name}}}"), value);
        }
    }
    ensure!(!text.contains("${"), "the POM of the AAR has a property that nobody knows:\n{text}");
    Ok(text)
}
