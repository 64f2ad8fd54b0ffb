//! Stepping over CBOR items, from the first byte of one to that of the next.

use alloc::format;

use super::{MICROS_PER_SECOND, TAG_EXTENDED_TIME, TAG_SECONDS, TAG_UUID};
use crate::error::{Error, Result};

/// What the head of an item says, with the content of those that hold no others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::document) enum Head<'a> {
    Unsigned(u64),
    /// The number is -1 less this.
    Negative(u64),
    Bytes(&'a [u8]),
    /// Not yet known to be UTF-8.
    Text(&'a [u8]),
    /// So many items follow.
    Array(u64),
    /// So many names and as many items follow.
    Map(u64),
    Bool(bool),
    Null,
    Float(f64),
    Timestamp(i64),
    Uuid(&'a [u8; 16]),
}

impl Head<'_> {
    /// How many items follow that belong to it.
    fn followers(self) -> u64 {
        match self {
            Self::Array(len) => len,
            Self::Map(len) => len.saturating_mul(2),
            _ => 0,
        }
    }
}

/// A place between items.
pub(in crate::document) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes before this place.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Whether the next item is an array.
    pub fn is_at_array(&self) -> bool {
        self.bytes.get(self.at).is_some_and(|first| first >> 5 == 4)
    }

    /// Steps over the next item if it is null.
    #[cfg(feature = "serde")]
    pub fn take_null(&mut self) -> bool {
        let is_null = self.bytes.get(self.at) == Some(&0xf6);
        self.at += usize::from(is_null);
        is_null
    }

    /// Steps over the next item and gives its text, if it is one of fewer than 256 bytes; anything else is for
    /// [`head`](Self::head), which takes longer.
    #[inline]
    pub fn take_short_text(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.bytes.get(self.at..)?.split_first()?;
        let (head, len, rest) = match first {
            0x60..0x78 => (1, usize::from(first - 0x60), rest),
            0x78 => {
                let (len, rest) = rest.split_first()?;
                (2, usize::from(*len), rest)
            }
            _ => return None,
        };
        let text = rest.get(..len)?;
        self.at += head + len;
        Some(text)
    }

    /// The same for a number that is neither negative nor a float.
    #[cfg(feature = "serde")]
    #[inline]
    pub fn take_unsigned(&mut self) -> Option<u64> {
        let (first, rest) = self.bytes.get(self.at..)?.split_first()?;
        let (len, number) = match first {
            0..0x18 => (1, u64::from(*first)),
            0x18 => (2, u64::from(*rest.first()?)),
            0x19 => (3, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            0x1a => (5, u64::from(u32::from_be_bytes(*rest.first_chunk()?))),
            0x1b => (9, u64::from_be_bytes(*rest.first_chunk()?)),
            _ => return None,
        };
        self.at += len;
        Some(number)
    }

    /// The same for a float of 64 bits, as which all are written.
    #[cfg(feature = "serde")]
    #[inline]
    pub fn take_float(&mut self) -> Option<f64> {
        let (first, rest) = self.bytes.get(self.at..)?.split_first()?;
        if *first != 0xfb {
            return None;
        }
        let float = f64::from_be_bytes(*rest.first_chunk()?);
        self.at += 9;
        Some(float)
    }

    /// The bytes from `start` to this place.
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// An error about this place.
    #[cold]
    pub fn refuse(&self, what: &str) -> Error {
        refused(self.at, what)
    }

    /// Reads the next head.
    #[inline]
    pub fn head(&mut self) -> Result<Head<'a>> {
        let start = self.at;
        let (major, info) = self.first()?;
        Ok(match major {
            0 => Head::Unsigned(self.argument(info)?),
            1 => Head::Negative(self.argument(info)?),
            2 => Head::Bytes(self.content(info)?),
            3 => Head::Text(self.content(info)?),
            4 => Head::Array(self.argument(info)?),
            5 => Head::Map(self.argument(info)?),
            6 => {
                let tag = self.argument(info)?;
                self.tagged(tag, start)?
            }
            _ => self.simple(info, start)?,
        })
    }

    /// Reads a name of a map.
    #[inline]
    pub fn name(&mut self) -> Result<&'a [u8]> {
        if let Some(name) = self.take_short_text() {
            return Ok(name);
        }
        let start = self.at;
        match self.first()? {
            (3, info) => self.content(info),
            _ => Err(refused(start, "the name of a field is not text")),
        }
    }

    /// Steps over the next item, whatever is in it, and gives its bytes.
    #[inline]
    pub fn item(&mut self) -> Result<&'a [u8]> {
        let start = self.at;
        if self.skip_plain() {
            return Ok(self.since(start));
        }
        let mut items = 1_u64;
        while items > 0 {
            // Ends in time: every item has a byte.
            items = (items - 1).saturating_add(self.head()?.followers());
        }
        Ok(self.since(start))
    }

    /// Steps over the next item if it is what most fields are: a number, short text, a truth value or null. Filters step over all
    /// fields before the one that they are about.
    #[inline]
    fn skip_plain(&mut self) -> bool {
        let Some((first, rest)) = self.bytes.get(self.at..).and_then(<[u8]>::split_first) else { return false };
        let after = match first {
            0x00..0x18 | 0x20..0x38 | 0xf4..=0xf6 => 0,
            0x18 | 0x38 => 1,
            0x19 | 0x39 => 2,
            0x1a | 0x3a => 4,
            0x1b | 0x3b | 0xfb => 8,
            0x60..0x78 => usize::from(first - 0x60),
            0x78 => match rest.first() {
                Some(len) => 1 + usize::from(*len),
                None => return false,
            },
            _ => return false,
        };
        let is_whole = after <= rest.len();
        if is_whole {
            self.at += 1 + after;
        }
        is_whole
    }

    #[inline]
    fn first(&mut self) -> Result<(u8, u8)> {
        let Some(&first) = self.bytes.get(self.at) else { return Err(self.ended()) };
        self.at += 1;
        Ok((first >> 5, first & 0x1f))
    }

    /// The number behind the first byte of a head.
    #[inline]
    fn argument(&mut self, info: u8) -> Result<u64> {
        Ok(match info {
            0..24 => u64::from(info),
            24 => u64::from(u8::from_be_bytes(self.fixed()?)),
            25 => u64::from(u16::from_be_bytes(self.fixed()?)),
            26 => u64::from(u32::from_be_bytes(self.fixed()?)),
            27 => u64::from_be_bytes(self.fixed()?),
            31 => {
                return Err(refused(
                    self.at - 1,
                    "its length is not given at the front; write it with a definite length",
                ));
            }
            _ => return Err(refused(self.at - 1, "the first byte has no meaning")),
        })
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let fixed = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk());
        let Some(fixed) = fixed else { return Err(self.ended()) };
        self.at += N;
        Ok(*fixed)
    }

    #[inline]
    fn content(&mut self, info: u8) -> Result<&'a [u8]> {
        let len = self.argument(info)?;
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let content = end.and_then(|end| Some((end, self.bytes.get(self.at..end)?)));
        let Some((end, content)) = content else { return Err(self.ended()) };
        self.at = end;
        Ok(content)
    }

    fn simple(&mut self, info: u8, start: usize) -> Result<Head<'a>> {
        Ok(match info {
            20 => Head::Bool(false),
            21 => Head::Bool(true),
            22 => Head::Null,
            23 => return Err(refused(start, "undefined is no value; leave the field out or write null")),
            25 => Head::Float(from_half(u16::from_be_bytes(self.fixed()?))),
            26 => Head::Float(f64::from(f32::from_be_bytes(self.fixed()?))),
            27 => Head::Float(f64::from_be_bytes(self.fixed()?)),
            31 => return Err(refused(start, "an end without a beginning")),
            _ => return Err(refused(start, "a simple value that has no meaning")),
        })
    }

    fn tagged(&mut self, tag: u64, start: usize) -> Result<Head<'a>> {
        match tag {
            TAG_SECONDS => {
                let seconds = self.integer_of(start, "a timestamp is an integer of seconds")?;
                timestamp(seconds, 0, start)
            }
            TAG_EXTENDED_TIME => {
                const WRONG: &str = "a timestamp is the map {1: seconds, -6: microseconds}";
                let (major, info) = self.first()?;
                if major != 5
                    || self.argument(info)? != 2
                    || self.integer_of(start, WRONG)? != i128::from(super::TIME_SECONDS)
                {
                    return Err(refused(start, WRONG));
                }
                let seconds = self.integer_of(start, WRONG)?;
                if self.integer_of(start, WRONG)? != i128::from(super::TIME_MICROS) {
                    return Err(refused(start, WRONG));
                }
                let micros = self.integer_of(start, WRONG)?;
                if !(0..i128::from(MICROS_PER_SECOND)).contains(&micros) {
                    return Err(refused(start, "the microseconds of a timestamp are not below a million"));
                }
                timestamp(seconds, micros, start)
            }
            TAG_UUID => {
                let (major, info) = self.first()?;
                let uuid = if major == 2 { self.content(info)?.try_into().ok() } else { None };
                uuid.map(Head::Uuid).ok_or_else(|| refused(start, "a UUID is 16 bytes"))
            }
            _ => Err(refused(start, &format!("tag {tag} is none of 1 and 1001 (timestamp) and 37 (UUID)"))),
        }
    }

    /// Only what the first bytes say, so that tags do not lie within each other.
    fn integer_of(&mut self, start: usize, otherwise: &str) -> Result<i128> {
        match self.first()? {
            (0, info) => Ok(i128::from(self.argument(info)?)),
            (1, info) => Ok(-1 - i128::from(self.argument(info)?)),
            _ => Err(refused(start, otherwise)),
        }
    }

    #[cold]
    fn ended(&self) -> Error {
        refused(self.bytes.len(), "the bytes end before what they announce")
    }
}

fn timestamp<'a>(seconds: i128, micros: i128, start: usize) -> Result<Head<'a>> {
    i64::try_from(seconds * i128::from(MICROS_PER_SECOND) + micros)
        .map(Head::Timestamp)
        .map_err(|_| refused(start, "a timestamp is further from 1970 than 292 000 years"))
}

#[cold]
fn refused(at: usize, what: &str) -> Error {
    Error::invalid(format!("not the CBOR of a document, at byte {at}: {what}"))
}

/// A float of 16 bits, exactly.
fn from_half(bits: u16) -> f64 {
    let (exponent, fraction) = (bits >> 10 & 0x1f, f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction / 16_777_216.0,
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * f64::from_bits(u64::from(exponent + 1023 - 25) << 52),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}
