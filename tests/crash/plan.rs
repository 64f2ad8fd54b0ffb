//! What each commit writes: a function of the seed, the writer and the commit's number, so that the parent knows what a
//! child that is gone has written without having been told.

use std::hash::Hasher;

use lightning_db::Durability;
use lightning_db_tests::random::Random;

/// What the commits of a scenario are made of.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Each writer's keys are below this.
    pub slots: u64,
    /// Operations of one commit, from and to.
    pub operations: (u64, u64),
    /// Values are at most this long, most of them much shorter.
    pub value_bytes: u64,
    /// Parts in a hundred of the operations that delete a key.
    pub deletes: u64,
    /// Parts in a hundred that delete a range of keys.
    pub range_deletes: u64,
    /// Parts in a hundred that write a value of up to [`LARGE_BYTES`], in an extent of its own.
    pub large: u64,
    /// How commits are made, one of these each time.
    pub forms: &'static [Form],
    /// How commits are acknowledged, one of these each time.
    pub durabilities: &'static [Durability],
}

/// The longest large value.
pub const LARGE_BYTES: u64 = 96 << 10;

/// How a commit is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One operation without a transaction around it.
    Single,
    /// `transaction(|tx| …)`.
    Closure,
    /// The same, with writes that are rolled back to a savepoint.
    Savepoint,
    /// `optimistic(…)`.
    Optimistic,
    /// `begin` and `commit`, again after each conflict.
    Interactive,
    /// `begin` and `commit`, with the contended row locked first.
    Locking,
}

/// One commit of one writer.
#[derive(Debug)]
pub struct Commit {
    pub form: Form,
    pub durability: Durability,
    pub operations: Vec<Operation>,
}

/// One change of a writer's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Put { slot: u64, value: Contents },
    Delete { slot: u64 },
    DeleteRange { from: u64, to: u64 },
}

/// A value, before it is written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    seed: u64,
    len: usize,
}

impl Contents {
    /// The value of `len` bytes that belongs to `seed`.
    pub fn new(seed: u64, len: usize) -> Self {
        Self { seed, len }
    }

    /// The bytes. Half of them compress.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![b'='; self.len];
        Random::new(self.seed).fill(&mut bytes[..self.len.div_ceil(2)]);
        bytes
    }
}

/// What a child tells of a value.
pub fn digest(value: &[u8]) -> u64 {
    // The standard hasher without a key is the same in every process of one program.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(value);
    hasher.finish()
}

impl Commit {
    /// The commit number `number`, from 1, of `writer`.
    pub fn of(mix: &Mix, seed: u64, writer: u32, number: u64) -> Self {
        let mut random = Random::new(seed ^ (u64::from(writer) << 56) ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let form = mix.forms[random.index(mix.forms.len())];
        let durability = mix.durabilities[random.index(mix.durabilities.len())];
        let count = if form == Form::Single { 1 } else { random.between(mix.operations.0, mix.operations.1) };
        let operations = (0..count).map(|_| Operation::any(mix, &mut random)).collect();
        Self { form, durability, operations }
    }
}

impl Operation {
    fn any(mix: &Mix, random: &mut Random) -> Self {
        let slot = random.below(mix.slots);
        let kind = random.below(100);
        if kind < mix.deletes {
            return Self::Delete { slot };
        }
        if kind < mix.deletes + mix.range_deletes {
            return Self::DeleteRange { from: slot, to: slot + 1 + random.skewed(mix.slots / 8) };
        }
        let len = if kind < mix.deletes + mix.range_deletes + mix.large {
            random.between(LARGE_BYTES / 8, LARGE_BYTES)
        } else {
            random.skewed(mix.value_bytes)
        };
        Self::Put { slot, value: Contents::new(random.bits(), len as usize) }
    }
}
