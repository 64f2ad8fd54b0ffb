//! Why a command did not do what it was asked, and the exit code that says so.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use lightning_db::Error;
use serde_json::json;

use crate::types::write_line;

/// How the exit codes read in the help and the manual.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  not found: the key, or for insert, it is already there
  2  the command line or the input is not valid
  3  the database is damaged, or not a database
  4  the database is open in another process
  5  the storage failed: disk full, no permission, an I/O error
  6  anything else";

pub type Outcome<T = ()> = Result<T, Failure>;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// A key is missing, or there already: the expected kind of no.
    NotFound(String),
    /// The command line or the input is not valid.
    Usage(String),
    /// `check` found damage, and has told where.
    Damaged(String),
    /// The engine's own error, and what it happened to.
    Engine { subject: String, error: Box<Error> },
    /// A file that is not the database, or standard input or output, failed.
    File { subject: String, error: io::Error },
    /// Whoever read the output has seen enough.
    OutputClosed,
}

impl Failure {
    pub fn usage(what: impl Into<String>) -> Self {
        Self::Usage(what.into())
    }

    /// A command line that clap does not understand, in one line.
    pub fn arguments(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
        let told: Vec<_> = paragraphs.filter(|paragraph| !paragraph.starts_with("Usage:")).collect();
        let told = told.join("; ");
        Self::Usage(told.strip_prefix("error: ").unwrap_or(&told).to_owned())
    }

    /// For `map_err` around opening a database: damage that is met there is in the way of 'check' and 'export' too.
    pub fn opening(subject: impl Into<String>) -> impl FnOnce(Error) -> Self {
        let subject = subject.into();
        move |error| match error {
            Error::Corrupt(damage) => Self::Damaged(format!(
                "{subject}: {} is damaged at {}: {}; it cannot be opened like this: keep a copy of the database and its log as they are, then restore a backup, or bring back what is whole with 'lightning repair'",
                damage.file, damage.offset, damage.what
            )),
            error => Self::Engine { subject, error: Box::new(error) },
        }
    }

    /// For `map_err` around calls of the engine.
    pub fn engine(subject: impl Into<String>) -> impl FnOnce(Error) -> Self {
        let subject = subject.into();
        move |error| Self::Engine { subject, error: Box::new(error) }
    }

    /// For `map_err` around calls on files.
    pub fn file(subject: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let subject = subject.into();
        move |error| Self::File { subject, error }
    }

    pub fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::NotFound(_) => 1,
            Self::Usage(_) => 2,
            Self::Damaged(_) => 3,
            Self::File { error, .. }
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) =>
            {
                2
            }
            Self::File { .. } => 5,
            Self::Engine { error, .. } => match error.name() {
                "Unexpected" => 1,
                "NoSuchTable" | "TableTypeMismatch" | "SchemaMismatch" | "SchemaTooNew" | "DuplicateKey"
                | "InvalidDocument" | "Invalid" | "LimitExceeded" | "WrongKey" => 2,
                "Corrupt" | "DamagedBackup" | "NotADatabase" => 3,
                "Locked" => 4,
                "StorageFull" | "PermissionDenied" | "StorageFailed" | "NotResident" | "Poisoned"
                | "OutcomeUnknown" | "ReadOnly" => 5,
                _ => 6,
            },
        }
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// Tells standard error, as a sentence or as JSON.
    pub fn report(&self, as_json: bool) {
        if matches!(self, Self::OutputClosed) {
            return;
        }
        let told = if as_json {
            json!({ "error": { "name": self.name(), "message": self.to_string(), "exit_code": self.code() } })
                .to_string()
        } else {
            format!("lightning: {}", one_line(&self.to_string()))
        };
        // Where standard error takes nothing, the exit code alone has to tell.
        _ = writeln!(io::stderr(), "{told}");
    }

    fn name(&self) -> &'static str {
        match self {
            Self::OutputClosed => "OutputClosed",
            Self::NotFound(_) => "NotFound",
            Self::Usage(_) => "Usage",
            Self::Damaged(_) => "Corrupt",
            Self::File { .. } => "FileFailed",
            Self::Engine { error, .. } => error.name(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(what) | Self::Usage(what) | Self::Damaged(what) => f.write_str(what),
            Self::Engine { subject, error } => write!(f, "{subject}: {error}"),
            Self::File { subject, error } => write!(f, "{subject}: {error}"),
            Self::OutputClosed => f.write_str("the output was closed"),
        }
    }
}

/// A message as a terminal may have it: it names keys and tables that can be of any length and hold any character.
fn one_line(message: &str) -> String {
    const CHARS_MAX: usize = 2000;
    let count = message.chars().count();
    let shown = if count <= CHARS_MAX {
        Cow::Borrowed(message)
    } else {
        let start = message.chars().take(CHARS_MAX / 2);
        let end = message.chars().skip(count - CHARS_MAX / 2);
        Cow::Owned(start.chain(" … ".chars()).chain(end).collect())
    };
    let mut line = String::with_capacity(shown.len());
    write_line(&shown, &mut line);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use lightning_db::env::{FileId, StorageError, StorageErrorKind};

    #[test]
    fn every_kind_of_failure_has_its_code() {
        let engine = |error| Failure::engine("app.ldb")(error).code();
        let storage = |kind| Error::from(StorageError::new(kind, FileId::Data, 0, 0, ""));
        assert_eq!(Failure::NotFound(String::new()).code(), 1);
        assert_eq!(engine(Error::Unexpected { what: "the key is there", key: "a".into() }), 1);
        assert_eq!(Failure::usage("").code(), 2);
        assert_eq!(engine(Error::NoSuchTable { table: "t".into() }), 2);
        assert_eq!(engine(Error::NotADatabase { found: "text".into() }), 3);
        assert_eq!(engine(Error::Locked { holder: "process 7".into() }), 4);
        assert_eq!(engine(storage(StorageErrorKind::Full)), 5);
        assert_eq!(engine(storage(StorageErrorKind::PermissionDenied)), 5);
        assert_eq!(engine(storage(StorageErrorKind::Other)), 5);
        assert_eq!(engine(Error::Closed), 6);
        assert_eq!(Failure::OutputClosed.code(), 0);
    }
}
