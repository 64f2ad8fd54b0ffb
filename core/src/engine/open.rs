//! Opening, creating and closing: recovery in named stages.
//!
//! **A database that was closed properly is opened without writing.** What writing needs (the log's beginning, and then the
//! superblock that says that the log is needed) is prepared and left to [`Engine::finish_opening`], which whoever writes
//! waits for. See [`first_write`](super::first_write).

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::archive::{ArchiveRecord, archived_to, is_held};
use super::backup::is_new_copy;
use super::commit::{Durable, apply_operations};
use super::feed::History;
use super::first_write::FirstWrite;
#[cfg(feature = "std")]
use super::guarded_storage::GuardedStorage;
#[cfg(feature = "std")]
use super::healed::Healed;
use super::maintenance::Work;
use super::named::{NamedSnapshots, read_bitmaps};
use super::node_ages::NodeAges;
use super::nodes::{Nodes, read_exact};
use super::options::{EngineOptions, Verify};
use super::recent::Recent;
use super::record::{ANCESTORS_MAX, Ancestor, CheckpointRecord};
use super::recovery_stage::RecoveryStage;
use super::space_rebuild::Rebuild;
use super::state::{Engine, Environment, Held, Space, Stopped, Tickets, Writer};
use super::stats::Counters;
use super::values::{extent_of, is_there};
use super::version::{Layers, MemtableValues, Version};
use super::write_again::{Found, write_lengths_again};
#[cfg(feature = "encryption")]
use crate::codec::checksum::Checksum;
#[cfg(feature = "encryption")]
use crate::codec::cipher::{Cipher, DataKeys, Encryption, EncryptionKey, KeyArea, Lock};
use crate::codec::cipher::{Envelope, Proof, Unit};
#[cfg(feature = "encryption")]
use crate::env::Entropy;
use crate::env::sync::Mutex;
use crate::env::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::env::{FileId, ReadBack, Storage};
use crate::error::{Error, Result};
use crate::log::{
    Log, LogConfig, LogPosition, Operation, Operations, Owner, Verdict, holds_commits, intact, replay, require_own,
    was_begun,
};
use crate::memtable::{ChunkPool, Memtable};
#[cfg(feature = "encryption")]
use crate::space::KeyBlock;
use crate::space::{
    Extent, Features, GRAIN_BYTES, Older, PendingFree, PendingFrees, RESERVED_SECTORS, SECTOR_BYTES, SpaceMap,
    Superblock, SuperblockSlots,
};
use crate::testing::Mutant;
use crate::tree::Seal;

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The database was made by this open.
    pub created: bool,
    /// It had been closed properly.
    pub clean: bool,
    /// Commits brought back from the log.
    pub replayed_commits: u64,
    /// Bytes of a torn tail that were cut: writes that were never acknowledged as durable.
    pub torn_bytes: u64,
    /// Where the torn tail began, in the log file.
    pub torn_offset: Option<u64>,
}

/// What a database is opened with.
pub(crate) struct OpenArguments<'a> {
    pub storage: Arc<dyn Storage>,
    pub env: Environment,
    pub options: EngineOptions,
    pub progress: &'a mut dyn FnMut(RecoveryStage),
}

impl Engine {
    /// Opens or creates. `NotResident` means: fetch and call again from the start.
    pub(crate) fn open(arguments: OpenArguments<'_>) -> Result<(Self, RecoveryReport)> {
        let OpenArguments { mut storage, env, options, progress } = arguments;
        if options.verify == Verify::Always {
            storage = ReadBack::over(storage);
        }
        progress(RecoveryStage::Superblocks);
        let opened = match SuperblockSlots::read(&*storage)? {
            SuperblockSlots::Found { newest, older } => recover(storage, env, options, *newest, older, progress)?,
            SuperblockSlots::Empty => create(storage, env, options, progress)?,
        };
        progress(RecoveryStage::Done);
        Ok(opened)
    }
}

