//! Proof that the schedules see: each deliberate bug that harms only where threads wait for each other fails in some order.

use lightning_db::testing::mutant::Mutant;

use crate::explore::assert_caught;
use crate::{background, close, commits, row_locks};

/// The scenario that notices it.
fn scenario(mutant: Mutant) -> fn() {
    match mutant {
        Mutant::SyncEndsSilently | Mutant::AcknowledgedBeforeVisible => commits::acknowledged_is_visible,
        Mutant::RowsFreedSilently => row_locks::one_after_the_other,
        Mutant::CommitsWhileClosing => close::commit_at_the_last_moment,
        Mutant::RoomMadeSilently => background::readers_beside_merges,
        Mutant::LocksInOtherOrder => commits::periodic_beside_sync,
        other => panic!("{} has no scenario", other.name()),
    }
}

#[test]
fn bugs_of_waiting_are_caught() {
    Mutant::OF_THREADS.iter().for_each(|mutant| assert_caught(*mutant, scenario(*mutant)));
}

/// The simulation, which has one thread, sees this too.
#[test]
fn a_commit_visible_before_it_is_durable_is_caught() {
    assert_caught(Mutant::VisibleBeforeDurable, commits::seen_survives);
}
