//! Queries: which documents, in which order, how many of them, which of their fields.
//!
//! A [`Query`] comes from the builder ([`Query::new`] and [`field`]), from text, or from a map of values, the form in which
//! other languages hand it over. All three make the same tree, and [`Query::normalised`] is the one place that says
//! whether it can be asked. Nothing here reads a database: planner and executor stand on this.
//!
//! # What a condition means
//! - A condition looks at the value under its path. Where that is an array, its elements answer, any of them is enough, and
//!   the array as a whole does not; an array within an array is compared whole, as a key of several parts.
//! - Missing and null are the same: `equals(null)` finds both, `exists` neither, and no other test finds them.
//! - A range finds values of the kind of its bounds alone: `above(30)` finds numbers, never text. So a range begins and ends at
//!   values of one kind that is not null, and over an index it is one range of encoded keys.
//! - Maps and NaN are no keys: nothing but `exists` finds them, and they are no operands.
//! - `Not` is what the filter does not find: `not age > 30` finds documents without an age too.
//! - A folded condition compares texts without case and accents, and everything else as it is.
//!
//! Two conditions on one path are never drawn together into one range: where there is an array, each may be answered by
//! another element.

#[cfg(test)]
mod arbitrary;
mod ast;
mod builder;
mod compiled;
#[cfg(feature = "testing")]
pub(crate) mod doors;
mod fingerprint;
mod limits;
mod map_form;
#[cfg(test)]
mod matches_tests;
#[cfg(test)]
mod naive;
mod normalise;
mod sort_key;
mod span;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod update;

pub use ast::{Condition, Filter, Order, Query, Test};
pub use builder::{Field, Where, field, not};
pub(crate) use compiled::CompiledFilter;
pub(crate) use sort_key::SortOrder;
pub(crate) use span::folded_value;
pub use token::PageToken;
pub use update::{FieldChange, Update};
