//! What lies under a path of a document, found in its bytes.

use alloc::vec::Vec;

use super::head::{Head, Reader};
use crate::document::Path;
use crate::document::path::Segment;
use crate::error::Result;

/// The items under a path: none where the path is not there, one, or, where it goes through arrays, any number.
#[derive(Debug, Default)]
pub(crate) struct Found<'a> {
    first: Option<&'a [u8]>,
    more: Vec<&'a [u8]>,
    /// Whether a name was looked for in every element of an array.
    pub crossed: bool,
}

impl<'a> Found<'a> {
    /// The CBOR of each item, in the order of the document.
    pub fn items(&self) -> impl Iterator<Item = &'a [u8]> {
        self.first.into_iter().chain(self.more.iter().copied())
    }

    /// The one item, where no array was crossed.
    pub fn single(&self) -> Option<&'a [u8]> {
        self.first.filter(|_| !self.crossed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn push(&mut self, item: &'a [u8]) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.more.push(item),
        }
    }
}

/// Finds what lies under `path`, and decodes nothing else. In an array a whole number selects an element, any other name is
/// looked for in each element that is a map; an array that is itself an element is not looked into. What is at the end of
/// the path is found as it is, be it an array.
///
/// The document is one that passed [`validate`](super::validate); from other bytes it may find things, or fail.
pub(crate) fn lookup<'a>(document: &'a [u8], path: &Path) -> Result<Found<'a>> {
    let mut found = Found::default();
    find(&mut Reader::new(document), path.segments(), false, &mut found)?;
    Ok(found)
}

/// The elements of an array, each as CBOR; `None` if the item is no array.
pub(crate) fn elements(item: &[u8]) -> Result<Option<Elements<'_>>> {
    let mut reader = Reader::new(item);
    Ok(match reader.head()? {
        Head::Array(left) => Some(Elements { reader, left }),
        _ => None,
    })
}

/// Items one after another.
pub(crate) struct Elements<'a> {
    reader: Reader<'a>,
    left: u64,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Result<&'a [u8]>> {
        self.left = self.left.checked_sub(1)?;
        let item = self.reader.item();
        if item.is_err() {
            self.left = 0;
        }
        Some(item)
    }
}

/// Leaves the reader anywhere.
fn find<'a>(reader: &mut Reader<'a>, names: &[Segment], is_element: bool, found: &mut Found<'a>) -> Result<()> {
    let Some((name, after)) = names.split_first() else {
        found.push(reader.item()?);
        return Ok(());
    };
    match (reader.head()?, name.place) {
        (Head::Map(len), _) => {
            for _ in 0..len {
                if reader.name()? == name.name.as_bytes() {
                    return find(reader, after, false, found);
                }
                reader.item()?;
            }
        }
        (Head::Array(len), Some(place)) if u64::from(place) < len => {
            for _ in 0..place {
                reader.item()?;
            }
            return find(reader, after, false, found);
        }
        (Head::Array(len), None) if !is_element => {
            found.crossed = true;
            for _ in 0..len {
                find(&mut Reader::new(reader.item()?), names, true, found)?;
            }
        }
        _ => {}
    }
    Ok(())
}
