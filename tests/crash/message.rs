//! What a child tells its parent, framed: kind, length, bytes.

use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

use crate::model::RecordKey;
use crate::phase::Phase;

/// Records in one message at most.
pub const RECORDS_MAX: usize = 1000;
const RECORD_BYTES: usize = 20;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The stage of opening that was to be told of begins.
    Stage,
    /// The database is open; it took so many microseconds.
    Opened { micros: u64 },
    /// A finding of `check`.
    Problem(String),
    /// Records in key order, with the digests of their values.
    Records(Vec<(RecordKey, u64)>),
    /// How far each writer is, by its own row; the sum under `u32::MAX`.
    Heads(Vec<(u32, u64)>),
    /// The whole database was told.
    Dumped,
    /// The answer to the question.
    Phase(Phase),
    /// `close` is called now.
    Closing,
    /// It returned.
    Closed,
    /// Something failed that must not.
    Failed(String),
}

/// The child's end: several threads send.
pub struct Sender(Mutex<io::Stdout>);

impl Sender {
    pub fn new() -> Self {
        Self(Mutex::new(io::stdout()))
    }

    /// A parent that is gone hears nothing, and the child ends as its standard input does.
    pub fn send(&self, message: &Message) {
        let (kind, body) = message.encode();
        let mut framed = vec![kind];
        framed.extend_from_slice(&(body.len() as u32).to_le_bytes());
        framed.extend_from_slice(&body);
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        _ = out.write_all(&framed);
        _ = out.flush();
    }
}

impl Message {
    fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Opened { micros } => (0, micros.to_le_bytes().to_vec()),
            Self::Problem(text) => (1, text.clone().into_bytes()),
            Self::Records(records) => {
                let mut bytes = Vec::with_capacity(records.len() * RECORD_BYTES);
                for ((writer, slot), digest) in records {
                    bytes.extend_from_slice(&writer.to_le_bytes());
                    bytes.extend_from_slice(&slot.to_le_bytes());
                    bytes.extend_from_slice(&digest.to_le_bytes());
                }
                (2, bytes)
            }
            Self::Heads(heads) => {
                let each = |(writer, number): &(u32, u64)| [&writer.to_le_bytes()[..], &number.to_le_bytes()].concat();
                (3, heads.iter().flat_map(each).collect())
            }
            Self::Dumped => (4, Vec::new()),
            Self::Phase(phase) => (5, phase.0.to_le_bytes().to_vec()),
            Self::Closing => (6, Vec::new()),
            Self::Closed => (7, Vec::new()),
            Self::Stage => (9, Vec::new()),
            Self::Failed(text) => (8, text.clone().into_bytes()),
        }
    }

    /// Reads one message; `None` at the end of the stream, also inside a message: its sender was killed.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; 5];
        match read_whole(from, &mut head).and_then(|whole| {
            let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; if whole { len } else { 0 }];
            Ok((whole && read_whole(from, &mut body)?).then_some(body))
        })? {
            None => Ok(None),
            Some(body) => Self::decode(head[0], &body)
                .map(Some)
                .ok_or_else(|| io::Error::other(format!("message of kind {}", head[0]))),
        }
    }

    fn decode(kind: u8, body: &[u8]) -> Option<Self> {
        let word = |at: usize| body.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let half = |at: usize| body.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let text = || String::from_utf8_lossy(body).into_owned();
        Some(match kind {
            0 => Self::Opened { micros: word(0)? },
            1 => Self::Problem(text()),
            2 => {
                let each = (0..body.len() / RECORD_BYTES).map(|i| i * RECORD_BYTES);
                Self::Records(each.map(|at| Some(((half(at)?, word(at + 4)?), word(at + 12)?))).collect::<Option<_>>()?)
            }
            3 => Self::Heads(
                (0..body.len() / 12).map(|i| Some((half(i * 12)?, word(i * 12 + 4)?))).collect::<Option<_>>()?,
            ),
            4 => Self::Dumped,
            5 => Self::Phase(Phase(half(0)?)),
            6 => Self::Closing,
            7 => Self::Closed,
            8 => Self::Failed(text()),
            9 => Self::Stage,
            _ => return None,
        })
    }
}

fn read_whole(from: &mut impl Read, buf: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buf) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_sent_and_cut_ones_not_at_all() {
        let messages = [
            Message::Opened { micros: 5 },
            Message::Stage,
            Message::Problem("a".into()),
            Message::Records(vec![((1, 2), 3), ((4, 5), 6)]),
            Message::Heads(vec![(0, 9), (u32::MAX, 10)]),
            Message::Dumped,
            Message::Phase(Phase(77)),
            Message::Closing,
            Message::Closed,
            Message::Failed("b".into()),
        ];
        for message in messages {
            let (kind, body) = message.encode();
            let framed = [&[kind][..], &(body.len() as u32).to_le_bytes(), &body].concat();
            assert_eq!(Message::read(&mut &framed[..]).unwrap(), Some(message));
            assert_eq!(Message::read(&mut &framed[..framed.len() - 1]).unwrap(), None);
        }
    }
}