fn create(
    storage: Arc<dyn Storage>,
    env: Environment,
    options: EngineOptions,
    progress: &mut dyn FnMut(RecoveryStage),
) -> Result<(Engine, RecoveryReport)> {
    #[cfg_attr(not(feature = "encryption"), allow(unused_mut, reason = "it is what was asked for"))]
    let mut options = options;
    if options.read_only || !options.create {
        return Err(Error::NotADatabase {
            found: format!("{} is empty, and this open may not create a database", storage.name()),
        });
    }
    if holds_commits(&*storage)? {
        let what = "the file is empty or missing, but the log holds commits of a database";
        return Err(Error::corrupt(FileId::Data, 0, what));
    }
    let mut database_id = [0; 16];
    env.entropy.fill(&mut database_id);
    let features = Features::new(options.compression, options.checksum);
    #[cfg(feature = "encryption")]
    let (features, key_block, envelope) = match options.key.clone() {
        None => (features, None, Envelope::Plain),
        Some(key) => {
            let (keys, envelope) = first_key(&options, &key, database_id, &env)?;
            options.checksum = Checksum::Tag;
            (features.encrypted(options.encryption), Some(KeyBlock::new(keys)), envelope)
        }
    };
    #[cfg(not(feature = "encryption"))]
    let envelope = Envelope::Plain;
    let superblock = Superblock {
        #[cfg(feature = "encryption")]
        key_block,
        database_id,
        features,
        incarnation: random(&env),
        parent: (0, 0),
        checkpoint: 0,
        sequence: 0,
        created_ms: env.clock.wall_ms(),
        clean: false,
        segment_bytes: options.segment_bytes,
        record: (Extent { offset: 0, len: 0 }, Proof::none(options.checksum)),
        file_bytes: 0,
    };
    progress(RecoveryStage::StartLog);
    // An attempt that failed may have left both files.
    write_lengths_again(&*storage)?;
    let log = Log::create(&*storage, log_config(&superblock, &options), LogPosition::fresh(1, 0))?;
    let space = SpaceMap::new(options.limits.file_bytes_max);
    let state = State {
        position: log.position(),
        log: Some(log),
        map: space,
        pending: PendingFrees::default(),
        layers: Layers::default(),
        memtable: Memtable::new(),
        values: MemtableValues::default(),
        ancestors: Vec::new(),
        checkpoint_kept: 0,
        sequence: 0,
        merged_sequence: 0,
        time_ms: 0,
        record: None,
        named: NamedSnapshots::default(),
        sealed: Vec::new(),
        replayed_log_bytes: 0,
        is_clean: true,
        begins_incarnation: false,
        first_write: None,
        #[cfg(feature = "std")]
        healed: Healed::default(),
        superblock,
        envelope,
    };
    let engine = state.into_engine(storage, env, options);
    engine.first_checkpoint(true, progress)?;
    Ok((engine, RecoveryReport { created: true, clean: true, ..RecoveryReport::default() }))
}

/// Whether every value that the operations refer to is on storage, and where.
fn values_are_there(
    storage: &dyn Storage,
    envelope: &Envelope,
    operations: Operations<'_>,
    extents: &mut Vec<Extent>,
) -> Result<bool> {
    for operation in operations {
        if let Operation::PutExtent { value, .. } = operation? {
            if !is_there(storage, envelope, &value)? {
                return Ok(false);
            }
            extents.push(extent_of(&value));
        }
    }
    Ok(true)
}

/// Whether the history that the record tells has this commit as one of its incarnation. How an incarnation began that was left too long
/// ago is not recorded.
#[cfg(feature = "encryption")]
pub(crate) fn may_be_of(ancestors: &[Ancestor], newest: u64, (incarnation, sequence): (u64, u64)) -> bool {
    let at = ancestors.iter().position(|one| sequence <= one.left_at);
    match at {
        Some(0) if ancestors.len() >= ANCESTORS_MAX => true,
        at => at.and_then(|at| ancestors.get(at)).map_or(newest, |one| one.incarnation) == incarnation,
    }
}

