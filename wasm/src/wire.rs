//! How operations and answers cross between JavaScript and the engine: CBOR, in frames.
//!
//! ```text
//! request  = FRAME…      FRAME = length u32 LE, operation u8, its arguments one CBOR item after the other
//! response = FRAME…      FRAME = length u32 LE, status u8, one CBOR item
//! ```
//!
//! The length counts what follows it. An answer to each operation comes in the order of the request; status 0 is what it
//! gives, status 1 an error as `[name, is it retryable, field…]`, with the fields in the order in which `fields` writes them.
//! After the answers may come events of live results, status 2, as `[live result, …]`.

use lightning_db::{Document, DuplicateKey, Error, InvalidDocument, Result, Value};

pub const ANSWER: u8 = 0;
pub const FAILURE: u8 = 1;
pub const EVENT: u8 = 2;

pub const LENGTH_BYTES: usize = 4;

/// The arguments of one operation.
pub struct Arguments<'a>(&'a [u8]);

/// What the first byte of an item says it is (RFC 8949, section 3).
mod major {
    pub const UNSIGNED: u8 = 0;
    pub const NEGATIVE: u8 = 1;
    pub const BYTES: u8 = 2;
    pub const TEXT: u8 = 3;
    pub const ARRAY: u8 = 4;
    pub const MAP: u8 = 5;
    pub const TAG: u8 = 6;
}

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const UNDEFINED: u8 = 0xf7;

impl<'a> Arguments<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn number(&mut self) -> Result<u64> {
        self.of(major::UNSIGNED)
    }

    pub fn signed(&mut self) -> Result<i64> {
        let (major, argument) = self.head()?;
        let number = i64::try_from(argument).map_err(|_| malformed())?;
        match major {
            major::UNSIGNED => Ok(number),
            major::NEGATIVE => Ok(-1 - number),
            _ => Err(malformed()),
        }
    }

    pub fn handle(&mut self) -> Result<u32> {
        self.number()?.try_into().map_err(|_| malformed())
    }

    pub fn bool(&mut self) -> Result<bool> {
        match self.take(1)? {
            [FALSE] => Ok(false),
            [TRUE] => Ok(true),
            _ => Err(malformed()),
        }
    }

    pub fn text(&mut self) -> Result<&'a str> {
        let len = self.of(major::TEXT)?;
        core::str::from_utf8(self.take(len)?).map_err(|_| malformed())
    }

    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.of(major::BYTES)?;
        self.take(len)
    }

    /// How many items follow that belong together.
    pub fn list(&mut self) -> Result<u64> {
        self.of(major::ARRAY)
    }

    /// The next item as it is, unless it is null.
    pub fn optional_item(&mut self) -> Result<Option<&'a [u8]>> {
        let item = self.item()?;
        Ok((!matches!(item, [NULL | UNDEFINED])).then_some(item))
    }

    /// The next item as it is, unless it is undefined: null is a key.
    pub fn bound(&mut self) -> Result<Option<&'a [u8]>> {
        let item = self.item()?;
        Ok((item != [UNDEFINED]).then_some(item))
    }

    /// The next item as it is.
    pub fn item(&mut self) -> Result<&'a [u8]> {
        let begin = self.0;
        let mut items = 1_u64;
        while items > 0 {
            let (major, argument) = self.head()?;
            // Ends in time: every item has a byte.
            items = (items - 1).saturating_add(match major {
                major::BYTES | major::TEXT => {
                    self.take(argument)?;
                    0
                }
                major::ARRAY => argument,
                major::MAP => argument.saturating_mul(2),
                major::TAG => 1,
                _ => 0,
            });
        }
        begin.get(..begin.len() - self.0.len()).ok_or_else(malformed)
    }

    /// What an item of this kind says in its head.
    fn of(&mut self, major: u8) -> Result<u64> {
        match self.head()? {
            (found, argument) if found == major => Ok(argument),
            _ => Err(malformed()),
        }
    }

    fn head(&mut self) -> Result<(u8, u64)> {
        let &[first] = self.take(1)? else { return Err(malformed()) };
        let argument = match first & 0x1f {
            info @ 0..24 => u64::from(info),
            info @ 24..28 => {
                self.take(1 << (info - 24))?.iter().fold(0, |argument, byte| argument << 8 | u64::from(*byte))
            }
            // Lengths are given at the front.
            _ => return Err(malformed()),
        };
        Ok((first >> 5, argument))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let cut = usize::try_from(len).ok().and_then(|len| self.0.split_at_checked(len));
        let (taken, rest) = cut.ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn value(&mut self) -> Result<Value> {
        Value::from_cbor(self.item()?)
    }

    pub fn values(&mut self) -> Result<Vec<Value>> {
        (0..self.list()?).map(|_| self.value()).collect()
    }
}

