//! Somebody who gives states a name: what was acknowledged is there after every accident, and never changes.

use std::sync::Arc;

use super::compare::{Wrong, everything_in};
use super::engine::Engine;
use super::model::Tables;
use super::run::Runner;

/// So many at once.
const NAMES_MAX: usize = 4;

/// What was named, and what was there then.
#[derive(Debug, Default)]
pub struct Names {
    known: Vec<(String, Arc<Tables>)>,
    given: u64,
}

impl<E: Engine> Runner<E> {
    pub(super) fn name(&mut self) -> Result<(), Wrong> {
        let mut names = self.names.take().unwrap_or_default();
        let outcome = self.look_at_names(&mut names);
        // Making one makes what it sees durable.
        self.note_completed_syncs();
        let compared = outcome.and_then(|made| {
            let Some((name, there)) = made else { return Ok(()) };
            self.require_visible(&there, "what was named is")?;
            names.known.push((name, Arc::new(there)));
            Ok(())
        });
        self.names = Some(names);
        compared
    }

    /// Compares what has a name, and gives what is there now one, if it is that one's turn.
    fn look_at_names(&self, names: &mut Names) -> Result<Option<(String, Tables)>, Wrong> {
        let engine = self.engine()?;
        let Some(found) = engine.named()? else { return Ok(None) };
        for (name, expected) in &names.known {
            let Some((_, snapshot)) = found.iter().find(|(there, _)| there == name) else {
                return Err(Wrong::Answer(format!("the snapshot '{name}' is gone")));
            };
            let there = everything_in(engine, snapshot)?;
            if there != **expected {
                let difference = expected.difference(&there).unwrap_or_default();
                return Err(Wrong::Answer(format!("the snapshot '{name}' has changed: {difference}")));
            }
        }
        // Of some nobody heard that they were made, or that they were dropped.
        for (name, _) in &found {
            if !names.known.iter().any(|(known, _)| known == name) {
                engine.unname(name)?;
            }
        }
        drop(found);
        if names.known.len() >= NAMES_MAX {
            // Whatever comes of it: nobody relies on it any more.
            let (oldest, _) = names.known.remove(0);
            engine.unname(&oldest)?;
            return Ok(None);
        }
        names.given += 1;
        let name = format!("{}", names.given);
        engine.name(&name)?;
        let found = engine.named()?.unwrap_or_default();
        let Some((_, snapshot)) = found.iter().find(|(there, _)| *there == name) else {
            return Err(Wrong::Answer(format!("the snapshot '{name}' was made and is not there")));
        };
        let there = everything_in(engine, snapshot)?;
        Ok(Some((name, there)))
    }
}
