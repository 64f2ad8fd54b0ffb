//! Queries as text, as people write them in the shell.
//!
//! ```text
//! query     = ["select" path {"," path}] ["where"] [filter]
//!             ["order" "by" path ["asc" | "desc"] {"," path ["asc" | "desc"]}] ["reverse"]
//!             ["limit" count] ["offset" count] ["after" token]
//! filter    = both {"or" both}
//! both      = one {"and" one}
//! one       = "not" one | "(" filter ")" | "true" | "false" | condition
//! condition = path test ["ignoring" "case"]
//!           | value ("<" | "<=" | ">" | ">=" | "=") path [("<" | "<=" | ">" | ">=") value] ["ignoring" "case"]
//! test      = ("=" | "!=" | "<" | "<=" | ">" | ">=") value | "between" value "and" value
//!           | "in" "[" [value {"," value}] "]" | "starts" "with" text
//!           | "exists" | "does" "not" "exist" | "is" ["not"] "null"
//! value     = number | text | "true" | "false" | "null" | ["-"] "infinity" | "[" [value {"," value}] "]"
//!           | "timestamp" "(" text ")" | "uuid" "(" text ")" | "bytes" "(" text ")"
//! ```
//!
//! Words of the language are written in letters of either case. A path is names with dots between them, without spaces; a
//! name that is one of these words or has other signs than letters, digits, `_` and `$` stands in backquotes.

mod literal;
mod parser;
mod print;
#[cfg(test)]
mod tests;
mod token;

use core::str::FromStr;

use super::Query;
use crate::error::{Error, Result};

/// Bytes of the text of a query.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Parentheses, `not`s and brackets within each other.
const NESTING_MAX: usize = 64;

impl Query {
    /// Reads a query from its text. An empty text asks for all documents.
    ///
    /// ```
    /// # use lightning_db::Query;
    /// let query = Query::parse(r#"age between 30 and 40 and (country = "FI" or tags in ["x", "y"]) order by age desc limit 10"#)?;
    /// assert_eq!(query.limit_count(), Some(10));
    /// let error = Query::parse("age between 30, 40").unwrap_err();
    /// assert_eq!(error.to_string(), "the query, at ',' (character 15): expected 'and'");
    /// # Ok::<(), lightning_db::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "the length of the query, in bytes,",
                value: text.len() as u64,
                limit: TEXT_BYTES_MAX as u64,
            });
        }
        parser::parse(text)
    }
}

impl FromStr for Query {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}
