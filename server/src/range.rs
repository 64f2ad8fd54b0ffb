//! The options that choose a range of keys.

use std::ops::Bound;

use clap::Args;
use lightning_db::KeyBuffer;

use crate::documents::{key_beginning, key_bounds};
use crate::failure::{Failure, Outcome};
use crate::types::{Datum, Type, encode_key, encode_key_prefix};

/// From where to where.
#[derive(Args, Debug, Default)]
#[group(multiple = true)]
pub struct KeyRangeArgs {
    /// Keys from this one, itself included
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, conflicts_with = "above")]
    from: Option<String>,
    /// Keys up to this one, itself included
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, conflicts_with = "below")]
    to: Option<String>,
    /// Keys above this one
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    above: Option<String>,
    /// Keys below this one
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    below: Option<String>,
    /// Keys that begin with this text, or for composite keys with these components: '["fi"]'
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["from", "to", "above", "below"])]
    prefix: Option<String>,
}

/// A range of encoded keys.
pub type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

impl KeyRangeArgs {
    /// The range in encoded keys of this type.
    pub fn bounds(&self, kind: &Type) -> Outcome<Bounds> {
        if let Some(prefix) = &self.prefix {
            let mut out = KeyBuffer::new();
            encode_key_prefix(kind, prefix, &mut out).map_err(Failure::Usage)?;
            let start = out.as_slice().to_vec();
            let end = prefix_end(start.clone()).map_or(Bound::Unbounded, Bound::Excluded);
            return Ok((Bound::Included(start), end));
        }
        let bound = |included: &Option<String>, excluded: &Option<String>| -> Outcome<_> {
            Ok(match (included, excluded) {
                (Some(key), _) => Bound::Included(parse_key(kind, key)?.as_slice().to_vec()),
                (None, Some(key)) => Bound::Excluded(parse_key(kind, key)?.as_slice().to_vec()),
                (None, None) => Bound::Unbounded,
            })
        };
        Ok((bound(&self.from, &self.above)?, bound(&self.to, &self.below)?))
    }
}

impl KeyRangeArgs {
    /// The range in encoded keys of documents.
    pub fn document_bounds(&self) -> Outcome<Bounds> {
        if let Some(prefix) = &self.prefix {
            let start = key_beginning(prefix).map_err(Failure::Usage)?;
            let end = prefix_end(start.clone()).map_or(Bound::Unbounded, Bound::Excluded);
            return Ok((Bound::Included(start), end));
        }
        let bound = |included: &Option<String>, excluded: &Option<String>| {
            let bound = match (included, excluded) {
                (Some(key), _) => Bound::Included(key.as_str()),
                (None, Some(key)) => Bound::Excluded(key.as_str()),
                (None, None) => Bound::Unbounded,
            };
            key_bounds(bound).map_err(Failure::Usage)
        };
        Ok((bound(&self.from, &self.above)?, bound(&self.to, &self.below)?))
    }

    /// Whether nothing was asked for: all keys.
    pub fn is_all(&self) -> bool {
        [&self.from, &self.to, &self.above, &self.below, &self.prefix].into_iter().all(Option::is_none)
    }
}

/// Encodes a key given on the command line.
pub fn parse_key(kind: &Type, text: &str) -> Outcome<KeyBuffer> {
    let key = Datum::from_text(kind, text).map_err(|error| Failure::Usage(format!("key {error}")))?;
    let mut out = KeyBuffer::new();
    encode_key(kind, &key, &mut out).map_err(|error| Failure::Usage(format!("key '{text}': {error}")))?;
    Ok(out)
}

/// The lowest bytes above everything that begins with `prefix`.
fn prefix_end(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_beginning() {
        let range = |prefix: &str| {
            let args = KeyRangeArgs { prefix: Some(prefix.into()), ..Default::default() };
            args.bounds(&Type::Bytes).unwrap()
        };
        assert_eq!(range("ab"), (Bound::Included(b"ab".to_vec()), Bound::Excluded(b"ac".to_vec())));
        assert_eq!(range("0x61ff"), (Bound::Included(vec![0x61, 0xff]), Bound::Excluded(vec![0x62])));
        assert_eq!(range("0xffff"), (Bound::Included(vec![0xff, 0xff]), Bound::Unbounded));
    }
}
