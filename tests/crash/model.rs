//! What a database must hold, and the comparison with what it does hold.

use std::collections::BTreeMap;

use crate::plan::{Commit, Operation, digest};

/// A writer and a key of its own.
pub type RecordKey = (u32, u64);

/// What commits have written, values as digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub records: BTreeMap<RecordKey, u64>,
}

impl Model {
    pub fn apply(&mut self, writer: u32, commit: &Commit) {
        for operation in &commit.operations {
            match operation {
                Operation::Put { slot, value } => {
                    self.records.insert((writer, *slot), digest(&value.bytes()));
                }
                Operation::Delete { slot } => {
                    self.records.remove(&(writer, *slot));
                }
                Operation::DeleteRange { from, to } => {
                    let gone: Vec<RecordKey> =
                        self.records.range((writer, *from)..(writer, *to)).map(|(key, _)| *key).collect();
                    for key in gone {
                        self.records.remove(&key);
                    }
                }
            }
        }
    }

    /// The first difference from what was found, in words.
    pub fn difference(&self, found: &[(RecordKey, u64)]) -> Option<String> {
        let mut expected = self.records.iter();
        let mut found = found.iter();
        loop {
            let shown = |(writer, slot): &RecordKey| format!("record {slot} of writer {writer}");
            return match (expected.next(), found.next()) {
                (None, None) => None,
                (Some((key, _)), None) => Some(format!("{} is missing", shown(key))),
                (None, Some((key, _))) => Some(format!("{} should not be there", shown(key))),
                (Some((key, _)), Some((other, _))) if key < other => Some(format!("{} is missing", shown(key))),
                (Some((key, _)), Some((other, _))) if key > other => {
                    Some(format!("{} should not be there", shown(other)))
                }
                (Some((key, value)), Some((_, other))) if value != other => {
                    Some(format!("{} has another value", shown(key)))
                }
                _ => continue,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Contents;

    fn commit(operations: Vec<Operation>) -> Commit {
        Commit { form: crate::plan::Form::Closure, durability: lightning_db::Durability::Sync, operations }
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let put = |slot| Operation::Put { slot, value: Contents::new(slot, 9) };
        let mut model = Model::default();
        model.apply(1, &commit(vec![put(1), put(2), put(3), put(4), Operation::Delete { slot: 1 }]));
        model.apply(2, &commit(vec![put(3)]));
        model.apply(1, &commit(vec![Operation::DeleteRange { from: 3, to: 4 }]));
        let whole: Vec<_> = model.records.iter().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(whole.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [(1, 2), (1, 4), (2, 3)]);
        assert_eq!(model.difference(&whole), None);
        assert!(model.difference(&whole[1..]).is_some_and(|what| what.ends_with("is missing")));
        assert!(model.difference(&whole[..2]).is_some_and(|what| what.ends_with("is missing")));
        let mut more = whole.clone();
        more.push(((2, 4), 0));
        assert!(model.difference(&more).is_some_and(|what| what.ends_with("should not be there")));
        let mut other = whole;
        other[1].1 ^= 1;
        assert!(model.difference(&other).is_some_and(|what| what.ends_with("has another value")));
    }
}
