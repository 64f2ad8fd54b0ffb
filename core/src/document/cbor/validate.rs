//! Whether bytes are a document: one pass, before they are stored.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::head::{Head, Reader};
use super::{DEPTH_MAX, DOCUMENT_BYTES_MAX};
use crate::error::{Error, Result};

/// Names up to which those of a map are compared each with each.
const FEW_NAMES: usize = 12;

/// Whether `bytes` are one document: a map and nothing after it, with all that the [module](super) promises.
pub(crate) fn validate(bytes: &[u8]) -> Result<()> {
    if bytes.first().is_some_and(|first| first >> 5 != 5) {
        return Err(Error::invalid("a document is an object with fields (in CBOR a map)"));
    }
    validate_item(bytes)
}

/// Whether `bytes` are one value of any kind and nothing after it.
///
/// The only memory it takes is four bytes for each name of the maps that are open, of which each has taken two bytes or
/// more of the document.
pub(crate) fn validate_item(bytes: &[u8]) -> Result<()> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "the size of a document in bytes",
            value: bytes.len() as u64,
            limit: DOCUMENT_BYTES_MAX as u64,
        });
    }
    let mut reader = Reader::new(bytes);
    let mut open = [Open { left: 0, is_map: false, names: 0 }; DEPTH_MAX];
    let mut depth = 0;
    // Where each name of each open map begins, the outermost first.
    let mut names: Vec<u32> = Vec::new();
    loop {
        let start = reader.at();
        let entered = match reader.head()? {
            Head::Array(left) => Some((left, false)),
            Head::Map(left) => Some((left, true)),
            Head::Text(text) => {
                is_text(text, start)?;
                None
            }
            _ => None,
        };
        if let Some((left, is_map)) = entered {
            let Some(innermost) = open.get_mut(depth) else { return Err(too_deep()) };
            *innermost = Open { left, is_map, names: names.len() };
            depth += 1;
        }
        // On to the next item that is due, and out of what is complete.
        loop {
            let Some(innermost) = depth.checked_sub(1).and_then(|innermost| open.get_mut(innermost)) else {
                return if reader.is_at_end() { Ok(()) } else { Err(reader.refuse("more follows the document")) };
            };
            if innermost.left > 0 {
                innermost.left -= 1;
                if innermost.is_map {
                    names.push(reader.at() as u32);
                    let start = reader.at();
                    is_text(reader.name()?, start)?;
                }
                break;
            }
            if innermost.is_map {
                let own = names.get_mut(innermost.names..).unwrap_or_default();
                differ(own, bytes)?;
                names.truncate(innermost.names);
            }
            depth -= 1;
        }
    }
}

/// A map or an array of which something is still to come.
#[derive(Clone, Copy)]
struct Open {
    left: u64,
    is_map: bool,
    /// How many names there were before those of this map.
    names: usize,
}

fn is_text(text: &[u8], start: usize) -> Result<()> {
    match core::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::invalid(format!("not the CBOR of a document, at byte {start}: text that is not UTF-8"))),
    }
}

/// Whether the names that begin at these places are all different.
fn differ(places: &mut [u32], bytes: &[u8]) -> Result<()> {
    let name = |place: u32| {
        let mut reader = Reader::new(bytes.get(place as usize..).unwrap_or_default());
        reader.name().unwrap_or_default()
    };
    let twice = if places.len() <= FEW_NAMES {
        let mut all = [[].as_slice(); FEW_NAMES];
        for (room, place) in all.iter_mut().zip(places.iter()) {
            *room = name(*place);
        }
        let all = all.get(..places.len()).unwrap_or_default();
        all.iter().enumerate().find_map(|(number, name)| all.iter().take(number).find(|other| *other == name)).copied()
    } else {
        places.sort_unstable_by(|a, b| name(*a).cmp(name(*b)));
        places.windows(2).find_map(|pair| match *pair {
            [a, b] if name(a) == name(b) => Some(name(a)),
            _ => None,
        })
    };
    match twice {
        None => Ok(()),
        Some(name) => {
            let name = String::from_utf8_lossy(name.get(..64).unwrap_or(name));
            Err(Error::invalid(format!("a document has the field \"{name}\" twice in one map")))
        }
    }
}

#[cold]
pub(in crate::document) fn too_deep() -> Error {
    Error::LimitExceeded {
        what: "the number of maps and arrays within each other",
        value: DEPTH_MAX as u64 + 1,
        limit: DEPTH_MAX as u64,
    }
}
