//! Where a salvage begins: which database this is, and the newest checkpoint record that is whole.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::grains::Grains;
use super::report::SalvageBasis;
use super::source::Source;
use crate::codec::checksum::Checksum;
use crate::codec::cipher::{Envelope, Unit};
use crate::engine::{CheckpointRecord, RECORD_BYTES_MAX};
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::database_of_log;
use crate::space::{SECTOR_BYTES, Superblock};
use crate::tree::Seal;

/// What is known before anything is copied.
pub(super) struct Beginning {
    /// How nodes and values prove themselves.
    pub seal: Seal,
    /// Bytes of a segment of the log.
    pub segment_bytes: Option<u32>,
    /// The newest superblock whose record is whole.
    pub checkpoint: Option<(Superblock, CheckpointRecord)>,
    /// The one before, whose log may still be there: it says again what the newest trees may have lost.
    pub older: Option<(Superblock, CheckpointRecord)>,
    /// That superblock is a copy.
    is_copy: bool,
    /// The other superblock or its record is lost, and may have been the newer one.
    pub alone: bool,
}

impl Beginning {
    pub(super) fn basis(&self) -> SalvageBasis {
        match (&self.checkpoint, self.is_copy) {
            (None, _) => SalvageBasis::NodesAlone,
            (Some(_), true) => SalvageBasis::Copy,
            (Some(_), false) => SalvageBasis::Superblock,
        }
    }
}

/// Finds the beginning, or says why this is no database.
pub(super) fn find(source: &Source) -> Result<Beginning> {
    if source.bytes == 0 {
        return Err(not_a_database(source, "is empty"));
    }
    let slots = slots(source)?;
    let alone = slots.len() < 2;
    let mut known = slots.first().map(|newest| (newest.database_id, newest.features.checksum(), newest.segment_bytes));
    let newest = slots.first().map_or(0, |newest| newest.checkpoint);
    // With both superblocks whole, what they do not name was never finished.
    let mut found = None;
    // Those that nobody with a key has made may stand before copies that somebody has.
    let (mut envelope, forged) = match envelope_of(source, &slots) {
        Err(error @ Error::Corrupt(_)) => (None, Some(error)),
        found => (found?, None),
    };
    if !alone {
        found = first_whole(source, envelope.as_ref(), slots.iter().cloned())?;
    }
    let mut is_copy = false;
    let mut all = slots.clone();
    if found.is_none() {
        let copies = copies(source, known.map(|(id, _, _)| id))?;
        if known.is_none() {
            known = copies.first().map(|copy| (copy.database_id, copy.features.checksum(), copy.segment_bytes));
        }
        if envelope.is_none() {
            envelope = envelope_of(source, &copies)?;
            if let (None, Some(forged)) = (&envelope, forged) {
                return Err(forged);
            }
        }
        all.extend(copies.iter().cloned());
        let newer = copies.iter().filter(|copy| copy.checkpoint > newest).cloned();
        found = first_whole(source, envelope.as_ref(), newer)?;
        is_copy = found.is_some();
        if found.is_none() {
            found = first_whole(source, envelope.as_ref(), slots.into_iter())?;
        }
        if found.is_none() {
            found = first_whole(source, envelope.as_ref(), copies.into_iter())?;
            is_copy = found.is_some();
        }
    }
    let older = match &found {
        Some((newest, _)) => {
            all.retain(|other| {
                other.checkpoint < newest.checkpoint && !other.clean && other.database_id == newest.database_id
            });
            all.sort_by_key(|other| core::cmp::Reverse(other.checkpoint));
            // One superblock is as old as that; what is older has no log any more.
            first_whole(source, envelope.as_ref(), all.into_iter().take(2))?
        }
        None => None,
    };
    let (database_id, checksum, segment_bytes) = match (known, &found) {
        (_, Some((superblock, _))) => {
            (superblock.database_id, superblock.features.checksum(), Some(superblock.segment_bytes))
        }
        (Some((id, checksum, segment)), None) => (id, checksum, Some(segment)),
        // Whatever lies there in the clear was put there by somebody without the key, or is of another database.
        #[cfg(feature = "encryption")]
        (None, None) if source.key.is_some() => {
            let what = "no superblock and no copy of one says how the database is encrypted: its keys are lost";
            return Err(Error::WrongKey { what: what.into() });
        }
        (None, None) => match database_of_log(&*source.storage)? {
            Some(id) => (id, checksum_of(source, id)?, None),
            None => return Err(not_a_database(source, "has neither a superblock, nor a copy of one, nor a log")),
        },
    };
    let alone = alone || found.as_ref().is_some_and(|(superblock, _)| superblock.checkpoint < newest);
    let seal = Seal { checksum, database_id, envelope: envelope.unwrap_or_default() };
    Ok(Beginning { seal, segment_bytes, checkpoint: found, older, is_copy, alone })
}

