//! The npm package in Firefox and WebKit: the conformance scripts, and what else pages and service workers do there.

use anyhow::Result;

use super::stage::Stage;
use crate::package::npm;
use crate::setup::Consent;
use crate::setup::browser::{Other, pages_in};

const KILLS: &str = "5";

/// What runs in each, and with which arguments.
const PROGRAMS: [(&str, &str, &[&str]); 7] = [
    ("the package", "run.mjs", &[]),
    ("where a page's databases are", "places.mjs", &[]),
    ("what a page keeps", "keeping.mjs", &[]),
    ("service workers", "service-workers.mjs", &[]),
    ("private windows", "private-windows.mjs", &[]),
    ("tabs", "tabs.mjs", &[]),
    ("killed browsers lose nothing", "kills.mjs", &[KILLS]),
];

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    npm::build(consent)?;
    for browser in [Other::Firefox, Other::WebKit] {
        for (what, name, arguments) in PROGRAMS {
            let mut program = pages_in(browser, consent)?;
            program.arg(npm::folder().join("tests/browser").join(name)).args(arguments);
            stage.tests(&format!("{what}, in {}", browser.name()), &mut program)?;
        }
    }
    Ok(())
}
