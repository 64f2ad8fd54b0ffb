//! How many backups and increments are made at once: no more than the limits of the database allow.

use alloc::sync::Arc;
use core::fmt;

use crate::engine::Engine;
#[cfg(feature = "std")]
use crate::error::Error;
use crate::error::Result;

/// The right to make one, given back when it is dropped. Without `std` everything is made by one thread, in turns of its own.
pub(super) struct BackupPermit {
    #[cfg(feature = "std")]
    engine: Arc<Engine>,
    /// Why there is none.
    #[cfg(feature = "std")]
    refused: Option<Error>,
}

impl BackupPermit {
    #[cfg_attr(not(feature = "std"), allow(unused_variables))]
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self {
            #[cfg(feature = "std")]
            refused: engine.begin_backup().err(),
            #[cfg(feature = "std")]
            engine: Arc::clone(engine),
        }
    }

    /// To be asked before each step.
    #[cfg_attr(not(feature = "std"), allow(clippy::unused_self, clippy::unnecessary_wraps))]
    pub(super) fn require(&self) -> Result<()> {
        #[cfg(feature = "std")]
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        Ok(())
    }
}

#[cfg(feature = "std")]
impl Drop for BackupPermit {
    fn drop(&mut self) {
        if self.refused.is_none() {
            self.engine.end_backup();
        }
    }
}

impl fmt::Debug for BackupPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupPermit").finish_non_exhaustive()
    }
}
