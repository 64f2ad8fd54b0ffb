//! Reading an increment, from bytes in pieces of any size.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::header::{self, HEADER_BYTES, Header, NoHeader, Place};
#[cfg(feature = "encryption")]
use super::sealed::{KEYS_BYTES_MAX, Opener, Records};
use super::{BODY_BYTES_MAX, End, History, Kind, RECORD_HEADER_BYTES};
use crate::codec::bytes::Reader;
use crate::codec::checksum::crc32;
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// No commit is longer: a transaction is limited far below.
const COMMIT_BYTES_MAX: usize = 1 << 30;

/// What comes next in an increment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Whose it is, and the commit that it goes on after.
    Begins { database_id: [u8; 16], after: Place },
    /// Which history its commits are part of.
    History(History),
    /// A value of the commit to come begins, with its length.
    ValueBegins(u64),
    /// Some of its bytes.
    ValuePiece(Vec<u8>),
    /// All of them have come.
    ValueEnds,
    /// There is nothing of it.
    ValueGone,
    /// A commit, with its payload as it was in the log.
    Commit { at: Place, payload: Vec<u8> },
    /// That was all.
    Ends(End),
}

/// Takes an increment apart. Whatever bytes it is given, it gives events in an order that an [`Encoder`](super::Encoder) may
/// have made, or an error; nothing follows an error.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    /// How many of them were passed.
    passed: usize,
    /// Where in the increment the first one that was not passed is.
    offset: u64,
    chain: Option<u32>,
    /// The last commit, or the one that all goes on after.
    at: Option<Place>,
    /// How much of the value under way is still to come.
    value: Option<u64>,
    /// A value has come in full, or is gone, and was not told yet.
    value_ended: bool,
    commit: Option<Vec<u8>>,
    commits: u64,
    /// It has said of which history it is.
    has_history: bool,
    ended: bool,
    #[cfg(feature = "encryption")]
    opener: Opener,
    #[cfg(feature = "encryption")]
    records: Option<Records>,
}

impl Decoder {
    /// Of an increment that this opens, if it is sealed.
    #[cfg(feature = "encryption")]
    pub(crate) fn opened_by(opener: Opener) -> Self {
        Self { opener, ..Self::default() }
    }

