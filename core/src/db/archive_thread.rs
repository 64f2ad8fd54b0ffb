//! The thread that archives now and then.

use std::sync::Arc;
use std::time::Duration;

use super::archive::Archive;
use super::stoppable_thread::Stop;
use crate::engine::Engine;

/// It looks at least this often whether there is much to archive.
const REST_MAX: Duration = Duration::from_secs(1);
/// What failed is tried again after this long.
const AGAIN: Duration = Duration::from_secs(5);

/// Starts it when there first is something to archive and somewhere to archive it. Where the system gives none the rest is
/// archived when the database is closed, and the status tells how much there is.
pub(super) fn start(archive: &Arc<Archive>, engine: &Arc<Engine>, interval: Duration) {
    // It ends before the database does, which waits for it.
    let (weak, engine) = (Arc::downgrade(archive), Arc::clone(engine));
    let rest = interval.min(REST_MAX);
    archive.thread.start("lightning-archive", move |stop: &Stop| {
        let mut next = rest;
        while !stop.rest(next) {
            let Some(archive) = weak.upgrade() else { return };
            next = loop {
                match archive.step(&engine, false) {
                    Ok(true) if !stop.is_set() => {}
                    Ok(_) => break rest,
                    Err(_) => break AGAIN,
                }
            };
        }
    });
}
