//! The engine's errors as they cross: by number and name, with their fields and a text for people.

use std::any::Any;
use std::fmt;

use lightning_db::{DuplicateKey, Error, InvalidDocument, TableTypeMismatch};

/// What went wrong. One to one with the core's errors; the packages for Swift and Kotlin make a case of theirs from the name.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Error)]
pub enum Failure {
    /// Whatever it is, in one form.
    Engine {
        /// A stable number.
        number: u16,
        /// A stable name, the same in every language.
        name: String,
        /// Whether the same call may succeed when it is made again.
        is_retryable: bool,
        /// What happened, where, and what to do.
        text: String,
        /// The parts of it that programs look at.
        fields: Vec<FailureField>,
    },
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct FailureField {
    /// Its name.
    pub name: String,
    /// Its value, numbers in decimal digits.
    pub value: String,
}

/// The number of [`Failure`]s that are faults of this library.
const INTERNAL: u16 = 100;

impl Failure {
    /// A panic, which is a fault of this library: nothing is known of what it broke off.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let message =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = format!(
            "the database has a fault of its own ({}); close it, open it again, and please report this",
            message.unwrap_or("no message")
        );
        Self::Engine { number: INTERNAL, name: "Internal".into(), is_retryable: false, text, fields: Vec::new() }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        let Self::Engine { number, .. } = self;
        *number
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine {
            number: error.number(),
            name: error.name().to_owned(),
            is_retryable: error.is_retryable(),
            text: error.to_string(),
            fields: fields_of(&error)
                .into_iter()
                .map(|(name, value)| FailureField { name: name.to_owned(), value })
                .collect(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Engine { name, text, .. } = self;
        write!(f, "{name}: {text}")
    }
}

impl std::error::Error for Failure {}

fn fields_of(error: &Error) -> Vec<(&'static str, String)> {
    let text = |text: &str| text.to_owned();
    match error {
        Error::Storage(error) => {
            vec![
                ("message", text(&error.message)),
                ("offset", error.offset.to_string()),
                ("length", error.len.to_string()),
            ]
        }
        Error::Corrupt(damage) => {
            vec![("file", damage.file.to_string()), ("offset", damage.offset.to_string()), ("what", text(&damage.what))]
        }
        Error::Unsupported { what, remedy } => vec![("what", text(what)), ("remedy", text(remedy))],
        Error::NotADatabase { found } => vec![("found", text(found))],
        Error::Locked { holder } => vec![("holder", text(holder))],
        Error::Poisoned { cause } | Error::OutcomeUnknown { cause } => vec![("cause", text(cause))],
        Error::Conflict { what } | Error::Invalid { what } => vec![("what", text(what))],
        Error::Deadlock { key } => vec![("key", text(key))],
        Error::NoSuchTable { table } => vec![("table", text(table))],
        Error::NoLongerKept { oldest, asked } => vec![("oldest", oldest.to_string()), ("asked", asked.to_string())],
        Error::HistoryForked { sequence, common } => {
            let mut fields = vec![("sequence", sequence.to_string())];
            fields.extend(common.map(|common| ("common", common.to_string())));
            fields
        }
        Error::TransactionTimeout { limit_ms } => vec![("limitMs", limit_ms.to_string())],
        Error::LimitExceeded { what, value, limit } => {
            vec![("what", text(what)), ("value", value.to_string()), ("limit", limit.to_string())]
        }
        Error::SnapshotExpired { limit, allowed, used } | Error::LimitReached { limit, allowed, used } => {
            vec![("limit", text(limit.name())), ("allowed", allowed.to_string()), ("used", used.to_string())]
        }
        Error::Unavailable { why, retry_ms } => {
            let mut fields = vec![("why", text(why))];
            fields.extend(retry_ms.map(|ms| ("retryMs", ms.to_string())));
            fields
        }
        Error::TableTypeMismatch(mismatch) => {
            let TableTypeMismatch { table, recorded, requested } = &**mismatch;
            vec![("table", text(table)), ("recorded", text(recorded)), ("requested", text(requested))]
        }
        Error::SchemaMismatch { collection, what } => vec![("collection", text(collection)), ("what", text(what))],
        Error::SchemaTooNew { collection, found, known } => {
            vec![("collection", text(collection)), ("found", found.to_string()), ("known", known.to_string())]
        }
        Error::DuplicateKey(duplicate) => {
            let DuplicateKey { collection, index, value, key } = &**duplicate;
            vec![("collection", text(collection)), ("index", text(index)), ("value", text(value)), ("key", text(key))]
        }
        Error::InvalidDocument(invalid) => {
            let InvalidDocument { collection, field, key, what } = &**invalid;
            vec![("collection", text(collection)), ("field", text(field)), ("key", text(key)), ("what", text(what))]
        }
        Error::Unexpected { what, key } => vec![("what", text(what)), ("key", text(key))],
        _ => Vec::new(),
    }
}
