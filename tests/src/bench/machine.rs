//! Where the numbers were taken.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) commit: String,
}

impl Machine {
    /// Describes this machine and the disk under `directory`. What cannot be learnt is "unknown".
    pub(crate) fn describe(directory: &Path) -> Self {
        let memory_kib = line_value("/proc/meminfo", "MemTotal")
            .and_then(|text| text.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()));
        Self {
            cpu: line_value("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_kib.unwrap_or(0.0) / f64::from(1 << 20),
            kernel: first_line(Command::new("uname").arg("-sr")),
            file_system: first_line(Command::new("stat").args(["-f", "-c", "%T"]).arg(directory)),
            commit: first_line(Command::new("git").args(["describe", "--always", "--dirty"])),
        }
    }
}

fn line_value(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_else(unknown)
}

fn unknown() -> String {
    "unknown".to_owned()
}
