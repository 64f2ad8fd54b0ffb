//! What a query may hold. Each is far beyond what a person writes, and keeps what a program wrote from taking a database hostage.

use crate::error::{Error, Result};

/// Conditions of one filter.
pub(crate) const CONDITIONS_MAX: usize = 256;
/// Filters within filters.
pub(crate) const DEPTH_MAX: usize = 64;
/// Values of one `in`.
pub(crate) const VALUES_MAX: usize = 1000;
/// Paths that a query is ordered by.
pub(crate) const ORDERS_MAX: usize = 16;
/// Fields that a query selects.
pub(crate) const FIELDS_MAX: usize = 256;

/// Refuses more than `limit`.
pub(crate) fn within(what: &'static str, count: usize, limit: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(Error::LimitExceeded { what, value: count as u64, limit: limit as u64 })
}