fn recover(
    storage: Arc<dyn Storage>,
    env: Environment,
    options: EngineOptions,
    mut superblock: Superblock,
    older: Older,
    progress: &mut dyn FnMut(RecoveryStage),
) -> Result<(Engine, RecoveryReport)> {
    let data_bytes = storage.len(FileId::Data)?;
    if data_bytes < superblock.file_bytes {
        let what =
            format!("the file has {data_bytes} bytes, its superblock says {}: it was cut", superblock.file_bytes);
        return Err(Error::corrupt(FileId::Data, data_bytes, what));
    }
    // What was chosen when the database was made stays.
    let mut options = options;
    options.compression = superblock.features.compression();
    options.checksum = superblock.features.checksum();
    #[cfg(feature = "encryption")]
    let envelope = unlock(&superblock, options.key.as_ref(), &*env.entropy)?;
    #[cfg(not(feature = "encryption"))]
    let envelope = Envelope::Plain;
    progress(RecoveryStage::CheckpointRecord);
    let record = read_record(&*storage, &superblock, &envelope)?;
    progress(RecoveryStage::SpaceMap);
    if record.sectors.checked_mul(SECTOR_BYTES) != Some(superblock.file_bytes) {
        let what = format!("the checkpoint record is of a file of {} sectors, the superblock is not", record.sectors);
        return Err(Error::corrupt(FileId::Data, superblock.record.0.offset, what));
    }
    announce_reads(&*storage, &record, superblock.file_bytes);
    let map = read_map(&*storage, &record, &options, &envelope);

    progress(RecoveryStage::VerifySpace);
    let map = map.and_then(|map| require_in_use(&map, &record, &superblock).map(|()| map));
    #[cfg(feature = "std")]
    let healed = Healed::default();
    let (mut map, is_rebuilt) = match map {
        Ok(map) => (map, false),
        Err(damage) => {
            let (superblock, record) = (&superblock, &record);
            let rebuild = Rebuild { storage: &storage, superblock, record, options: &options, envelope: &envelope };
            let map = rebuild.map(&damage)?;
            #[cfg(feature = "std")]
            healed.tell(rebuild.in_words(&damage));
            (map, true)
        }
    };

    let mut memtable = Memtable::new();
    let mut values = MemtableValues::default();
    // One that says so beside another that does is all there is to know: nothing has come after it. A map that was made again
    // is made durable at once.
    let untouched = superblock.clean && matches!(older, Older::Closed) && !is_rebuilt;
    let clean = superblock.clean
        && match older {
            Older::Closed => true,
            // Closing was not completed: should the medium not have this superblock, the older one needs its log.
            Older::Unclosed => storage.len(FileId::Log)? == 0,
            // A superblock that says the log is not needed is believed only if none can have come after it: had the next
            // session's been damaged, its log would be all there is of what was committed in it.
            Older::Missing => {
                Mutant::CleanSuperblockBelieved.is_active()
                    || !was_begun(&*storage, &superblock.database_id, record.log.generation)?
            }
        };
    if clean && !options.read_only {
        let own = (superblock.incarnation, record.log.generation);
        require_own(&*storage, &superblock.database_id, own, is_new_copy(&superblock))?;
    }
    let mut report = RecoveryReport { clean, ..RecoveryReport::default() };
    let mut time_ms = record.time_ms;
    let mut sequence = superblock.sequence;
    let mut unsynced_values = Vec::new();
    let end = if clean {
        None
    } else {
        progress(RecoveryStage::ReplayLog);
        // It was durable before the first superblock that says so.
        if storage.len(FileId::Log)? == 0 {
            let what = "the file is empty or missing, but the database was not closed";
            return Err(Error::corrupt(FileId::Log, 0, what));
        }
        let own = Some(superblock.incarnation);
        let owner = Owner { database_id: superblock.database_id, envelope: envelope.clone() };
        let end = replay(&*storage, owner, own, &record.sealed, record.log, &mut |commit| {
            if commit.sequence > sequence {
                #[cfg(feature = "encryption")]
                if matches!(envelope, Envelope::Sealed(_)) && commit.sequence != sequence + 1 {
                    // The checksums of frames keep nobody from leaving one out who means to.
                    let what = format!("commit {} is missing", sequence + 1);
                    return Err(Error::corrupt(FileId::Log, commit.offset, what));
                }
                #[cfg(feature = "encryption")]
                if matches!(envelope, Envelope::Sealed(_))
                    && !may_be_of(&record.ancestors, superblock.incarnation, (commit.incarnation, commit.sequence))
                {
                    // Headers of segments are proven by checksums alone; what of the log was left behind, the record knows.
                    let what = format!("commit {} was taken back, and put in again", commit.sequence);
                    return Err(Error::corrupt(FileId::Log, commit.offset, what));
                }
                if commit.values_unsynced
                    && !values_are_there(&*storage, &envelope, commit.operations(), &mut unsynced_values)?
                {
                    return Ok(Verdict::Torn);
                }
                if !apply_operations(&mut memtable, commit.operations(), commit.sequence, &mut values) {
                    return Err(Error::corrupt(FileId::Log, 0, format!("commit {} is malformed", commit.sequence)));
                }
                sequence = commit.sequence;
                time_ms = time_ms.max(commit.time_ms);
                report.replayed_commits += 1;
            }
            Ok(Verdict::Whole)
        })?;
        progress(RecoveryStage::JudgeLog);
        if end.checkpoint > superblock.checkpoint {
            let what = format!(
                "the log was written after checkpoint {}, but the newest intact superblock is {}",
                end.checkpoint, superblock.checkpoint
            );
            return Err(Error::corrupt(FileId::Data, 0, what));
        }
        if let Some(torn) = &end.torn {
            report.torn_bytes = torn.bytes;
            report.torn_offset = Some(torn.offset);
        }
        Some(end)
    };

    progress(RecoveryStage::ReleaseSpace);
    // What was reusable once this checkpoint was durable has perhaps been reused, for values that only the log names.
    let mut pending = PendingFrees::from_record(record.pending.clone());
    let named = match record.named.as_slice() {
        [] => NamedSnapshots::default(),
        all => read_bitmaps(&*storage, (&envelope, options.checksum), all, data_bytes)?,
    };
    let is_awaited = !named.is_empty() || record.archive.is_some();
    let archived = archived_to(record.archive.as_deref());
    let is_kept = |free: &PendingFree| is_held(free, archived) || named.hold(free);
    pending.release(&mut map, superblock.checkpoint, &[], if is_awaited { &is_kept } else { &|_| false });
    progress(RecoveryStage::ReserveValues);
    for value in values.all.iter().filter(|_| !Mutant::LoggedValuesUnreserved.is_active()) {
        let extent = extent_of(value);
        // It was durable before the commit that refers to it.
        if extent.offset.checked_add(extent.len).is_none_or(|end| end > data_bytes) {
            return Err(Error::corrupt(FileId::Data, extent.offset, "the file ends before a value that the log names"));
        }
        map.reserve(extent)?;
    }

    let mut sealed = Vec::new();
    let mut ancestors = record.ancestors.clone();
    let mut log = None;
    let mut position = record.log;
    let mut first_write = None;
    let mut begins_incarnation = false;
    if !options.read_only {
        let kept = intact(&*storage, &superblock.database_id, superblock.segment_bytes, record.kept.clone())?;
        if untouched {
            first_write = Some(FirstWrite::after(superblock.clone(), &*storage)?);
        } else {
            progress(RecoveryStage::StartLog);
            let found = Found { superblock: &superblock, log: end.as_ref(), values: &unsynced_values };
            found.write_again(&*storage)?;
        }
        let config = log_config(&superblock, &options);
        let mut opened = match &end {
            None if untouched => Log::create_later(&*storage, config, record.log)?,
            None => Log::create(&*storage, config, record.log)?,
            Some(end) if end.is_empty() && end.retained.is_empty() && record.log.is_fresh() => {
                Log::create(&*storage, config, record.log)?
            }
            Some(end) => {
                superblock.parent = (superblock.incarnation, end.last_sequence());
                ancestors.push(Ancestor { incarnation: superblock.incarnation, left_at: end.last_sequence() });
                ancestors.drain(..ancestors.len().saturating_sub(ANCESTORS_MAX));
                superblock.incarnation = random(&env);
                begins_incarnation = true;
                // Where the trees hold all of it already there is nothing to flush, and only a flush gives segments back:
                // crash after crash would fill the log.
                if !memtable.is_empty() && !Mutant::ReplayedLogForgotten.is_active() {
                    sealed.clone_from(&end.segments);
                }
                Log::resume(&*storage, LogConfig { incarnation: superblock.incarnation, ..config }, end)?
            }
        };
        opened.adopt(&kept, record.replay_start().generation);
        position = match &end {
            Some(end) if Mutant::AppendedBehindCut.is_active() => end.position,
            _ => opened.position(),
        };
        log = Some(opened);
    }
    superblock.clean = false;
    let kept = record.kept.first();
    let checkpoint_kept = kept.map_or(record.replay_start().generation, |segment| segment.generation);
    let state = State {
        position,
        log,
        map,
        pending,
        layers: Layers { base: record.base, runs: record.runs.clone(), ..Layers::default() },
        memtable,
        values,
        ancestors,
        checkpoint_kept,
        sequence: if Mutant::SequenceGivenAgain.is_active() { superblock.sequence } else { sequence },
        merged_sequence: superblock.sequence,
        time_ms,
        record: Some(record),
        named,
        sealed,
        replayed_log_bytes: end.as_ref().map_or(0, |end| end.replayed_bytes()),
        is_clean: clean,
        begins_incarnation,
        first_write,
        #[cfg(feature = "std")]
        healed,
        superblock,
        envelope,
    };
    let read_only = options.read_only;
    let engine = state.into_engine(storage, env, options);
    if !read_only && !untouched {
        engine.first_checkpoint(false, progress)?;
    }
    Ok((engine, report))
}

