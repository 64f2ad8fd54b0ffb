//! Documents as they cross.

use lightning_db::{Document, Result};

/// A document as CBOR that nobody here looks into: the languages read and write their own types.
pub struct Raw(pub Vec<u8>);

impl Document for Raw {
    fn to_cbor(&self) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn from_cbor(cbor: &[u8]) -> Result<Self> {
        Ok(Self(cbor.to_vec()))
    }
}
