//! Documents that are CBOR already.

use lightning_db::{Document, Result};

/// The CBOR map of a document, as it is stored.
#[derive(Clone, Debug)]
pub struct Encoded(pub Vec<u8>);

impl Document for Encoded {
    fn to_cbor(&self) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn from_cbor(cbor: &[u8]) -> Result<Self> {
        Ok(Self(cbor.to_vec()))
    }
}