/// What opening has gathered.
struct State {
    superblock: Superblock,
    record: Option<CheckpointRecord>,
    named: NamedSnapshots,
    map: SpaceMap,
    pending: PendingFrees,
    layers: Layers,
    memtable: Memtable,
    values: MemtableValues,
    ancestors: Vec<Ancestor>,
    checkpoint_kept: u64,
    sequence: u64,
    merged_sequence: u64,
    time_ms: u64,
    log: Option<Log>,
    position: LogPosition,
    sealed: Vec<crate::log::SealedSegment>,
    replayed_log_bytes: u64,
    is_clean: bool,
    begins_incarnation: bool,
    first_write: Option<FirstWrite>,
    #[cfg(feature = "std")]
    healed: Healed,
    envelope: Envelope,
}

impl State {
    #[cfg_attr(not(feature = "encryption"), allow(unused_mut, reason = "nothing is under two data keys"))]
    fn into_engine(mut self, storage: Arc<dyn Storage>, env: Environment, options: EngineOptions) -> Engine {
        // What another session has begun.
        #[cfg(feature = "encryption")]
        let reencryption = self.superblock.key_block.as_ref().filter(|block| block.keys.has_retired()).map(|_| {
            self.map.set_wiping(true);
            self.map.mark_dirty(&(0..self.map.page_count()).collect::<Vec<_>>());
            self.log.iter_mut().for_each(|log| log.set_wiping(true));
            super::reencryption::ReencryptionWork::new()
        });
        let layers = Arc::new(Layers { publication: 1, ..self.layers });
        let mut in_flight = alloc::collections::BTreeMap::new();
        for value in &self.values.all {
            let extent = extent_of(value);
            in_flight.insert(extent.offset, extent.len);
        }
        let space = Space {
            map: self.map,
            pending: self.pending,
            building: self.superblock.checkpoint + 1,
            publication: 1,
            live: vec![Held::new(&layers)],
            expired: 0,
            in_flight,
            born: crate::hashing::HashMap::default(),
            ages: NodeAges::opened(
                self.record.as_ref().map_or(0, |record| record.base_age),
                self.merged_sequence,
                self.is_clean,
            ),
        };
        let memtable_bytes = self.memtable.bytes();
        let run_count = layers.runs.len();
        let version = Version { sequence: self.sequence, time_ms: self.time_ms, memtable: self.memtable, layers };
        let record = self.record.as_ref();
        let is_opening = self.first_write.is_some();
        let is_frozen = record.is_some_and(|record| record.is_frozen);
        // Without `std` there is no mode, and nobody who could thaw it.
        let is_read_only = options.read_only || (is_frozen && !cfg!(feature = "std"));
        let work = Work {
            first_write: self.first_write,
            flush: None,
            merge: None,
            checkpoint: None,
            #[cfg(feature = "encryption")]
            reencryption,
            request: None,
            map_pages: record.map_or_else(Vec::new, |record| record.map_pages.clone()),
            merged_log: self.position,
            sealed: self.sealed,
            merged_sequence: self.merged_sequence,
            merged_time_ms: record.map_or(0, |record| record.time_ms),
            values: record.map_or(0, |record| record.values),
            next_run_id: record.map_or(0, |record| record.next_run_id),
            checkpoint_log: record.map_or(self.position, |record| record.replay_start()),
            checkpoint_kept: self.checkpoint_kept,
            saved_log: self.position,
            unsaved_bytes: 0,
            unsaved: false,
            plan: alloc::collections::VecDeque::new(),
            merge_all: false,
            avoided: Default::default(),
            #[cfg(feature = "std")]
            failed: None,
            node_bytes_written: 0,
            checkpoint_named: self.named.listed(),
            checkpoint_archive: record.and_then(|record| record.archive.as_deref().map(ArchiveRecord::copied)),
            #[cfg(feature = "std")]
            checkpoint_frozen: is_frozen,
            superblock: self.superblock,
        };
        let history = History {
            incarnation: work.superblock.incarnation,
            database_id: work.superblock.database_id,
            segment_bytes: work.superblock.segment_bytes,
            ancestors: self.ancestors,
            is_new: self.begins_incarnation,
        };
        let seal =
            Seal { checksum: options.checksum, database_id: work.superblock.database_id, envelope: self.envelope };
        #[cfg(feature = "std")]
        let guarded = Arc::new(GuardedStorage::new(storage, Arc::clone(&env.clock), &options));
        #[cfg(feature = "std")]
        let storage: Arc<dyn Storage> = Arc::clone(&guarded) as Arc<dyn Storage>;
        let cache_bytes_max = options.cache_bytes + options.lendable_bytes;
        let nodes = Nodes::new(storage, seal, (options.cache_bytes, cache_bytes_max), options.verify);
        let chunks = Arc::new(ChunkPool::new(options.memtable_bytes));
        #[cfg(feature = "std")]
        let lending = super::lending::Lending::opened(&options, &nodes, &chunks, memtable_bytes);
        Engine {
            scrubs: Default::default(),
            #[cfg(feature = "std")]
            guard: super::guard::Guard::new(options.limits.write_bytes_per_s, is_frozen),
            #[cfg(feature = "std")]
            guarded,
            nodes: Arc::new(nodes),
            env,
            counters: Counters::default(),
            visible: Mutex::new(Arc::new(version)),
            writer: Mutex::new(Writer {
                log: self.log,
                head: None,
                syncing: None,
                values: self.values,
                recent: Recent::new(self.merged_sequence, options.memtable_bytes),
                stopped: is_read_only.then_some(Stopped::ReadOnly),
                must_sync: 0,
                sync_due_ns: None,
                appended: self.sequence,
                #[cfg(feature = "std")]
                lending,
            }),
            space: Mutex::new(space),
            work: Mutex::new(work),
            durable: Durable::at(self.sequence),
            tickets: Mutex::new(Tickets::default()),
            data_syncs: Mutex::default(),
            #[cfg(feature = "std")]
            beside: super::beside::Beside::default(),
            optimistic: Mutex::default(),
            memtable_bytes: AtomicUsize::new(memtable_bytes),
            chunks,
            opening: AtomicBool::new(is_opening),
            replayed_log_bytes: self.replayed_log_bytes,
            run_count: AtomicUsize::new(run_count),
            activity: super::activity::SharedActivity::default(),
            log_is_full: AtomicBool::new(false),
            is_damaged: AtomicBool::new(false),
            #[cfg(feature = "std")]
            transaction_memory: super::transaction_memory::TransactionMemory::new(
                options.limits.transactions_bytes_max.unwrap_or(usize::MAX),
            ),
            #[cfg(feature = "std")]
            healed: self.healed,
            history,
            is_frozen: AtomicBool::new(is_frozen),
            named: Mutex::new(self.named),
            archive: Mutex::new(self.record.and_then(|record| record.archive)),
            watchers: super::watchers::Watchers::default(),
            uuids: crate::env::Uuids::default(),
            options,
        }
    }
}

