//! A copy of a short value.

/// Longer values are held in their nodes. With the length beside them these bytes fill two cache lines.
const SHORT_BYTES_MAX: usize = 127;

/// A value copied out of its node: cheaper than to count a reader of the node, which another processor may do too.
#[derive(Clone)]
pub(crate) struct ShortValue {
    len: u8,
    bytes: [u8; SHORT_BYTES_MAX],
}

impl ShortValue {
    /// `None` when the value is longer.
    #[inline]
    pub(crate) fn new(value: &[u8]) -> Option<Self> {
        let len = u8::try_from(value.len()).ok()?;
        let mut bytes = [0; SHORT_BYTES_MAX];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { len, bytes })
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl core::fmt::Debug for ShortValue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.bytes().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_come_back_and_long_ones_are_refused() {
        let bytes = [7; 200];
        for len in 0..=SHORT_BYTES_MAX {
            assert_eq!(ShortValue::new(&bytes[..len]).unwrap().bytes(), &bytes[..len]);
        }
        assert!(ShortValue::new(&bytes[..=SHORT_BYTES_MAX]).is_none());
    }
}
