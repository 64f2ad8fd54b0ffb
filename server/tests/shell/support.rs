//! A folder of its own for each test, and the `lightning` command run in it.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use assert_cmd::Command;
use tempfile::TempDir;

/// A temporary folder in which commands run.
pub struct Shell {
    folder: Arc<TempDir>,
    environment: Vec<(String, String)>,
}

/// What a command printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Shell {
    pub fn new() -> Self {
        Self::with_environment(Vec::new())
    }

    /// Commands see these variables, too.
    pub fn with_environment(environment: Vec<(String, String)>) -> Self {
        Self { folder: Arc::new(TempDir::new().expect("a temporary folder")), environment }
    }

    /// The same folder, with other variables.
    #[cfg_attr(not(feature = "object-store"), allow(dead_code))]
    pub fn again_with(&self, environment: Vec<(String, String)>) -> Self {
        Self { folder: Arc::clone(&self.folder), environment }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).expect("a file in a temporary folder");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file was written")
    }

    /// Runs `lightning` with arguments split at spaces.
    pub fn run(&self, arguments: &str) -> Ran {
        self.run_with(&arguments.split(' ').collect::<Vec<_>>(), "")
    }

    /// Runs `lightning` with these arguments and this on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        Ran::from(self.command().args(arguments).write_stdin(input).output().expect("the command runs"))
    }

    /// Runs it with these bytes on standard input, asserts that it was done, and gives the bytes it printed.
    pub fn piped(&self, arguments: &str, input: &[u8]) -> Vec<u8> {
        let output = self.command().args(arguments.split(' ')).write_stdin(input).output().expect("the command runs");
        assert!(output.status.success(), "lightning {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Runs it, asserts that it was done, and gives what it printed.
    pub fn done(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "lightning {arguments}");
        ran.out
    }

    /// Runs it, asserts the exit code, and gives what it told standard error.
    pub fn fails(&self, arguments: &str, code: i32) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "lightning {arguments}: {}{}", ran.out, ran.err);
        ran.err
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.folder.path()).envs(self.environment.iter().cloned());
        command
    }
}

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lightning"))
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
