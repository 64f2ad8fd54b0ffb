//! Swift, which builds and tests the package for it.
//!
//! A Swift of version 6 in `PATH` is used as it is. Elsewhere on Linux it comes from Debian trixie, whose packages are put into a
//! folder of their own: nothing of the system changes. They run with that folder as their root, in a mount namespace of the command's
//! own, in which the package's folder is the only thing of the machine that they see; nothing is ever deleted inside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Consent, debian};
use crate::{process, workspace};

/// Debian's release, whose Swift is 6.0.3.
const RELEASE: &str = "trixie";
const PACKAGES: &str = "swiftlang swiftlang-dev g++ libc6-dev ca-certificates libsqlite3-dev";

/// Where Swift is.
pub enum Swift {
    /// In `PATH`.
    Own,
    /// In a root of its own.
    Apart(PathBuf),
}

/// Finds Swift, or installs it.
pub fn find(consent: Consent) -> Result<Swift> {
    if process::find(&["swift"]).is_some() {
        let version = process::output(Command::new("swift").arg("--version"))?;
        let major = version.split("Swift version ").nth(1).and_then(|rest| rest.split('.').next());
        if major.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 6) {
            return Ok(Swift::Own);
        }
    }
    if !cfg!(target_os = "linux") {
        bail!("Swift 6 or later is needed: install Xcode 16 or later, or https://swift.org/install");
    }
    let root = workspace::tool("swift", RELEASE)?;
    // What is in place, written when all of it is.
    let mark = root.join("etc/lightning-db-ready");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == PACKAGES) {
        return Ok(Swift::Apart(root));
    }
    install(&root, consent)?;
    std::fs::write(&mark, PACKAGES).with_context(|| format!("cannot write {}", mark.display()))?;
    Ok(Swift::Apart(root))
}

fn install(root: &Path, consent: Consent) -> Result<()> {
    if process::find(&["debootstrap"]).is_none() {
        debian::install("what makes a folder into a root for Swift", &["debootstrap"], consent)?;
    }
    consent.obtain(&format!("Swift from Debian {RELEASE}, 3.3 GB, into {}", root.display()))?;
    // A root that was begun and not finished is gone on with: debootstrap itself cannot.
    if !root.join("var/lib/dpkg/status").is_file() || !root.join("usr/bin/apt-get").exists() {
        let mut debootstrap = debian::privileged("debootstrap");
        process::run(debootstrap.args(["--variant=minbase", RELEASE]).arg(root))?;
    }
    // How the machine reaches its mirrors.
    for name in ["etc/resolv.conf", "etc/hosts"] {
        let _ = std::fs::copy(Path::new("/").join(name), root.join(name));
    }
    if let Ok(files) = std::fs::read_dir("/etc/apt/apt.conf.d") {
        for file in files.flatten().filter(|file| file.file_name().to_string_lossy().contains("prox")) {
            let _ = std::fs::copy(file.path(), root.join("etc/apt/apt.conf.d").join(file.file_name()));
        }
    }
    let script = format!(
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends {PACKAGES} && apt-get clean"
    );
    process::run(&mut inside(root, None, &script))
}

impl Swift {
    /// A command of Swift's in a package: `swift ARGUMENTS`.
    pub fn command(&self, package: &Path, arguments: &str) -> Command {
        self.shell(package, &format!("swift {arguments}"))
    }

    /// A shell's script in a package, with what Swift's programs need around it.
    pub fn shell(&self, package: &Path, script: &str) -> Command {
        match self {
            Self::Own => {
                let mut command = Command::new("sh");
                command.current_dir(package).args(["-c", script]);
                command
            }
            Self::Apart(root) => inside(root, Some(package), &format!("cd /package && {script}")),
        }
    }
}

/// A shell's script with `root` as its root, and `package` at `/package` in it.
fn inside(root: &Path, package: Option<&Path>, script: &str) -> Command {
    // What is mounted is mounted for this command alone, and gone with it.
    let mut mounts = String::from(
        "set -e; mount --make-rprivate /; mount -t proc proc \"$1/proc\"; mount --rbind /dev \"$1/dev\"; mkdir -p \"$1/package\"; ",
    );
    if package.is_some() {
        mounts.push_str("mount --bind \"$2\" \"$1/package\"; ");
    }
    mounts.push_str("exec chroot \"$1\" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin LANG=C.UTF-8 sh -c \"$3\"");
    let mut command = debian::privileged("unshare");
    command.args(["--mount", "sh", "-c", &mounts, "sh"]).arg(root).arg(package.unwrap_or(root)).arg(script);
    command
}
