//! What the engine has mended by itself since it was opened: only what can be known, never what would have to be guessed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::job::JobExtents;
use super::state::Engine;
use crate::env::sync::Mutex;
use crate::env::sync::atomic::{AtomicBool, Ordering};

/// More are counted and not told one by one.
const TOLD_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Healed {
    told: Mutex<Told>,
    /// Space counts as used that nothing refers to: which, only the making of a new map tells, at the next opening.
    leaves_space: AtomicBool,
}

#[derive(Debug, Default)]
struct Told {
    what: Vec<String>,
    more: u64,
}

impl Healed {
    pub(super) fn tell(&self, what: String) {
        let mut told = self.told.lock();
        match told.what.len() {
            0..TOLD_MAX => told.what.push(what),
            _ => told.more += 1,
        }
    }

    /// In words; `None` when nothing had to be mended.
    pub(super) fn in_words(&self) -> Option<String> {
        let told = self.told.lock();
        let more = if told.more > 0 { format!("; and {} more", told.more) } else { String::new() };
        (!told.what.is_empty()).then(|| told.what.join("; ") + &more)
    }
}

impl Engine {
    /// Whether the map holds space for used that nothing refers to. Then no checkpoint says what is used, and whoever opens
    /// the database next makes the map again.
    pub(super) fn leaves_space(&self) -> bool {
        self.healed.leaves_space.load(Ordering::Relaxed)
    }

    /// A job publishes: what it frees is no part of the database any more, and if it is damaged that is nobody's loss.
    pub(super) fn note_freed_damage(&self, extents: &JobExtents) {
        let quarantine = self.nodes.quarantine();
        if quarantine.is_empty() {
            return;
        }
        for extent in extents.freed.iter().chain(&extents.freed_values) {
            if quarantine.leave(*extent) {
                let (offset, len) = (extent.offset, extent.len);
                self.healed.tell(format!(
                    "{len} damaged bytes of the data file at {offset} are referred to no longer: everything in them was \
                     replaced or deleted"
                ));
            }
        }
        if extents.hidden > 0 {
            self.healed.leaves_space.store(true, Ordering::Relaxed);
            self.healed.tell(String::from(
                "the space of some nodes that only a damaged one named is given back when the database is opened next",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_number_of_cures_is_told() {
        let healed = Healed::default();
        assert_eq!(healed.in_words(), None);
        for number in 0..TOLD_MAX + 3 {
            healed.tell(format!("{number}"));
        }
        assert_eq!(healed.in_words().unwrap(), "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; 10; 11; 12; 13; 14; 15; and 3 more");
    }
}
