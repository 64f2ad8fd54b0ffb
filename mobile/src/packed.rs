//! Many byte strings in one: each with its length before it, 4 bytes, lowest first.

use lightning_db::Result;

use crate::objects::invalid;

/// In the place of a length: there is none.
const MISSING: u32 = u32::MAX;

/// Appends one.
pub fn push(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let len = u32::try_from(bytes.len()).ok().filter(|len| *len != MISSING);
    let len = len.ok_or_else(|| invalid("a record of 4 GiB does not cross at once; read it piece by piece"))?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends that there is none.
pub fn push_missing(out: &mut Vec<u8>) {
    out.extend_from_slice(&MISSING.to_le_bytes());
}

/// Reads them, one after the other.
pub struct Unpacked<'a>(&'a [u8]);

impl<'a> Unpacked<'a> {
    pub fn new(packed: &'a [u8]) -> Self {
        Self(packed)
    }

    /// The next so many bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or_else(|| invalid("packed bytes end within a record"))?;
        self.0 = rest;
        Ok(bytes)
    }

    /// The next number.
    pub fn number(&mut self) -> Result<u64> {
        Ok(self.take(8)?.try_into().map(u64::from_le_bytes).unwrap_or_default())
    }

    /// The next string, which must be there.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        self.next().unwrap_or(Ok(None))?.ok_or_else(|| invalid("packed bytes lack a record"))
    }

    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Iterator for Unpacked<'a> {
    type Item = Result<Option<&'a [u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_at_end() {
            return None;
        }
        let mut read = || {
            let len = self.take(4)?.try_into().map(u32::from_le_bytes).unwrap_or(MISSING);
            if len == MISSING { Ok(None) } else { self.take(len as usize).map(Some) }
        };
        let read = read();
        if read.is_err() {
            self.0 = &[];
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        let mut packed = Vec::new();
        push(&mut packed, b"one").unwrap();
        push_missing(&mut packed);
        push(&mut packed, b"").unwrap();
        let all: Result<Vec<_>> = Unpacked::new(&packed).collect();
        assert_eq!(all.unwrap(), [Some(&b"one"[..]), None, Some(&b""[..])]);
    }

    #[test]
    fn what_is_cut_is_refused_once() {
        let mut packed = Vec::new();
        push(&mut packed, b"one").unwrap();
        for len in 1..packed.len() {
            let all: Vec<_> = Unpacked::new(&packed[..len]).collect();
            assert!(matches!(all.as_slice(), [Err(_)]), "{len}");
        }
    }
}
