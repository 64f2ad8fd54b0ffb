//! Paths: which field of a document is meant.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::str::FromStr;

use crate::error::{Error, Result};

/// Bytes of a path as text.
const TEXT_BYTES_MAX: usize = 255;
/// Names in one path.
const SEGMENTS_MAX: usize = 16;

/// The way to a field of a document: names with dots between them, from the outermost in.
///
/// In a map a name is that of a field. In an array a whole number selects the element of that place, counted from 0, and
/// any other name is looked for in each element. A dot that belongs to a name is written `\.`, a backslash `\\`. A path has
/// at most 16 names and 255 bytes, and no name is empty.
///
/// Paths are ordered by their names, so a path stands right before those that it is the beginning of.
///
/// ```
/// # use lightning_db::Path;
/// let path = Path::parse(r"address.lines.0.v1\.2")?;
/// assert_eq!(path.names().collect::<Vec<_>>(), ["address", "lines", "0", "v1.2"]);
/// assert_eq!(path.to_string(), r"address.lines.0.v1\.2");
/// assert!(Path::parse("a..b").is_err());
/// # Ok::<(), lightning_db::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// At least one.
    segments: Box<[Segment]>,
}

/// One name of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Segment {
    /// Never empty.
    pub name: Box<str>,
    /// The place in an array that the name stands for. Follows from the name, so it takes no part in the order.
    pub place: Option<u32>,
}

impl Path {
    /// Reads a path from its text.
    pub fn parse(text: &str) -> Result<Self> {
        limited("the length of a path in bytes", text.len(), TEXT_BYTES_MAX)?;
        let (mut names, mut name) = (Vec::new(), String::new());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '.' => names.push(core::mem::take(&mut name)),
                '\\' => match letters.next() {
                    Some(escaped @ ('.' | '\\')) => name.push(escaped),
                    _ => return Err(not_a_path(text, "a backslash stands before a dot or another backslash")),
                },
                plain => name.push(plain),
            }
        }
        names.push(name);
        Self::of(names.iter().map(String::as_str))
    }

    /// A path of these names, each as it is in the document, nothing escaped.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self> {
        let path = Self { segments: names.into_iter().take(SEGMENTS_MAX + 1).map(Segment::new).collect() };
        limited("the number of names in a path", path.segments.len(), SEGMENTS_MAX)?;
        limited("the length of a path in bytes", path.text_bytes(), TEXT_BYTES_MAX)?;
        if path.segments.is_empty() || path.names().any(str::is_empty) {
            return Err(not_a_path(&path.to_string(), "no name in it may be empty"));
        }
        Ok(path)
    }

    /// The names, from the outermost in, nothing escaped.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.segments.iter().map(|segment| &*segment.name)
    }

    /// The names with the places they stand for.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Bytes of the path as text.
    fn text_bytes(&self) -> usize {
        let escaped = |name: &str| name.len() + name.bytes().filter(|byte| matches!(byte, b'.' | b'\\')).count();
        self.names().map(escaped).sum::<usize>() + self.segments.len().saturating_sub(1)
    }
}

impl Segment {
    fn new(name: &str) -> Self {
        // One form for each place: neither "+1" nor "01".
        let is_place = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
        Self { name: name.into(), place: if is_place { name.parse().ok() } else { None } }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names().enumerate() {
            if place > 0 {
                f.write_char('.')?;
            }
            for letter in name.chars() {
                if matches!(letter, '.' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Path {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cold]
fn not_a_path(text: &str, why: &str) -> Error {
    Error::invalid(format!("\"{text}\" is no path: {why}"))
}

fn limited(what: &'static str, value: usize, limit: usize) -> Result<()> {
    if value > limit { Err(Error::LimitExceeded { what, value: value as u64, limit: limit as u64 }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        Path::parse(text).unwrap().names().map(String::from).collect()
    }

    #[test]
    fn names_are_parted_by_dots_that_are_not_escaped() {
        assert_eq!(names("a"), ["a"]);
        assert_eq!(names("a.b.c"), ["a", "b", "c"]);
        assert_eq!(names(r"a\.b.c\\.d"), ["a.b", r"c\", "d"]);
        assert_eq!(names("naïve. spaced "), ["naïve", " spaced "]);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b", r"a\", r"a\b"] {
            let told = Path::parse(text).unwrap_err().to_string();
            assert!(told.contains("is no path"), "{text}: {told}");
        }
        assert!(Path::of([]).is_err());
        assert!(Path::of(["a", ""]).is_err());
    }

    #[test]
    fn paths_have_limits() {
        let text = "a".repeat(255);
        assert_eq!(Path::parse(&text).unwrap().to_string(), text);
        assert_eq!(Path::parse(&"a".repeat(256)).unwrap_err().name(), "LimitExceeded");
        // Escaped it would be longer.
        assert_eq!(Path::of([".".repeat(128).as_str()]).unwrap_err().name(), "LimitExceeded");
        assert!(Path::parse(&["a"; 16].join(".")).is_ok());
        assert_eq!(Path::parse(&["a"; 17].join(".")).unwrap_err().name(), "LimitExceeded");
    }

    #[test]
    fn whole_numbers_are_places() {
        let places = |text: &str| Path::parse(text).unwrap().segments().iter().map(|s| s.place).collect::<Vec<_>>();
        assert_eq!(places("a.0.17.4294967295"), [None, Some(0), Some(17), Some(u32::MAX)]);
        assert_eq!(places("00.+1.-1.4294967296.1e3"), [None; 5]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_with_one_form_or_an_error(text in r"[ab.\\0é]{0,12}", other in r"[ab.\\0]{0,6}") {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(path.to_string(), text);
                prop_assert_eq!(&Path::of(path.names()).unwrap(), &path);
                if let Ok(other) = Path::parse(&other) {
                    prop_assert_eq!(path.cmp(&other), path.names().cmp(other.names()));
                }
            }
        }
    }
}
