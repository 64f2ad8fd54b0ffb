//! Packages of Debian and its relatives.

use std::process::Command;

use anyhow::{Result, bail};

use super::{Consent, is_root};
use crate::process;

/// Installs `packages` for the sake of `purpose`; does nothing when there are none.
pub fn install(purpose: &str, packages: &[&str], consent: Consent) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if process::find(&["apt-get"]).is_none() {
        bail!("{purpose} must be installed, and apt-get is not there to do it; the Debian packages are: {names}");
    }
    consent.obtain(&format!("apt-get install {names} ({purpose})"))?;
    process::run(apt_get().args(["update", "-qq"]))?;
    process::run(apt_get().args(["install", "-qq", "-y", "--no-install-recommends"]).args(packages))
}

/// Whether dpkg knows `package` as installed.
pub fn is_installed(package: &str) -> bool {
    process::find(&["dpkg-query"]).is_some_and(|dpkg| {
        process::output(Command::new(dpkg).args(["-W", "-f", "${Status}"]).arg(package))
            .is_ok_and(|status| status.contains("install ok installed"))
    })
}

/// A command with the rights of the superuser.
pub fn privileged(program: &str) -> Command {
    if is_root() {
        Command::new(program)
    } else {
        let mut command = Command::new("sudo");
        command.arg(program);
        command
    }
}

fn apt_get() -> Command {
    let mut command = privileged("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    command
}
