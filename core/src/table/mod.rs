//! Typed keys and values and the catalogue of tables. Key encodings preserve order.
