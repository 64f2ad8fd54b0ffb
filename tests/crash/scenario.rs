//! What is killed: each entry of the table is one way of using a database. To add one, add an entry here; what is not
//! commits of a [`Mix`] with something beside them is a [`Work`] of its own.

use lightning_db::{Durability, Options};

use crate::plan::{Form, Mix};

/// One way of using a database.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub work: Work,
    pub mix: Mix,
    pub writers: u32,
    /// Commits before the first kill.
    pub prefill: u64,
    /// Commits of each writer in one life, after which the database is closed; endless without.
    pub commits: Option<u64>,
    pub memtable_bytes: usize,
    /// Kills while commits are made happen at most so long after they begin.
    pub work_ms: u64,
    /// Of a hundred lives, so many are to end while the database is opened.
    pub opening_kills: u64,
    /// A command of `lightning` that is run, and killed, after each life.
    pub command: Option<&'static str>,
    /// A new database is made after so many kills.
    pub kills_per_database: u64,
}

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Commits, and nothing but what the engine does itself.
    Commits,
    /// Commits, and `checkpoint` again and again in another thread.
    Checkpoint,
    /// Commits, and `compact` and `compact_with` again and again in another thread.
    Compact,
    /// Commits of records and documents alike, and indexes made and dropped again and again in another thread.
    Indexes,
    /// `lightning import`, in place of a child of this program.
    Import,
}

const SYNC: &[Durability] = &[Durability::Sync];
const RELAXED: &[Durability] = &[Durability::Relaxed];
const MOSTLY_RELAXED: &[Durability] =
    &[Durability::Relaxed, Durability::Relaxed, Durability::Relaxed, Durability::Relaxed, Durability::Sync];
const MIXED: &[Durability] =
    &[Durability::Sync, Durability::Relaxed, Durability::Relaxed, Durability::Periodic { interval_ms: 5 }];

const MIX: Mix = Mix {
    slots: 2000,
    operations: (1, 20),
    value_bytes: 400,
    deletes: 15,
    range_deletes: 1,
    large: 0,
    forms: &[Form::Closure, Form::Savepoint],
    durabilities: SYNC,
};

const PLAIN: Scenario = Scenario {
    name: "",
    about: "",
    work: Work::Commits,
    mix: MIX,
    writers: 1,
    prefill: 0,
    commits: None,
    memtable_bytes: 256 << 10,
    work_ms: 60,
    opening_kills: 12,
    command: None,
    kills_per_database: 150,
};

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "puts",
        about: "single puts and deletes, each a commit of its own",
        mix: Mix { forms: &[Form::Single], ..MIX },
        ..PLAIN
    },
    Scenario {
        name: "batches",
        about: "transactions of many operations, some rolled back to a savepoint",
        mix: Mix { operations: (1, 200), ..MIX },
        ..PLAIN
    },
    Scenario {
        name: "threads",
        about: "four writers that meet in one row: closures, optimistic, interactive, row locks, group commit",
        mix: Mix {
            operations: (1, 8),
            forms: &[Form::Closure, Form::Savepoint, Form::Optimistic, Form::Interactive, Form::Locking],
            ..MIX
        },
        writers: 4,
        ..PLAIN
    },
    Scenario {
        name: "ranges",
        about: "range deletes, and values in extents of their own",
        mix: Mix { slots: 300, operations: (1, 6), deletes: 5, range_deletes: 12, large: 20, ..MIX },
        memtable_bytes: 32 << 10,
        ..PLAIN
    },
    Scenario {
        name: "flush",
        about: "small memtables merged into a small, dense base",
        mix: Mix { slots: 1500, durabilities: MOSTLY_RELAXED, ..MIX },
        memtable_bytes: 24 << 10,
        ..PLAIN
    },
    Scenario {
        name: "runs",
        about: "a large base and sparse changes: runs, and their compaction",
        mix: Mix { slots: 100_000, operations: (10, 60), value_bytes: 120, deletes: 5, durabilities: RELAXED, ..MIX },
        prefill: 1000,
        memtable_bytes: 16 << 10,
        work_ms: 120,
        ..PLAIN
    },
    Scenario {
        name: "checkpoint",
        about: "checkpoint() beside two writers",
        work: Work::Checkpoint,
        mix: Mix { durabilities: MOSTLY_RELAXED, ..MIX },
        writers: 2,
        ..PLAIN
    },
    Scenario {
        name: "compact",
        about: "compact() and compact_with() beside a writer whose range deletes leave space to give back",
        work: Work::Compact,
        mix: Mix { slots: 6000, operations: (10, 40), range_deletes: 6, large: 4, durabilities: RELAXED, ..MIX },
        prefill: 200,
        memtable_bytes: 64 << 10,
        work_ms: 120,
        ..PLAIN
    },
    Scenario {
        name: "close",
        about: "a few commits, then close()",
        mix: Mix { durabilities: MIXED, ..MIX },
        commits: Some(12),
        ..PLAIN
    },
    Scenario {
        name: "recovery",
        about: "killed while opening, again and again",
        mix: Mix { operations: (1, 30), durabilities: RELAXED, ..MIX },
        memtable_bytes: 512 << 10,
        work_ms: 100,
        opening_kills: 75,
        ..PLAIN
    },
    Scenario {
        name: "durabilities",
        about: "two writers, sync, periodic and relaxed commits in turn",
        mix: Mix { durabilities: MIXED, ..MIX },
        writers: 2,
        ..PLAIN
    },
    Scenario {
        name: "indexes",
        about: "indexes made in steps over documents that two writers change, dropped, and made again",
        work: Work::Indexes,
        mix: Mix {
            slots: 400,
            operations: (1, 8),
            value_bytes: 120,
            forms: &[Form::Closure, Form::Savepoint, Form::Interactive],
            durabilities: MIXED,
            ..MIX
        },
        writers: 2,
        prefill: 150,
        memtable_bytes: 64 << 10,
        work_ms: 120,
        ..PLAIN
    },
    Scenario {
        name: "import",
        about: "`lightning import` of JSON lines and CSV over what an earlier import left",
        work: Work::Import,
        ..PLAIN
    },
    Scenario {
        name: "command",
        about: "`lightning compact` of what a killed process left",
        mix: Mix { slots: 4000, range_deletes: 4, durabilities: RELAXED, ..MIX },
        memtable_bytes: 64 << 10,
        work_ms: 30,
        command: Some("compact"),
        ..PLAIN
    },
];

impl Scenario {
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// How the child opens its database.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        options.memory_budget_bytes = 16 << 20;
        options.memtable_bytes = Some(self.memtable_bytes);
        options.log_segment_bytes = 64 << 10;
        // A thread of the engine's makes periodic commits durable where the database says how often.
        options.durability = Durability::Sync;
        if self.work == Work::Indexes {
            options.step_entries = crate::documents::STEP_DOCUMENTS;
        }
        options
    }

    /// Whether each commit also writes its writer's row with its number: not where a commit is a single operation.
    pub fn has_heads(&self) -> bool {
        self.mix.forms != [Form::Single]
    }

    /// Whether the command `lightning` takes part.
    pub fn needs_command(&self) -> bool {
        self.work == Work::Import || self.command.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_writers_fit_the_ledger() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            assert!(SCENARIOS[..index].iter().all(|other| other.name != scenario.name), "{}", scenario.name);
            assert!(scenario.writers <= crate::ledger::WRITERS_MAX && !scenario.about.is_empty());
        }
    }
}