/// An answer, or another list of items, that is being written.
pub struct Answer<'a>(&'a mut Vec<u8>);

impl<'a> Answer<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self(out)
    }

    /// What was written so far from there on.
    pub fn since(&self, begin: usize) -> &[u8] {
        self.0.get(begin..).unwrap_or_default()
    }

    /// Where what is written next begins.
    pub fn end(&self) -> usize {
        self.0.len()
    }

    /// Items that are CBOR already.
    pub fn raw(&mut self, items: &[u8]) -> &mut Self {
        self.0.extend_from_slice(items);
        self
    }

    /// The head of an item (RFC 8949, section 3), in its shortest form.
    fn head(&mut self, major: u8, argument: u64) -> &mut Self {
        let [.., b3, b2, b1, b0] = argument.to_be_bytes();
        match argument {
            0..24 => self.raw(&[major << 5 | b0]),
            24..0x100 => self.raw(&[major << 5 | 24, b0]),
            0x100..0x1_0000 => self.raw(&[major << 5 | 25, b1, b0]),
            0x1_0000..0x1_0000_0000 => self.raw(&[major << 5 | 26, b3, b2, b1, b0]),
            _ => self.raw(&[major << 5 | 27]).raw(&argument.to_be_bytes()),
        }
    }

    pub fn u64(&mut self, number: u64) -> &mut Self {
        self.head(0, number)
    }

    pub fn u32(&mut self, number: u32) -> &mut Self {
        self.head(0, number.into())
    }

    pub fn i64(&mut self, number: i64) -> &mut Self {
        if number < 0 { self.head(1, !number as u64) } else { self.head(0, number as u64) }
    }

    pub fn f64(&mut self, number: f64) -> &mut Self {
        self.raw(&[0xfb]).raw(&number.to_be_bytes())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(2, bytes.len() as u64).raw(bytes)
    }

    pub fn str(&mut self, text: &str) -> &mut Self {
        self.head(3, text.len() as u64).raw(text.as_bytes())
    }

    pub fn optional_str(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.str(text),
            None => self.null(),
        }
    }

    pub fn array(&mut self, len: u64) -> &mut Self {
        self.head(4, len)
    }

    pub fn map(&mut self, len: u64) -> &mut Self {
        self.head(5, len)
    }

    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(&[FALSE | u8::from(value)])
    }

    pub fn null(&mut self) -> &mut Self {
        self.raw(&[NULL])
    }

    pub fn undefined(&mut self) -> &mut Self {
        self.raw(&[UNDEFINED])
    }
}

/// Appends one frame, which `write` fills after its status.
pub fn frame(out: &mut Vec<u8>, status: u8, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    answer_frame(out, |out| write(out).map(|()| status))
}

/// Appends one frame, which `write` fills after its status, and says which that is.
pub fn answer_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<u8>) -> Result<()> {
    let begin = out.len();
    out.extend([0; LENGTH_BYTES + 1]);
    let status = write(out).inspect_err(|_| out.truncate(begin))?;
    let len = (out.len() - begin - LENGTH_BYTES) as u32;
    if let Some((length, [first, ..])) =
        out.get_mut(begin..).and_then(|frame| frame.split_first_chunk_mut::<LENGTH_BYTES>())
    {
        *length = len.to_le_bytes();
        *first = status;
    }
    Ok(())
}

