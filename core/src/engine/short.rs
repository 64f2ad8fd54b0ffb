//! A copy of a short value.

/// Longer values are held in their nodes. With the length, and what says that it is such a value, they fill two cache lines.
const SHORT_BYTES_MAX: usize = 126;

/// A value copied out of its node: cheaper than to count a reader of the node, which another processor may do too.
#[derive(Clone)]
pub(crate) struct ShortValue {
    len: u8,
    bytes: [u8; SHORT_BYTES_MAX],
}

/// A short value in its node, with what follows it there: a copy of always the same length is the quickest.
#[derive(Clone, Copy)]
pub(crate) struct ShortWindow<'p> {
    len: u8,
    bytes: &'p [u8; SHORT_BYTES_MAX],
}

impl<'p> ShortWindow<'p> {
    /// The first `len` bytes of `window`, which goes on behind them as far as may be read. `None` when the value is too long,
    /// or the window too short.
    #[inline(always)]
    pub(crate) fn new(window: &'p [u8], len: usize) -> Option<Self> {
        let bytes = window.first_chunk()?;
        (len <= SHORT_BYTES_MAX).then_some(Self { len: len as u8, bytes })
    }

    #[inline(always)]
    pub(crate) fn copy(self) -> ShortValue {
        ShortValue { len: self.len, bytes: *self.bytes }
    }
}

impl ShortValue {
    /// `None` when the value is longer than can be held here.
    pub(crate) fn new(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT_BYTES_MAX];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { len: value.len() as u8, bytes })
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
        let bytes: [u8; 200] = core::array::from_fn(|at| at as u8);
        for len in 0..=SHORT_BYTES_MAX {
            let value = &bytes[..len];
            assert_eq!(ShortValue::new(value).unwrap().bytes(), value);
            for window in [len, 125, 126, 127, 200] {
                let short = ShortWindow::new(&bytes[..window], len).map(ShortWindow::copy);
                assert_eq!(short.as_ref().map(ShortValue::bytes), (window >= SHORT_BYTES_MAX).then_some(value));
            }
        }
        assert!(ShortValue::new(&bytes[..SHORT_BYTES_MAX + 1]).is_none());
        assert!(ShortWindow::new(&bytes, SHORT_BYTES_MAX + 1).is_none());
    }
}
