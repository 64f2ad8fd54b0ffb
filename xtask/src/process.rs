//! Running other programs, and saying so.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Cargo in the repository, building into [`workspace::target`].
pub fn cargo() -> Result<Command> {
    in_repository(Command::new("cargo"))
}

/// `cargo`, a command that is some toolchain's cargo, in the repository and building into [`workspace::target`].
pub fn in_repository(mut cargo: Command) -> Result<Command> {
    cargo.current_dir(workspace::root()).env("CARGO_TARGET_DIR", workspace::target()?);
    Ok(cargo)
}

/// A program of the crate `lightning-db-tests`, built in release with these of its features.
pub fn tests_program(name: &str, features: &[&str]) -> Result<Command> {
    let mut command = cargo()?;
    command.args(["run", "--release", "--quiet", "-p", "lightning-db-tests"]);
    command.args(features.iter().flat_map(|feature| ["--features", feature]));
    command.args(["--bin", name, "--"]);
    Ok(command)
}

/// Prints and runs `command`; an exit code other than 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| format!("cannot run {}", line_of(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line_of(command));
    }
    Ok(())
}

/// As [`run`], but ends the program when it has taken longer than `limit`.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    announce(command);
    let mut child = command.spawn().with_context(|| format!("cannot run {}", line_of(command)))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                bail!("{} ended with {status}", line_of(command));
            }
            return Ok(());
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("{} was ended after {} s", line_of(command), limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What `command` writes to its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", line_of(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", line_of(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `command` can be run and ends well; prints nothing.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Prints and runs `command`, and passes each line of its two outputs to the terminal and to `look`. Tells whether it
/// ended well.
pub fn watch(command: &mut Command, mut look: impl FnMut(&str)) -> Result<bool> {
    announce(command);
    let (reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot run {}", line_of(command)))?;
    // The command keeps its ends of the pipe until they are replaced: without this the reader would wait for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        look(&line);
    }
    Ok(child.wait()?.success())
}

/// The first of `names` found in `PATH`.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    names.iter().find_map(|name| {
        env::split_paths(&path)
            .map(|folder| folder.join(Path::new(name).with_extension(env::consts::EXE_EXTENSION)))
            .find(|file| file.is_file())
    })
}

fn announce(command: &Command) {
    println!("$ {}", line_of(command));
}

/// The command as one would type it, environment variables aside.
pub fn line_of(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .map(|word| if word.contains(' ') { format!("'{word}'") } else { word.into_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}