/// How the units are kept, as the first of these says that can be believed; `None` where there are none.
fn envelope_of(source: &Source, superblocks: &[Superblock]) -> Result<Option<Envelope>> {
    /// A passphrase is tried on so many, at most: each attempt may take its time.
    const ATTEMPTS_MAX: usize = 4;
    let mut failed: Option<(Error, &Superblock)> = None;
    for superblock in superblocks.iter().take(ATTEMPTS_MAX) {
        // What the same keys do not open needs not be tried again.
        #[cfg(feature = "encryption")]
        if let Some((Error::WrongKey { .. }, before)) = &failed {
            let keys = |one: &Superblock| one.key_block.as_ref().map(|block| block.keys.clone());
            if keys(before) == keys(superblock) {
                continue;
            }
        }
        match source.envelope(superblock) {
            Ok(envelope) => return Ok(Some(envelope)),
            Err(error) if error.not_resident().is_some() => return Err(error),
            Err(error) => {
                failed.get_or_insert((error, superblock));
            }
        }
    }
    failed.map_or(Ok(None), |(error, _)| Err(error))
}

/// The superblocks that are whole, newest first.
fn slots(source: &Source) -> Result<Vec<Superblock>> {
    let mut sectors = vec![0; 2 * SECTOR_BYTES as usize];
    source.read(0, &mut sectors)?;
    let mut slots = Vec::new();
    for sector in sectors.chunks(SECTOR_BYTES as usize) {
        match Superblock::decode_copy(sector) {
            Some(Ok(superblock)) => slots.push(superblock),
            // A newer version's, or one this build cannot read: whatever else there is would be read wrongly.
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    slots.sort_by_key(|superblock| core::cmp::Reverse(superblock.checkpoint));
    Ok(slots)
}

/// All copies of superblocks of one database, newest first: of `database`, else of the one that has most.
fn copies(source: &Source, database: Option<[u8; 16]>) -> Result<Vec<Superblock>> {
    /// The newest are enough; a hostile file may hold any number.
    const COPIES_MAX: usize = 4096;
    let mut grains = Grains::new(source);
    let mut copies: Vec<Superblock> = Vec::new();
    while let Some(copy) = grains.next_copy()? {
        if database.is_none_or(|id| id == copy.database_id) {
            copies.push(copy);
        }
        if copies.len() >= 2 * COPIES_MAX {
            copies.sort_by_key(|copy| core::cmp::Reverse(copy.checkpoint));
            copies.truncate(COPIES_MAX);
        }
    }
    copies.sort_by_key(|copy| core::cmp::Reverse(copy.checkpoint));
    if database.is_none() {
        let mut ids: Vec<[u8; 16]> = copies.iter().map(|copy| copy.database_id).collect();
        ids.sort_unstable();
        let most = ids.chunk_by(|a, b| a == b).max_by_key(|same| same.len()).and_then(|same| same.first().copied());
        copies.retain(|copy| Some(copy.database_id) == most);
    }
    Ok(copies)
}

/// The first of these whose record is whole, or at least the part of it that names the trees.
fn first_whole(
    source: &Source,
    envelope: Option<&Envelope>,
    superblocks: impl Iterator<Item = Superblock>,
) -> Result<Option<(Superblock, CheckpointRecord)>> {
    let Some(envelope) = envelope else { return Ok(None) };
    for superblock in superblocks {
        #[cfg(feature = "encryption")]
        if let Envelope::Sealed(cipher) = envelope
            && !superblock.is_authentic(cipher)
        {
            continue;
        }
        let extent = superblock.record.0;
        if extent.len > RECORD_BYTES_MAX || extent.offset.checked_add(extent.len).is_none_or(|end| end > source.bytes) {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(extent.len).unwrap_or(0)];
        source.read(extent.offset, &mut bytes)?;
        let kind = superblock.features.checksum();
        let whole = if envelope.verify(kind, Unit::Record, extent.offset, &superblock.record.1, &mut bytes) {
            CheckpointRecord::decode(&bytes, extent.offset, kind).ok()
        } else {
            None
        };
        // Of a sealed one no part is believed alone.
        let head = || CheckpointRecord::salvage(&bytes, kind).filter(|_| matches!(envelope, Envelope::Plain));
        if let Some(record) = whole.or_else(head) {
            return Ok(Some((superblock, record)));
        }
    }
    Ok(None)
}

/// Which checksums the nodes of this database have: those by which any node verifies.
fn checksum_of(source: &Source, database_id: [u8; 16]) -> Result<Checksum> {
    for &checksum in Checksum::ALL {
        if Grains::new(source).next_node(&Seal { checksum, database_id, envelope: Envelope::Plain })?.is_some() {
            return Ok(checksum);
        }
    }
    Ok(Checksum::default())
}

fn not_a_database(source: &Source, what: &str) -> Error {
    let mut start = vec![0; 16.min(usize::try_from(source.bytes).unwrap_or(16))];
    let shown = match source.storage.read_at(FileId::Data, 0, &mut start) {
        Ok(()) if !start.is_empty() => alloc::format!(" and starts with '{}'", start.escape_ascii()),
        _ => String::new(),
    };
    Error::NotADatabase { found: alloc::format!("{} {what}{shown}", source.storage.name()) }
}
