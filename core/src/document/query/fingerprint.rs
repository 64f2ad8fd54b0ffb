//! Which query a page token belongs to.

use core::fmt::{self, Write};

use super::ast::Query;

impl Query {
    /// Eight bytes for the filter and the order of a [normalised](Query::normalised) query, the same wherever and whenever it
    /// is asked. Limit, offset and fields may differ from page to page.
    pub(crate) fn fingerprint(&self) -> u64 {
        let asked =
            Query { filter: self.filter.clone(), order: self.order.clone(), reverse: self.reverse, ..Query::default() };
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        // Its text says all of it, and writing to a number does not fail.
        let _ = write!(hash, "{asked}");
        hash.0
    }
}

/// FNV-1a. What it keeps apart are honest queries: whoever makes a token by hand gets a page of what they may read anyway.
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::document::query::{Query, field};

    #[test]
    fn pages_of_one_query_have_one_fingerprint() {
        let query = || Query::new().filter(field("a").is_in([2, 1])).order_by("b");
        let fingerprint = |query: Query| query.normalised().unwrap().fingerprint();
        let same = fingerprint(query());
        assert_eq!(fingerprint(query().limit(3).offset(4).select(["a"])), same);
        assert_eq!(fingerprint(Query::new().filter(field("a").is_in([1, 2, 1])).order_by("b")), same);
        for other in [query().reverse(), query().order_by("c"), query().filter(field("c").exists()), Query::new()] {
            assert_ne!(fingerprint(other), same);
        }
    }
}
