//! How a database is, what is damaged in it, and who may use it.

use lightning_db::{
    Finding as CoreFinding, Mode as CoreMode, Quarantined as CoreQuarantined, Severity as CoreSeverity,
};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Severity {
    /// As somebody wanted it, or over by itself.
    Notice,
    /// Everything works still; it will not, if nothing is done.
    Warning,
    /// Something does not work.
    Critical,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Finding {
    /// A name that stays the same.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, with its figures.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// A damaged part of the data file, and the keys behind it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Quarantined {
    /// Byte offset in the data file.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The tables whose keys are behind it; empty where that cannot be told.
    pub tables: Vec<String>,
    /// The first key that may be lost, as it is stored; empty for the first of the first table.
    pub from: Vec<u8>,
    /// The first key behind those; empty for the end of the last table.
    pub to: Vec<u8>,
}

/// Who may use a database that is open. Reading goes on in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Mode {
    /// Everybody.
    Normal,
    /// Nobody writes: that is `ReadOnly`.
    ReadOnly,
    /// No transaction begins: that is `Unavailable`, which passes.
    Maintenance,
}

impl From<CoreFinding> for Finding {
    fn from(finding: CoreFinding) -> Self {
        let severity = match finding.severity {
            CoreSeverity::Notice => Severity::Notice,
            CoreSeverity::Warning => Severity::Warning,
            CoreSeverity::Critical => Severity::Critical,
        };
        Self { name: finding.name.to_owned(), severity, cause: finding.cause, remedy: finding.remedy.to_owned() }
    }
}

impl From<CoreQuarantined> for Quarantined {
    fn from(damaged: CoreQuarantined) -> Self {
        let CoreQuarantined { offset, len, tables, from, to, .. } = damaged;
        Self { offset, length: len, tables, from, to }
    }
}

impl From<Mode> for CoreMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Normal => Self::Normal,
            Mode::ReadOnly => Self::ReadOnly,
            Mode::Maintenance => Self::Maintenance,
        }
    }
}

impl From<CoreMode> for Mode {
    fn from(mode: CoreMode) -> Self {
        match mode {
            CoreMode::Normal => Self::Normal,
            CoreMode::ReadOnly => Self::ReadOnly,
            CoreMode::Maintenance => Self::Maintenance,
        }
    }
}
