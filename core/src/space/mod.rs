//! Where nodes and values lie in the data file: superblocks, extents, free space. Uses `codec` and `env`; never reads a
//! node, never names a key.
//!
//! Space is given out in grains of 64 bytes inside sectors of 4096. A sector is written by one checkpoint only and reused
//! only when every grain of it is free, so a torn write can never harm data that was already durable.

mod counted;
#[cfg(feature = "testing")]
pub(crate) mod doors;
mod map;
mod pending;
mod superblock;

pub(crate) use counted::{CountedGrains, Misplaced};
pub(crate) use map::{
    Extent, GRAIN_BYTES, GRAINS_PER_SECTOR, RESERVED_SECTORS, SECTOR_BYTES, SECTORS_PER_PAGE, SpaceMap,
};
pub(crate) use pending::{PendingFree, PendingFrees};
#[cfg(feature = "encryption")]
pub(crate) use superblock::KeyBlock;
pub(crate) use superblock::{Features, Older, Superblock, SuperblockSlots};
