//! The types of keys and values as the file records them, at run time: the shell learns a table's types only when it
//! opens it. The encodings themselves are the engine's ([`lightning_db::Key`], [`lightning_db::StoredValue`]).

mod datum;
mod key;
mod value;

use std::fmt;

pub use datum::{Datum, on_one_line, write_line};
pub use key::{decode_key, encode_key, encode_key_prefix, key_prefix_as_text};
pub use value::{decode_value, encode_value};

/// A type of keys or values, by its recorded name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Unit,
    Bool,
    Unsigned(Width),
    Signed(Width),
    F64,
    String,
    Bytes,
    /// Exactly so many bytes.
    Array(usize),
    Optional(Box<Type>),
    Tuple(Vec<Type>),
    /// A program's own type: shown, and given, as bytes.
    Other(String),
}

/// Longer names are not taken for built-in types.
const NAME_LEN_MAX: usize = 255;

/// The width of an integer in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    W8,
    W16,
    W32,
    W64,
    W128,
}

impl Type {
    /// Reads a recorded name. Every name is some type.
    pub fn parse(name: &str) -> Self {
        Self::known(name).unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// The built-in type of this name.
    pub fn known(name: &str) -> Option<Self> {
        let name = name.trim();
        // The name may come from a file, and types within types are read by recursion.
        if name.len() > NAME_LEN_MAX {
            return None;
        }
        Some(match name {
            "unit" => Self::Unit,
            "bool" => Self::Bool,
            "f64" => Self::F64,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            _ => {
                if let Some(inner) = name.strip_suffix('?') {
                    // Nobody can type a value of what is optional twice, whose two nothings differ.
                    let inner = Self::known(inner).filter(|inner| !matches!(inner, Self::Optional(_)))?;
                    Self::Optional(Box::new(inner))
                } else if let Some(parts) = name.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
                    let parts = split_parts(parts).map(Self::known).collect::<Option<Vec<_>>>()?;
                    (2..=6).contains(&parts.len()).then_some(Self::Tuple(parts))?
                } else if let Some(len) = name.strip_prefix("bytes[").and_then(|rest| rest.strip_suffix(']')) {
                    Self::Array(len.parse().ok()?)
                } else if let Some(bits) = name.strip_prefix('u') {
                    Self::Unsigned(Width::parse(bits)?)
                } else {
                    Self::Signed(Width::parse(name.strip_prefix('i')?)?)
                }
            }
        })
    }

    /// Whether values can be of this type, keys aside.
    pub fn is_for_values(&self) -> bool {
        !matches!(self, Self::Optional(_) | Self::Tuple(_))
    }

    /// `an i64`, `a string`: for sentences.
    pub fn with_article(&self) -> String {
        let article = if matches!(self, Self::Signed(_) | Self::F64) { "an" } else { "a" };
        format!("{article} {self}")
    }

    /// The type in which a value seen for the first time is kept: text as `string`, whole numbers as `i64`, or `u64`
    /// above its range, others as `f64`.
    pub fn infer(json: &serde_json::Value) -> Option<Self> {
        use serde_json::Value;
        Some(match json {
            Value::Null => Self::Unit,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) if number.is_i64() => Self::Signed(Width::W64),
            Value::Number(number) if number.is_u64() => Self::Unsigned(Width::W64),
            Value::Number(_) => Self::F64,
            Value::String(_) => Self::String,
            Value::Array(_) | Value::Object(_) => return None,
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("unit"),
            Self::Bool => f.write_str("bool"),
            Self::Unsigned(width) => write!(f, "u{}", width.bits()),
            Self::Signed(width) => write!(f, "i{}", width.bits()),
            Self::F64 => f.write_str("f64"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Array(len) => write!(f, "bytes[{len}]"),
            Self::Optional(inner) => write!(f, "{inner}?"),
            Self::Tuple(parts) => {
                f.write_str("(")?;
                for (at, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl Width {
    pub fn bits(self) -> u32 {
        match self {
            Self::W8 => 8,
            Self::W16 => 16,
            Self::W32 => 32,
            Self::W64 => 64,
            Self::W128 => 128,
        }
    }

    fn parse(bits: &str) -> Option<Self> {
        Some(match bits {
            "8" => Self::W8,
            "16" => Self::W16,
            "32" => Self::W32,
            "64" => Self::W64,
            "128" => Self::W128,
            _ => return None,
        })
    }
}

/// Splits at the commas that are not inside parentheses.
fn split_parts(parts: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i64;
    parts.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for name in [
            "unit",
            "bool",
            "u8",
            "u128",
            "i16",
            "i64",
            "f64",
            "string",
            "bytes",
            "bytes[16]",
            "string?",
            "(string, u64)",
            "((u8, string), bytes?, i32)",
        ] {
            let parsed = Type::known(name).unwrap_or_else(|| panic!("{name} is not known"));
            assert_eq!(parsed.to_string(), name);
        }
    }

    #[test]
    fn other_names_are_kept_as_they_are() {
        for name in [
            "geo::Point",
            "u7",
            "(string)",
            "(string, geo::Point)",
            "bytes[x]",
            "i",
            "",
            "(",
            "(,)",
            "((",
            ")?",
            "bytes??",
            "(u8, bool??)",
        ] {
            assert_eq!(Type::parse(name), Type::Other(name.to_owned()));
        }
        let deep = format!("u8{}", "?".repeat(1 << 20));
        assert_eq!(Type::parse(&deep), Type::Other(deep));
    }
}
