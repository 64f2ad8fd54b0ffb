//! What indexes ask of documents, said in the plainest way.

use lightning_db::{Index, Value};

use super::filter::{folded, under};

/// An index that a plan may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its paths.
    pub paths: &'static [&'static str],
    /// No two documents have the same entry.
    pub unique: bool,
    /// Documents without a part are left out.
    pub sparse: bool,
    /// Arrays have an entry for each element.
    pub multi: bool,
    /// Case and accents are taken away.
    pub folded: bool,
}

const fn on(paths: &'static [&'static str]) -> Rule {
    Rule { paths, unique: false, sparse: false, multi: false, folded: false }
}

/// All indexes there may be, of any collection; a plan names them by place.
pub const RULES: [Rule; 16] = [
    on(&["a"]),
    on(&["b"]),
    Rule { folded: true, ..on(&["b"]) },
    on(&["c.d"]),
    on(&["a", "b"]),
    Rule { sparse: true, ..on(&["b", "a"]) },
    Rule { unique: true, ..on(&["u"]) },
    Rule { unique: true, sparse: true, ..on(&["u", "c.d"]) },
    Rule { unique: true, folded: true, ..on(&["b", "u"]) },
    Rule { multi: true, ..on(&["tags"]) },
    Rule { multi: true, sparse: true, ..on(&["tags"]) },
    Rule { multi: true, ..on(&["a", "tags"]) },
    Rule { multi: true, ..on(&["list.x"]) },
    Rule { unique: true, multi: true, ..on(&["list.x", "u"]) },
    Rule { sparse: true, ..on(&["a"]) },
    Rule { multi: true, folded: true, ..on(&["tags", "b"]) },
];

impl Rule {
    /// The index of this place.
    pub fn index(at: usize) -> Index {
        let Rule { paths, unique, sparse, multi, folded } = RULES[at];
        let mut index = Index::on(paths.iter().map(|path| String::from(*path)).collect::<Vec<_>>()).named(name(at));
        for (said, with) in [
            (unique, Index::unique as fn(Index) -> Index),
            (sparse, Index::sparse),
            (multi, Index::multi),
            (folded, Index::folded),
        ] {
            if said {
                index = with(index);
            }
        }
        index
    }

    /// What a document has in the index that no other may have; `None` if it cannot be in it at all.
    pub fn claims(&self, document: &Value) -> Option<Vec<Vec<Value>>> {
        let mut entries: Vec<Vec<Value>> = vec![Vec::new()];
        let mut spread = false;
        for path in self.paths {
            let (found, crossed) = under(document, path);
            if crossed && !self.multi {
                return None;
            }
            let mut parts = Vec::new();
            for value in found {
                match value {
                    Value::Array(elements) if self.multi => parts.extend(elements.iter().cloned()),
                    Value::Array(_) => return None,
                    other => parts.push(other.clone()),
                }
            }
            if !parts.iter().all(Value::is_key) || spread && parts.len() > 1 {
                return None;
            }
            spread |= parts.len() > 1;
            if parts.is_empty() {
                parts.push(Value::Null);
            }
            let parts: Vec<Value> =
                parts.iter().map(|part| if self.folded { folded(part) } else { part.clone() }).collect();
            entries = entries
                .iter()
                .flat_map(|entry| parts.iter().map(move |part| [entry.clone(), vec![part.clone()]].concat()))
                .collect();
        }
        if !self.unique {
            return Some(Vec::new());
        }
        entries.retain(|entry| !entry.contains(&Value::Null));
        Some(entries)
    }
}

/// The name of the index of this place.
pub fn name(at: usize) -> String {
    format!("i{at}")
}
