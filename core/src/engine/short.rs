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
    /// The first `len` bytes of `window`, which goes on behind them as far as may be read: a copy of always the same length
    /// is the quickest. `None` when the value is longer than can be held here.
    #[inline]
    pub(crate) fn new(window: &[u8], len: usize) -> Option<Self> {
        let short = u8::try_from(len).ok().filter(|len| usize::from(*len) <= SHORT_BYTES_MAX)?;
        if let Some(bytes) = window.first_chunk() {
            return Some(Self { len: short, bytes: *bytes });
        }
        let mut bytes = [0; SHORT_BYTES_MAX];
        bytes.get_mut(..len)?.copy_from_slice(window.get(..len)?);
        Some(Self { len: short, bytes })
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
            for window in [len, 126, 127, 128, 200] {
                let short = ShortValue::new(&bytes[..window], len);
                assert_eq!(short.as_ref().map(ShortValue::bytes), bytes[..window].get(..len));
            }
        }
        assert!(ShortValue::new(&bytes, SHORT_BYTES_MAX + 1).is_none());
    }
}
