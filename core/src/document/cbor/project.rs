//! Parts of documents, cut out of their bytes.

use alloc::vec::Vec;

use minicbor::Encoder;

use super::encode::failed;
use super::head::{Head, Reader};
use crate::document::Path;
use crate::document::path::Segment;
use crate::error::Result;

/// What is left of a document when only what lies under these paths is kept, in its order and with the maps and arrays
/// around it. In an array a whole number keeps that element, other names keep what is under them in each element. What has
/// nothing to keep is left out.
pub(crate) fn project(document: &[u8], paths: &[Path]) -> Result<Vec<u8>> {
    let paths: Vec<&[Segment]> = paths.iter().map(Path::segments).collect();
    let mut kept = Vec::new();
    if !keep(&mut Reader::new(document), &paths, &mut kept)? {
        kept.clear();
        Encoder::new(&mut kept).map(0).map_err(failed)?;
    }
    Ok(kept)
}

/// Appends what is kept of the next item, and says whether anything is. None of the paths is empty.
fn keep(reader: &mut Reader<'_>, paths: &[&[Segment]], out: &mut Vec<u8>) -> Result<bool> {
    let mut inner = Vec::new();
    let mut count = 0_u64;
    match reader.head()? {
        Head::Map(len) => {
            for _ in 0..len {
                let start = reader.at();
                let name = reader.name()?;
                let under = under(paths, |segment| segment.name.as_bytes() == name);
                let (name, before) = (reader.since(start), inner.len());
                inner.extend_from_slice(name);
                if keep_under(reader, &under, &mut inner)? {
                    count += 1;
                } else {
                    inner.truncate(before);
                }
            }
            if count > 0 {
                Encoder::new(&mut *out).map(count).map_err(failed)?;
            }
        }
        Head::Array(len) => {
            let inside: Vec<_> =
                paths.iter().copied().filter(|path| matches!(path, [Segment { place: None, .. }, ..])).collect();
            for number in 0..len {
                let mut under = under(paths, |segment| segment.place.is_some_and(|place| u64::from(place) == number));
                // An array that is an element is not looked into, unless by its place.
                if !reader.is_at_array() {
                    under.extend(&inside);
                }
                let before = inner.len();
                if keep_under(reader, &under, &mut inner)? {
                    count += 1;
                } else {
                    inner.truncate(before);
                }
            }
            if count > 0 {
                Encoder::new(&mut *out).array(count).map_err(failed)?;
            }
        }
        _ => {}
    }
    out.extend_from_slice(&inner);
    Ok(count > 0)
}

/// Appends the next item whole if one of the paths ends here, and otherwise what they keep of it.
fn keep_under(reader: &mut Reader<'_>, paths: &[&[Segment]], out: &mut Vec<u8>) -> Result<bool> {
    if paths.is_empty() {
        reader.item()?;
        return Ok(false);
    }
    if paths.iter().any(|path| path.is_empty()) {
        out.extend_from_slice(reader.item()?);
        return Ok(true);
    }
    keep(reader, paths, out)
}

/// What is left of the paths whose first name is meant.
fn under<'p>(paths: &[&'p [Segment]], is_meant: impl Fn(&Segment) -> bool) -> Vec<&'p [Segment]> {
    let left = |path: &&'p [Segment]| path.split_first().filter(|(first, _)| is_meant(first)).map(|(_, left)| left);
    paths.iter().filter_map(left).collect()
}