impl Engine {
    /// Makes the log's new beginning part of a durable checkpoint before anything is acknowledged. Where the platform
    /// completes barriers later, the job goes on with the next steps, and commits wait for it.
    fn first_checkpoint(&self, creates: bool, progress: &mut dyn FnMut(RecoveryStage)) -> Result<()> {
        // The log must be durable before a superblock names it.
        progress(RecoveryStage::SyncLog);
        let mut work = self.work.lock();
        work.checkpoint = Some(super::checkpoint::Checkpoint::first(creates));
        let mut log_is_synced = false;
        while work.checkpoint.is_some() {
            match self.step_in(&mut work) {
                Ok(_) if !core::mem::replace(&mut log_is_synced, true) => progress(RecoveryStage::Checkpoint),
                Ok(_) => {}
                Err(Error::Pending(_)) => {
                    self.opening.store(true, Ordering::Release);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// No checkpoint record is longer.
pub(crate) const RECORD_BYTES_MAX: u64 = 1 << 30;

fn read_record(storage: &dyn Storage, superblock: &Superblock, envelope: &Envelope) -> Result<CheckpointRecord> {
    let (extent, proof) = superblock.record;
    let checksum = superblock.features.checksum();
    if extent.len > RECORD_BYTES_MAX
        || extent.offset.checked_add(extent.len).is_none_or(|end| end > superblock.file_bytes)
    {
        return Err(Error::corrupt(FileId::Data, extent.offset, "the checkpoint record lies outside the file"));
    }
    let mut bytes = vec![0; extent.len as usize];
    read_exact(storage, extent.offset, &mut bytes, "the checkpoint record")?;
    if !envelope.verify(checksum, Unit::Record, extent.offset, &proof, &mut bytes) {
        return Err(Error::corrupt(FileId::Data, extent.offset, "the checkpoint record is damaged"));
    }
    CheckpointRecord::decode(&bytes, extent.offset, checksum)
}

/// Draws the key that everything is sealed with, and wraps it for the first key that opens the database.
#[cfg(feature = "encryption")]
fn first_key(
    options: &EngineOptions,
    key: &EncryptionKey,
    database_id: [u8; 16],
    env: &Environment,
) -> Result<(KeyArea, Envelope)> {
    let mut data_key = zeroize::Zeroizing::new([0; 32]);
    env.entropy.fill_key(&mut *data_key)?;
    let lock = Lock { encryption: options.encryption, database_id: &database_id };
    let none = KeyArea::default();
    let (keys, _) = none.with(lock, &data_key, key, env.clock.wall_ms(), &*env.entropy)?;
    let cipher = Cipher::new(options.encryption, database_id, DataKeys::first(data_key), &*env.entropy);
    Ok((keys, Envelope::Sealed(Arc::new(cipher))))
}

/// Begins a session with the database that this superblock is of.
#[cfg(feature = "encryption")]
pub(crate) fn unlock(superblock: &Superblock, key: Option<&EncryptionKey>, entropy: &dyn Entropy) -> Result<Envelope> {
    let Some((encryption, data_keys)) = unlock_keys(superblock, key)? else { return Ok(Envelope::Plain) };
    let cipher = Cipher::new(encryption, superblock.database_id, data_keys, entropy);
    if !superblock.is_authentic(&cipher) {
        let at = superblock.checkpoint % 2 * SECTOR_BYTES;
        return Err(Error::corrupt(FileId::Data, at, "the superblock was changed by somebody who has no key"));
    }
    Ok(Envelope::Sealed(Arc::new(cipher)))
}

/// The data keys that the key opens; `None` where nothing is encrypted, and no key was given. It is not looked whether the rest of the
/// superblock is authentic: what is in memory of it changes before it is sealed again.
#[cfg(feature = "encryption")]
pub(super) fn unlock_keys(
    superblock: &Superblock,
    key: Option<&EncryptionKey>,
) -> Result<Option<(Encryption, DataKeys)>> {
    let Some(encryption) = superblock.features.encryption() else {
        return match key {
            None => Ok(None),
            Some(_) => Err(Error::WrongKey { what: "a key was given, but the database is not encrypted".into() }),
        };
    };
    let Some(key) = key else {
        let what = format!("the database is encrypted ({}), and no key was given", encryption.name());
        return Err(Error::WrongKey { what });
    };
    let Some(block) = &superblock.key_block else {
        return Err(Error::corrupt(FileId::Data, 0, "the superblock has no keys"));
    };
    let lock = Lock { encryption, database_id: &superblock.database_id };
    Ok(Some((encryption, block.keys.unlock(lock, key)?)))
}

/// Hints at what is read next, by opening and by whoever looks for the first key: the medium brings it all at once, rather than
/// one after the other.
fn announce_reads(storage: &dyn Storage, record: &CheckpointRecord, file_bytes: u64) {
    let last = file_bytes.saturating_sub(SECTOR_BYTES);
    for at in record.map_pages.iter().map(|&(offset, _)| offset).chain([last]) {
        storage.prefetch(FileId::Data, at, SECTOR_BYTES);
    }
    let runs = record.runs.iter().flat_map(|layer| [&layer.run.points, &layer.run.intervals]);
    for root in runs.chain([&record.base]).flatten() {
        storage.prefetch(FileId::Data, root.node.offset, u64::from(root.node.len));
    }
}

pub(super) fn read_map(
    storage: &dyn Storage,
    record: &CheckpointRecord,
    options: &EngineOptions,
    envelope: &Envelope,
) -> Result<SpaceMap> {
    let mut counts = Vec::new();
    let mut page = vec![0; SECTOR_BYTES as usize];
    for (offset, proof) in &record.map_pages {
        let offset = *offset;
        read_exact(storage, offset, &mut page, "a page of the space map")?;
        if !envelope.verify(options.checksum, Unit::MapPage, offset, proof, &mut page) {
            return Err(Error::corrupt(FileId::Data, offset, "a page of the space map is damaged"));
        }
        counts.extend_from_slice(&page);
    }
    if record.sectors > counts.len() as u64 {
        return Err(Error::corrupt(FileId::Data, 0, "the space map describes fewer sectors than the file has"));
    }
    counts.truncate(record.sectors as usize);
    SpaceMap::from_counts(counts, options.limits.file_bytes_max)
}

/// What is freed sooner or later whatever the trees hold must be in use, each grain once; otherwise the map and the record
/// do not belong together.
pub(super) fn require_in_use(map: &SpaceMap, record: &CheckpointRecord, superblock: &Superblock) -> Result<()> {
    let mut freed: crate::hashing::HashMap<u64, u64> = crate::hashing::HashMap::default();
    let pages = record.map_pages.iter().map(|&(offset, _)| Extent { offset, len: SECTOR_BYTES });
    let own = core::iter::once(superblock.record_and_copy()).chain(pages);
    let bitmaps = record.named.iter().map(|named| named.bitmap.0);
    for extent in own.chain(bitmaps).chain(record.pending.iter().map(|free| free.extent)) {
        let end = extent.offset.checked_add(extent.len).filter(|&end| end <= map.file_bytes());
        let mut whole = end.is_some()
            && extent.offset.is_multiple_of(GRAIN_BYTES)
            && extent.offset >= RESERVED_SECTORS * SECTOR_BYTES;
        let mut at = extent.offset;
        while let Some(end) = end
            && whole
            && at < end
        {
            let sector = at / SECTOR_BYTES;
            let until = end.min((sector + 1) * SECTOR_BYTES);
            let grains = freed.entry(sector).or_insert(0);
            *grains += (until - at).div_ceil(GRAIN_BYTES);
            whole = *grains <= u64::from(map.sector_used(sector));
            at = until;
        }
        if !whole {
            let what = format!(
                "the space map does not hold the {} bytes at {} that the record names",
                extent.len, extent.offset
            );
            return Err(Error::corrupt(FileId::Data, superblock.record.0.offset, what));
        }
    }
    Ok(())
}

fn log_config(superblock: &Superblock, options: &EngineOptions) -> LogConfig {
    LogConfig {
        database_id: superblock.database_id,
        segment_bytes: superblock.segment_bytes,
        incarnation: superblock.incarnation,
        regions_max: u32::try_from(options.log_bytes_max / u64::from(superblock.segment_bytes.max(1)))
            .unwrap_or(u32::MAX)
            .max(4),
    }
}

pub(super) fn random(env: &Environment) -> u64 {
    let mut bytes = [0; 8];
    env.entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[cfg(all(test, feature = "encryption"))]
mod tests {
    use super::*;

    impl Engine {
        /// Where the newest checkpoint begins to replay, and what segments are made with.
        pub(crate) fn log_for_tests(&self) -> (LogPosition, LogConfig) {
            let work = self.work.lock();
            (work.merged_log, log_config(&work.superblock, &self.options))
        }
    }

    #[test]
    fn a_commit_is_of_the_incarnation_that_history_says() {
        let ancestors = [(10, 5), (20, 5), (30, 8)].map(|(incarnation, left_at)| Ancestor { incarnation, left_at });
        for (incarnation, sequence) in [(10, 1), (10, 5), (30, 6), (30, 8), (40, 9)] {
            for other in [10, 20, 30, 40] {
                assert_eq!(may_be_of(&ancestors, 40, (other, sequence)), other == incarnation, "{sequence} of {other}");
            }
        }
        assert!(may_be_of(&[], 40, (40, 1)) && !may_be_of(&[], 40, (30, 1)));
        // What was before the oldest that is recorded is not known.
        let many = [Ancestor { incarnation: 1, left_at: 7 }; 1].repeat(ANCESTORS_MAX);
        assert!(may_be_of(&many, 40, (99, 7)) && !may_be_of(&many, 40, (99, 8)));
    }
}
