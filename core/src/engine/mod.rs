//! The state machine: versions, commit, freeze, merge, checkpoint, recovery, verification. Single-threaded; `db` adds threads.
