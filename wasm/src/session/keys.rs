//! The keys of an encrypted database, and who has shown one.

use std::collections::BTreeSet;

use lightning_db::{Database, Error, KeyKind, Progress, Reencryption, Result};
use zeroize::Zeroizing;

use super::{Operation, Session, done};
use crate::keys;
use crate::wire::{Answer, Arguments, invalid, put};

/// Clients of this number and below are who opened the database, with its key, and the owner itself.
const OPENER: u32 = 1;

/// Who is let in, where clients are to show a key.
#[derive(Default)]
pub struct Gate {
    is_closed: bool,
    let_in: BTreeSet<u32>,
}

impl Gate {
    /// From now on clients other than the first are to show a key of the database before they ask anything else.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    pub fn require(&self, client: u32, operation: Operation) -> Result<()> {
        let is_free = matches!(operation, Operation::Unlock | Operation::Release);
        if !self.is_closed || client <= OPENER || is_free || self.let_in.contains(&client) {
            return Ok(());
        }
        let what = "the database is encrypted, and open elsewhere; whoever comes later gives its key, too (the option 'encryption')";
        Err(Error::WrongKey { what: what.into() })
    }

    pub fn forget(&mut self, client: u32) {
        self.let_in.remove(&client);
    }
}

/// A change of keys that is not known to be complete: on a storage that answers later an operation is performed again, and what it has
/// begun is not to be begun twice.
pub struct Changing {
    /// What it was asked with.
    arguments: Zeroizing<Vec<u8>>,
    /// How many keys there were.
    keys: usize,
}

impl Session {
    #[inline(never)]
    pub(super) fn keys(
        &mut self,
        client: u32,
        operation: Operation,
        arguments: &[u8],
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        let args = &mut Arguments::new(arguments);
        match operation {
            // `[0, key or null]`: whether this key opens the database; lets the client in. Gives nothing.
            Operation::Unlock => {
                args.number()?;
                self.database.require_key(keys::read(args)?.as_ref())?;
                self.gate.let_in.insert(client);
                done(answer)
            }
            // Nothing: gives `[[slot, kind, added in ms]…]`.
            Operation::Keys => {
                let infos = self.database.keys();
                put(answer.array(infos.len() as u64))?;
                infos.iter().try_for_each(|info| {
                    let kind = match info.kind {
                        KeyKind::Passphrase => "passphrase",
                        KeyKind::Provider => "provider",
                        _ => "raw",
                    };
                    put(answer.array(3).u32(info.slot.into()).str(kind).u64(info.added_ms))
                })
            }
            // `[key]`: gives its slot.
            Operation::AddKey => {
                let key = keys::required(args)?;
                self.change(operation, arguments, &|database| database.add_key(&key).map(drop))?;
                // The newest.
                let infos = self.database.keys();
                let added = infos.iter().max_by_key(|info| info.added_ms).map_or(0, |info| info.slot);
                put(answer.u32(added.into()))
            }
            // `[slot]`. Gives nothing.
            Operation::RemoveKey => {
                let slot = u8::try_from(args.number()?).map_err(|_| invalid("there is no such slot"))?;
                self.change(operation, arguments, &|database| database.remove_key(slot))?;
                done(answer)
            }
            // `[key]`. Gives nothing.
            Operation::Reencrypt => {
                let key = keys::required(args)?;
                self.change(operation, arguments, &|database| database.reencrypt(&key))?;
                done(answer)
            }
            // Nothing: gives how far it is, or null.
            Operation::Reencryption => progress(self.database.reencryption(), answer),
            // As before, after some steps.
            _ => {
                let after = match self.database.step_reencryption() {
                    // It goes on when what it waits for is complete, which is waited for with the answer.
                    Err(Error::Pending(_)) => self.database.reencryption(),
                    after => after?,
                };
                progress(after, answer)
            }
        }
    }

    /// Changes the keys. Where that waits for the storage it is performed again, and goes on with what it began.
    fn change(
        &mut self,
        operation: Operation,
        arguments: &[u8],
        change: &dyn Fn(&Database) -> Result<()>,
    ) -> Result<()> {
        let begun = self.changing.take().filter(|changing| *changing.arguments == arguments);
        let keys = begun.as_ref().map_or_else(|| self.database.keys().len(), |changing| changing.keys);
        let outcome = match begun {
            Some(_) => {
                self.go_on(operation, keys).and_then(|is_done| if is_done { Ok(()) } else { change(&self.database) })
            }
            None => change(&self.database),
        };
        if matches!(&outcome, Err(error) if matches!(error, Error::Pending(_)) || error.not_resident().is_some()) {
            self.changing = Some(Changing { arguments: Zeroizing::new(arguments.to_vec()), keys });
        }
        outcome
    }

    /// Steps until the keys have changed, which both superblocks tell then, or nothing is left to be done; whether they have.
    fn go_on(&self, operation: Operation, keys: usize) -> Result<bool> {
        loop {
            let is_done = match operation {
                Operation::Reencrypt => self.database.reencryption().is_some(),
                _ => self.database.keys().len() != keys,
            };
            if is_done || self.database.step()? == Progress::Idle {
                return Ok(is_done);
            }
        }
    }
}

fn progress(reencryption: Option<Reencryption>, answer: &mut Answer<'_>) -> Result<()> {
    let Some(Reencryption { stage, done, all, waiting_for, .. }) = reencryption else { return put(answer.null()) };
    put(answer.array(4).str(stage.name()).u64(done).u64(all).optional_str(waiting_for.as_deref()))
}