/// A frame, and what follows it.
pub struct Frame<'a> {
    /// The operation, or the status.
    pub first: u8,
    pub body: &'a [u8],
    pub rest: &'a [u8],
}

/// The first frame; `None` at the end.
pub fn next_frame(frames: &[u8]) -> Option<Result<Frame<'_>>> {
    if frames.is_empty() {
        return None;
    }
    let cut = || {
        let (length, rest) = frames.split_first_chunk::<LENGTH_BYTES>()?;
        let (frame, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (first, body) = frame.split_first()?;
        Some(Frame { first: *first, body, rest })
    };
    Some(cut().ok_or_else(|| invalid("a request ends within an operation")))
}

/// Appends the frame of an error.
pub fn failure(out: &mut Vec<u8>, error: &Error) {
    #[cfg(feature = "encryption")]
    if crate::keys::lacking(out, error) {
        return;
    }
    let written = frame(out, FAILURE, |out| {
        let mut fields = Vec::new();
        let count = fields_of(error, &mut Answer::new(&mut fields));
        put(Answer::new(out).array(2 + count).str(error.name()).bool(error.is_retryable()).raw(&fields))
    });
    debug_assert!(written.is_ok(), "writing into memory does not fail");
}

/// What an error says beside its name, in the order of its fields; how many items.
fn fields_of(error: &Error, out: &mut Answer<'_>) -> u64 {
    let (count, _) = match error {
        Error::Storage(error) => (3, out.str(&error.message).u64(error.offset).u64(error.len)),
        Error::Corrupt(damage) => (2, out.str(&damage.what).u64(damage.offset)),
        Error::Unsupported { what, remedy } => (2, out.str(what).str(remedy)),
        #[cfg(feature = "encryption")]
        Error::WrongKey { what } => (1, out.str(what)),
        Error::NotADatabase { found: text }
        | Error::Locked { holder: text }
        | Error::Poisoned { cause: text }
        | Error::OutcomeUnknown { cause: text }
        | Error::Conflict { what: text }
        | Error::Invalid { what: text }
        | Error::Deadlock { key: text }
        | Error::NoSuchTable { table: text } => (1, out.str(text)),
        Error::NoLongerKept { oldest, asked } => (2, out.u64(*oldest).u64(*asked)),
        Error::HistoryForked { sequence, common } => match common {
            Some(common) => (2, out.u64(*sequence).u64(*common)),
            None => (1, out.u64(*sequence)),
        },
        Error::TransactionTimeout { limit_ms } => (1, out.u64(*limit_ms)),
        Error::LimitExceeded { what, value, limit } => (3, out.str(what).u64(*value).u64(*limit)),
        Error::TableTypeMismatch(mismatch) => {
            (3, out.str(&mismatch.table).str(&mismatch.recorded).str(&mismatch.requested))
        }
        Error::SchemaMismatch { collection, what } => (2, out.str(collection).str(what)),
        Error::SchemaTooNew { collection, found, known } => (3, out.str(collection).u32(*found).u32(*known)),
        Error::DuplicateKey(duplicate) => {
            let DuplicateKey { collection, index, value, key } = &**duplicate;
            (4, out.str(collection).str(index).str(value).str(key))
        }
        Error::InvalidDocument(invalid) => {
            let InvalidDocument { collection, field, key, what } = &**invalid;
            (4, out.str(collection).str(field).str(key).str(what))
        }
        Error::Unexpected { what, key } => (2, out.str(what).str(key)),
        Error::SnapshotExpired { .. } | Error::LimitReached { .. } => (1, out.str(&error.to_string())),
        _ => (0, out),
    };
    count
}

/// What writes into memory, which does not fail.
#[allow(clippy::unnecessary_wraps, reason = "so that what was written ends a function as anything else does")]
pub fn put(_: &mut Answer<'_>) -> Result<()> {
    Ok(())
}

#[cold]
pub fn invalid(what: &str) -> Error {
    Error::Invalid { what: what.to_owned() }
}

#[cold]
fn malformed() -> Error {
    invalid("an operation has other arguments than these")
}