    /// Takes more bytes of the increment.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.passed.min(self.bytes.len()));
        self.passed = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.passed..).unwrap_or_default()
    }

    /// What comes next; `None` until there are more bytes.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        if core::mem::take(&mut self.value_ended) {
            return Ok(Some(Event::ValueEnds));
        }
        loop {
            let Some(chain) = self.chain else { return self.header() };
            let bytes = self.rest();
            if self.ended {
                return if bytes.is_empty() { Ok(None) } else { Err(self.damaged("bytes follow its end")) };
            }
            let mut reader = Reader::new(bytes);
            let (Some(checksum), Some(word)) = (reader.u32(), reader.u32()) else { return Ok(None) };
            let (len, code) = ((word & 0x00ff_ffff) as usize, word >> 24);
            let kind = match Kind::from_code(code) {
                Some(kind) if len <= BODY_BYTES_MAX => kind,
                _ => return Err(self.damaged("no record begins there")),
            };
            let Some(body) = reader.take(len) else { return Ok(None) };
            let covered = bytes.get(4..RECORD_HEADER_BYTES + len).unwrap_or_default();
            if crc32(&[&chain.to_le_bytes(), covered]) != checksum && !Mutant::IncrementUnverified.is_active() {
                return Err(self.damaged("the checksum of a record is wrong"));
            }
            #[cfg_attr(not(feature = "encryption"), allow(unused_mut, reason = "nothing is sealed"))]
            let mut body = body.to_vec();
            #[cfg(feature = "encryption")]
            if let Some(records) = &mut self.records {
                let opened = records.open(kind, &body);
                body = opened.ok_or_else(|| self.damaged("a record is not what was sealed"))?;
            }
            let event = self.record(kind, body)?;
            self.chain = Some(checksum);
            self.pass(RECORD_HEADER_BYTES + len);
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// That no more bytes will come. Before the end that an increment names, it was cut.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.ended && self.rest().is_empty() {
            return Ok(());
        }
        Err(self.damaged("it was cut: what follows is missing"))
    }

    fn header(&mut self) -> Result<Option<Event>> {
        let bytes = self.rest();
        let magic = header::MAGIC.get(..bytes.len().min(header::MAGIC.len())).unwrap_or_default();
        if bytes.len() < HEADER_BYTES && bytes.starts_with(magic) {
            return Ok(None);
        }
        match header::decode(bytes) {
            Ok(Header { database_id, after, checksum, keys_len }) => {
                #[cfg(feature = "encryption")]
                let (checksum, passed) = {
                    let Some((keys, chain, passed)) = self.keys(checksum, keys_len)? else { return Ok(None) };
                    self.records = Records::open_with(&self.opener, &database_id, after, &keys)?;
                    (chain, passed)
                };
                #[cfg(not(feature = "encryption"))]
                let passed = match keys_len {
                    0 => HEADER_BYTES,
                    _ => {
                        return Err(Error::Unsupported {
                            what: String::from("an encrypted increment"),
                            remedy: "build lightning-db with the feature 'encryption'",
                        });
                    }
                };
                (self.chain, self.at) = (Some(checksum), Some(after));
                self.pass(passed);
                Ok(Some(Event::Begins { database_id, after }))
            }
            Err(NoHeader::Foreign) => {
                Err(Error::NotADatabase { found: String::from("something else than an increment") })
            }
            Err(NoHeader::Newer(version)) => Err(Error::Unsupported {
                what: format!("version {version} of increments"),
                remedy: "use the version of this program that made it, or a newer one",
            }),
            Err(NoHeader::Damaged) => Err(self.damaged("its header is wrong")),
        }
    }

    /// The keys behind a header of this checksum, the checksum to go on from, and where they end; `None` until they have come.
    #[cfg(feature = "encryption")]
    fn keys(&self, checksum: u32, keys_len: usize) -> Result<Option<(Vec<u8>, u32, usize)>> {
        if keys_len == 0 {
            return Ok(Some((Vec::new(), checksum, HEADER_BYTES)));
        }
        if keys_len > KEYS_BYTES_MAX {
            return Err(self.damaged("its keys are longer than any"));
        }
        let mut reader = Reader::new(self.rest().get(HEADER_BYTES..).unwrap_or_default());
        let (Some(keys), Some(stored)) = (reader.take(keys_len), reader.u32()) else { return Ok(None) };
        if crc32(&[&checksum.to_le_bytes(), keys]) != stored {
            return Err(self.damaged("the checksum of its keys is wrong"));
        }
        Ok(Some((keys.to_vec(), stored, HEADER_BYTES + keys_len + 4)))
    }

    fn record(&mut self, kind: Kind, body: Vec<u8>) -> Result<Option<Event>> {
        let mut reader = Reader::new(&body);
        if self.has_history == (kind == Kind::History) {
            return Err(self.damaged("it does not say, once, of which history it is"));
        }
        match (kind, self.value) {
            (Kind::History, _) => {
                let history = (|| {
                    let incarnation = reader.u64()?;
                    let mut ancestors = Vec::new();
                    while !reader.is_empty() {
                        ancestors.push((reader.u64()?, reader.counter()?));
                    }
                    Some(History { incarnation, ancestors })
                })();
                self.has_history = true;
                let history = history.ok_or_else(|| self.damaged("its history is malformed"))?;
                Ok(Some(Event::History(history)))
            }
            (Kind::ValueBegins, None) if self.commit.is_none() => {
                let len = reader.u64().filter(|_| reader.is_empty());
                let len = len.ok_or_else(|| self.damaged("a value's length is missing"))?;
                self.value = (len > 0).then_some(len);
                self.value_ended = len == 0;
                Ok(Some(Event::ValueBegins(len)))
            }
            (Kind::ValuePiece, Some(rest)) => {
                let rest = rest.checked_sub(body.len() as u64).filter(|_| !body.is_empty());
                let rest = rest.ok_or_else(|| self.damaged("a value is longer than it says"))?;
                self.value = (rest > 0).then_some(rest);
                self.value_ended = rest == 0;
                Ok(Some(Event::ValuePiece(body)))
            }
            (Kind::ValueGone, Some(_)) if body.is_empty() => {
                self.value = None;
                Ok(Some(Event::ValueGone))
            }
            (Kind::CommitPiece | Kind::CommitEnds, None) => {
                let mut payload = self.commit.take().unwrap_or_default();
                if payload.len() + body.len() > COMMIT_BYTES_MAX {
                    return Err(self.damaged("a commit is longer than any"));
                }
                payload.extend_from_slice(&body);
                if kind == Kind::CommitPiece {
                    self.commit = Some(payload);
                    return Ok(None);
                }
                let at = self.place(&mut Reader::new(&payload))?;
                if self.at.is_some_and(|before| before.sequence.checked_add(1) != Some(at.sequence)) {
                    return Err(self.damaged("a commit is missing"));
                }
                self.at = Some(at);
                self.commits += 1;
                payload.drain(..16);
                Ok(Some(Event::Commit { at, payload }))
            }
            (Kind::End, None) if self.commit.is_none() => {
                let at = self.place(&mut reader)?;
                let (time_ms, commits) = (reader.u64(), reader.u64());
                let (Some(time_ms), Some(commits), true) = (time_ms, commits, reader.is_empty()) else {
                    return Err(self.damaged("its end is malformed"));
                };
                if self.at.is_some_and(|last| last.sequence != at.sequence) || commits != self.commits {
                    return Err(self.damaged("it ends elsewhere than it says"));
                }
                self.ended = true;
                Ok(Some(Event::Ends(End { at, time_ms, commits })))
            }
            _ => Err(self.damaged("a record stands where none of its kind may")),
        }
    }

    fn place(&self, reader: &mut Reader<'_>) -> Result<Place> {
        let place = (|| Some(Place { incarnation: reader.u64()?, sequence: reader.counter()? }))();
        place.ok_or_else(|| self.damaged("the number of a commit is missing"))
    }

    fn pass(&mut self, len: usize) {
        self.passed += len;
        self.offset += len as u64;
    }

    #[cold]
    fn damaged(&self, what: &str) -> Error {
        Error::DamagedBackup { offset: self.offset, what: String::from(what) }
    }
}
