//! Threads that borrow, also where a scenario fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use shuttle::thread::{self, Scope};

/// As [`thread::scope`], which leaves threads behind when `body` panics itself: dropping what they borrow then gives them
/// their turn, and they go on in memory that is no more. The standard library's waits for them, and so does this.
pub fn scope<'env, T>(body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
    thread::scope(|scope| catch_unwind(AssertUnwindSafe(|| body(scope)))).unwrap_or_else(|panic| resume_unwind(panic))
}
