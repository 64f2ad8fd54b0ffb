//! Where a key is encoded: on the stack while it is short.

use alloc::vec::Vec;
use core::fmt;

use crate::table::Lend;

/// Keys up to this length, table prefix included, are encoded without touching the heap.
const INLINE_LEN: usize = 64;

/// The bytes of one encoded key. Short keys live in the buffer itself, so encoding one costs a copy and no allocation.
#[derive(Clone)]
pub struct KeyBuffer {
    /// All the bytes, once they are more than `INLINE_LEN`; otherwise empty.
    spilled: Vec<u8>,
    inline: [u8; INLINE_LEN],
    inline_len: usize,
}

impl KeyBuffer {
    /// An empty buffer.
    #[inline]
    pub const fn new() -> Self {
        Self { spilled: Vec::new(), inline: [0; INLINE_LEN], inline_len: 0 }
    }

    /// The bytes so far.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        if self.spilled.is_empty() { self.inline.get(..self.inline_len).unwrap_or_default() } else { &self.spilled }
    }

    /// Bytes so far.
    #[inline]
    pub fn len(&self) -> usize {
        if self.spilled.is_empty() { self.inline_len } else { self.spilled.len() }
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    /// Appends bytes.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.spilled.is_empty() {
            let end = self.inline_len + bytes.len();
            if let Some(room) = self.inline.get_mut(self.inline_len..end) {
                room.copy_from_slice(bytes);
                self.inline_len = end;
                return;
            }
        }
        self.extend_on_heap(bytes);
    }

    /// Keeps the first `len` bytes; nothing happens if there are fewer.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        if len <= INLINE_LEN
            && let (Some(room), Some(kept)) = (self.inline.get_mut(..len), self.spilled.get(..len))
        {
            room.copy_from_slice(kept);
            self.spilled.clear();
        }
        if self.spilled.is_empty() {
            self.inline_len = len;
        } else {
            self.spilled.truncate(len);
        }
    }

    /// Turns the bytes into the smallest sequence greater than every sequence that begins with them. False, and empty,
    /// if there is none (all bytes are 0xFF).
    pub(crate) fn make_prefix_end(&mut self) -> bool {
        let kept = self.as_slice().iter().rposition(|&byte| byte != u8::MAX).map_or(0, |last| last + 1);
        self.truncate(kept);
        let bytes = if self.spilled.is_empty() {
            self.inline.get_mut(..self.inline_len).unwrap_or_default()
        } else {
            &mut self.spilled
        };
        match bytes.last_mut() {
            Some(last) => {
                *last += 1;
                true
            }
            None => false,
        }
    }

    #[cold]
    fn extend_on_heap(&mut self, bytes: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.reserve(self.inline_len + bytes.len());
            self.spilled.extend_from_slice(self.inline.get(..self.inline_len).unwrap_or_default());
        }
        self.spilled.extend_from_slice(bytes);
    }
}

impl Default for KeyBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl core::ops::Deref for KeyBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// An encoded key is a key of a table opened as bytes.
impl Lend<&[u8]> for KeyBuffer {
    #[inline]
    fn lend(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for KeyBuffer {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for KeyBuffer {}

impl fmt::Debug for KeyBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBuffer(\"{}\")", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_buffer_holds_what_was_appended_short_or_long(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5),
            cut in 0usize..200,
            tail in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let (mut buffer, mut model) = (KeyBuffer::new(), Vec::new());
            for part in &parts {
                buffer.extend(part);
                model.extend_from_slice(part);
                prop_assert_eq!(buffer.as_slice(), model.as_slice());
            }
            buffer.truncate(cut);
            model.truncate(cut);
            prop_assert_eq!(buffer.as_slice(), model.as_slice());
            buffer.extend(&tail);
            model.extend_from_slice(&tail);
            prop_assert_eq!(buffer.len(), model.len());
            prop_assert_eq!(buffer.as_slice(), model.as_slice());
        }

        #[test]
        fn a_prefix_end_parts_those_with_the_prefix_from_those_above(
            prefix in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff)], 0..90),
            other in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff)], 0..90),
        ) {
            let mut end = KeyBuffer::new();
            end.extend(&prefix);
            let bounded = end.make_prefix_end();
            let with_prefix = [prefix.as_slice(), other.as_slice()].concat();
            prop_assert!(!bounded || with_prefix.as_slice() < end.as_slice());
            if other > prefix && !other.starts_with(&prefix) {
                prop_assert!(bounded && other.as_slice() >= end.as_slice());
            }
        }
    }
}
