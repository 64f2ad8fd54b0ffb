//! A CBOR sequence (RFC 8742): documents one after another, nothing between them.

use std::io::{BufReader, Read};

use super::Wrong;

/// Bytes of a document, as the engine limits them.
const DOCUMENT_BYTES_MAX: usize = 16 << 20;

pub(super) struct Cbor<R> {
    input: BufReader<R>,
    buffer: Vec<u8>,
    /// The record just read is at the front of the buffer and has this length.
    len: usize,
    begin: u64,
    number: u64,
}

impl<R: Read> Cbor<R> {
    /// Reads on behind `number` records.
    pub fn new(input: BufReader<R>, number: u64) -> Self {
        Self { input, buffer: Vec::new(), len: 0, begin: 0, number }
    }

    /// Records read so far.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where the record just read begins and ends.
    pub fn span(&self) -> (u64, u64) {
        (self.begin, self.begin + self.len as u64)
    }

    pub fn advance(&mut self) -> Result<bool, Wrong> {
        self.begin += self.len as u64;
        self.buffer.drain(..self.len);
        self.len = 0;
        loop {
            match item_len(&self.buffer) {
                Ok(Some(len)) => {
                    self.len = len;
                    self.number += 1;
                    return Ok(true);
                }
                Ok(None) if self.buffer.len() > DOCUMENT_BYTES_MAX => {
                    return self
                        .broken("a document is longer than 16 MiB, or the file is no sequence of CBOR documents");
                }
                Ok(None) => {}
                Err(what) => return self.broken(what),
            }
            // As much again as there is, so that a long document is not gone through over and over.
            let more = self.buffer.len().max(1 << 16) as u64;
            let read = self.input.by_ref().take(more).read_to_end(&mut self.buffer).map_err(Wrong::Read)?;
            match (read, self.buffer.is_empty()) {
                (0, true) => return Ok(false),
                (0, false) => return self.broken("the file ends inside a document"),
                _ => {}
            }
        }
    }

    /// Where the next record would begin is not known.
    fn broken(&mut self, what: &str) -> Result<bool, Wrong> {
        self.number += 1;
        Err(Wrong::Broken(what.to_owned()))
    }

    pub fn document(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

/// The length of the CBOR item at the front; `None` if it goes on behind the end of `bytes`.
fn item_len(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let (mut at, mut left) = (0_usize, 1_u64);
    while left > 0 {
        left -= 1;
        let Some(&first) = bytes.get(at) else { return Ok(None) };
        at += 1;
        let width = match first & 0x1f {
            ..24 => 0,
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err("not a document: items of unknown length, or no CBOR at all"),
        };
        let Some(argument) = bytes.get(at..at + width) else { return Ok(None) };
        at += width;
        let argument = match width {
            0 => u64::from(first & 0x1f),
            _ => argument.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        };
        let more = match first >> 5 {
            2 | 3 => {
                let len = usize::try_from(argument).map_err(|_| "a text or bytes longer than 16 MiB")?;
                at = at.checked_add(len).ok_or("a text or bytes longer than 16 MiB")?;
                0
            }
            4 => argument,
            5 => argument.checked_mul(2).ok_or("a map of more fields than there can be")?,
            6 => 1,
            _ => 0,
        };
        left = left.checked_add(more).ok_or("an array of more elements than there can be")?;
    }
    Ok((at <= bytes.len()).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lightning_db::{Document, Value};

    #[test]
    fn documents_come_one_after_another_whatever_their_size() {
        let documents: Vec<Vec<u8>> = [0_usize, 10, 70_000, 3, 300_000]
            .map(|len| [("text", Value::from("x".repeat(len))), ("list", [1, 2].into_iter().collect())])
            .map(|fields| fields.into_iter().collect::<Value>().to_cbor().unwrap())
            .into();
        let bytes = documents.concat();
        let mut cbor = Cbor::new(BufReader::with_capacity(7, bytes.as_slice()), 0);
        let mut end = 0;
        for document in &documents {
            assert!(cbor.advance().is_ok_and(|is_there| is_there));
            assert_eq!(cbor.document(), document);
            assert_eq!(cbor.span(), (end, end + document.len() as u64));
            end = cbor.span().1;
        }
        assert!(cbor.advance().is_ok_and(|is_there| !is_there));
        assert_eq!(cbor.number(), 5);
    }

    #[test]
    fn what_is_no_sequence_is_broken() {
        for bytes in
            [b"\xa1\x61a".as_slice(), b"\xbf\xff", b"\xff", b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff", b"{\"a\":1}"]
        {
            let mut cbor = Cbor::new(BufReader::new(bytes), 0);
            assert!(matches!(cbor.advance(), Err(Wrong::Broken(_))), "{bytes:?}");
        }
    }
}
