//! One folder of files on a disk whose power can be cut. What a cut does to bytes and lengths is what the simulated disk
//! does to its files, and written there; a name made since its folder was last synced may be gone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lightning_db_tests::random::Random;
use lightning_db_tests::sim_disk::{Change, SimFile};

/// Files are at most this long: a longer one is a mistake.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The disk, shared between the file system that serves it and whoever cuts its power.
#[derive(Debug)]
pub struct Disk(Mutex<State>);

#[derive(Debug)]
struct State {
    files: BTreeMap<u64, SimFile>,
    names: BTreeMap<OsString, Name>,
    next_file: u64,
    off: bool,
    random: Random,
    /// Of a hundred syncs of data alone, so many are answered without being done: what a disk that lies does.
    ignored_syncs: u64,
    counts: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    file: u64,
    durable: bool,
}

/// What reached the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub writes: u64,
    pub syncs: u64,
    /// Cuts that found something not yet durable.
    pub risky_cuts: u64,
}

/// Why a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The power is off.
    Off,
    /// There is no such file.
    Missing,
    /// There is one already.
    Exists,
    /// The file would be too long.
    TooLong,
}

type Result<T> = std::result::Result<T, Refusal>;

impl Disk {
    /// An empty disk that loses what `seed` decides.
    pub fn new(seed: u64, ignored_syncs: u64) -> Self {
        Self(Mutex::new(State {
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            next_file: 2,
            off: false,
            random: Random::new(seed),
            ignored_syncs,
            counts: Counts::default(),
        }))
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.lock();
        let file = state.next_file;
        state.next_file += 1;
        state.files.insert(file, SimFile::holding(bytes));
        state.names.insert(name.into(), Name { file, durable: true });
    }

    /// From now on nothing is done any more.
    pub fn cut(&self) {
        let mut state = self.lock();
        // Lock files are never synced: what they say counts only while their process lives.
        let kept = state.names.iter().filter(|(name, _)| !name.to_string_lossy().ends_with("-lock"));
        let risky = kept.filter_map(|(_, name)| state.files.get(&name.file)).any(|file| !file.is_synced());
        state.counts.risky_cuts += u64::from(risky);
        state.off = true;
    }

    /// Starts again with one of the contents that may be found.
    pub fn restart(&self) {
        let mut state = self.lock();
        let State { files, names, random, .. } = &mut *state;
        names.retain(|_, name| name.durable || random.chance(1, 2));
        names.values_mut().for_each(|name| name.durable = true);
        files.retain(|file, _| names.values().any(|name| name.file == *file));
        files.values_mut().for_each(|file| file.lose_power(random));
        state.off = false;
    }

    /// What reached it so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// All files as they are now.
    pub fn contents(&self) -> Vec<(OsString, Vec<u8>)> {
        let state = self.lock();
        let each = state.names.iter().filter_map(|(name, at)| Some((name, state.files.get(&at.file)?)));
        each.map(|(name, file)| (name.clone(), file.visible().to_vec())).collect()
    }

    /// The file of a name, and its length.
    pub fn look_up(&self, name: &OsStr) -> Result<(u64, u64)> {
        let state = self.running()?;
        let file = state.names.get(name).ok_or(Refusal::Missing)?.file;
        Ok((file, state.file(file)?.visible().len() as u64))
    }

    pub fn len(&self, file: u64) -> Result<u64> {
        Ok(self.running()?.file(file)?.visible().len() as u64)
    }

    pub fn create(&self, name: &OsStr) -> Result<u64> {
        let mut state = self.running()?;
        if state.names.contains_key(name) {
            return Err(Refusal::Exists);
        }
        let file = state.next_file;
        state.next_file += 1;
        state.files.insert(file, SimFile::default());
        state.names.insert(name.into(), Name { file, durable: false });
        Ok(file)
    }

    /// The file itself stays for those who have it open, until the next start.
    pub fn unlink(&self, name: &OsStr) -> Result<()> {
        self.running()?.names.remove(name).map(drop).ok_or(Refusal::Missing)
    }

    pub fn read(&self, file: u64, offset: u64, len: usize) -> Result<Vec<u8>> {
        let state = self.running()?;
        let bytes = state.file(file)?.visible();
        let start = bytes.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
        Ok(bytes[start..bytes.len().min(start.saturating_add(len))].to_vec())
    }

    pub fn write(&self, file: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.running()?;
        state.counts.writes += 1;
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= FILE_BYTES_MAX);
        end.ok_or(Refusal::TooLong)?;
        state.file_mut(file)?.change(Change::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    pub fn set_len(&self, file: u64, len: u64) -> Result<()> {
        let mut state = self.running()?;
        if len > FILE_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let file = state.file_mut(file)?;
        if file.visible().len() as u64 != len {
            file.change(Change::Len(len));
        }
        Ok(())
    }

    /// `data_only` when no length needs to become durable that is not needed to read the data.
    pub fn sync(&self, file: u64, data_only: bool) -> Result<()> {
        let mut state = self.running()?;
        state.counts.syncs += 1;
        let ignored = if data_only { state.ignored_syncs } else { 0 };
        if !state.random.chance(ignored, 100) {
            state.file_mut(file)?.sync();
        }
        Ok(())
    }

    /// Makes the names durable.
    pub fn sync_names(&self) -> Result<()> {
        self.running()?.names.values_mut().for_each(|name| name.durable = true);
        Ok(())
    }

    fn running(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.off { Err(Refusal::Off) } else { Ok(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn file(&self, file: u64) -> Result<&SimFile> {
        self.files.get(&file).ok_or(Refusal::Missing)
    }

    fn file_mut(&mut self, file: u64) -> Result<&mut SimFile> {
        self.files.get_mut(&file).ok_or(Refusal::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "app.ldb";

    fn bytes_after(cuts: u64, synced: bool, named: bool, ignored_syncs: u64) -> Vec<Option<Vec<u8>>> {
        let each = |seed| {
            let disk = Disk::new(seed, ignored_syncs);
            let file = disk.create(OsStr::new(NAME)).unwrap();
            disk.write(file, 0, &[7; 4096]).unwrap();
            if synced {
                disk.sync(file, true).unwrap();
            }
            if named {
                disk.sync_names().unwrap();
            }
            disk.cut();
            assert_eq!(disk.write(file, 0, &[1]), Err(Refusal::Off));
            disk.restart();
            disk.contents().pop().map(|(_, bytes)| bytes)
        };
        (0..cuts).map(each).collect()
    }

    #[test]
    fn what_was_synced_stays_and_what_was_not_may_be_gone() {
        assert!(bytes_after(50, true, true, 0).iter().all(|found| found.as_deref() == Some(&[7; 4096][..])));
        let unsynced = bytes_after(50, false, true, 0);
        assert!(unsynced.iter().any(|found| found.as_deref() == Some(&[7; 4096][..])));
        assert!(unsynced.iter().any(|found| found.as_ref().is_some_and(|bytes| bytes.is_empty())));
        assert!(bytes_after(50, true, false, 0).iter().any(Option::is_none), "a name that was not synced");
        assert!(bytes_after(50, true, true, 100).iter().any(|found| found.as_deref() != Some(&[7; 4096][..])));
    }
}
