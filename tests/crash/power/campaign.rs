//! Cuts the power of one scenario's disk again and again, and verifies what is found.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lightning_db::RecoveryStage;
use lightning_db_tests::random::Random;

use super::disk::Disk;
use super::mount::Mounts;
use crate::campaign::BEGINNING;
use crate::history::{History, Promise};
use crate::life::{Heard, Life, Orders};
use crate::message::Message;
use crate::report::Outcome;
use crate::scenario::Scenario;

/// What kind of disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The database on the FUSE file system itself.
    Direct,
    /// The same, but every second sync of data alone is not done.
    Lying,
    /// The database on ext4, on a disk that is a file of the FUSE file system.
    Ext4,
}

/// One scenario's disk, and what is known of the database on it.
pub struct Campaign<'a> {
    scenario: &'static Scenario,
    kind: Kind,
    folder: &'a Path,
    /// What a new disk holds, if it is no empty folder.
    image: Option<&'a [u8]>,
    disk: Arc<Disk>,
    random: Random,
    history: History,
    outcome: Outcome,
    opening: Duration,
    closing: Duration,
}

impl<'a> Campaign<'a> {
    /// Cuts the power `cuts` times. In `folder` the disk is mounted, and what is needed to look into a failure is kept.
    pub fn run(
        scenario: &'static Scenario,
        seed: u64,
        cuts: u64,
        folder: &'a Path,
        kind: Kind,
        image: Option<&'a [u8]>,
    ) -> Outcome {
        let start = Instant::now();
        let mut outcome = Outcome::of(scenario.name);
        let made = Mounts::make_folders(folder);
        match made.and_then(|()| History::begin(scenario, seed, folder)) {
            Err(what) => outcome.failure = Some(what),
            Ok(history) => {
                let disk = new_disk(seed, kind, image);
                let mut campaign = Campaign {
                    scenario,
                    kind,
                    folder,
                    image,
                    disk,
                    random: Random::new(seed),
                    history,
                    outcome,
                    opening: Duration::from_millis(20),
                    closing: Duration::from_millis(20),
                };
                let result = campaign.go_on(cuts);
                campaign.count();
                outcome = campaign.outcome;
                outcome.lost += campaign.history.lost;
                if let Err(what) = result {
                    outcome.failure = Some(format!("seed {seed}, after cut {}: {what}", outcome.kills));
                }
            }
        }
        outcome.seconds = start.elapsed().as_secs_f64();
        outcome
    }

    /// Whether this machine mounts what a campaign needs.
    pub fn trial(folder: &Path, image: Option<&[u8]>) -> Result<(), String> {
        let folder = folder.join("trial");
        Mounts::make_folders(&folder)?;
        let mounted = Mounts::at(&folder, &new_disk(0, Kind::Direct, image), true, image.is_some());
        let tried = mounted.and_then(Mounts::unmount);
        clear(&folder);
        tried
    }

    fn go_on(&mut self, cuts: u64) -> Result<(), String> {
        let mut filled = self.scenario.prefill == 0;
        while self.outcome.kills < cuts {
            let before = self.outcome.kills;
            let files = self.disk.contents();
            let result = if filled { self.live() } else { self.fill() };
            if result.is_err() {
                keep(&self.folder.join("before"), &files);
            }
            result?;
            filled = true;
            let each = self.scenario.kills_per_database;
            if before / each != self.outcome.kills / each {
                self.count();
                let seed = self.random.bits();
                self.disk = new_disk(seed, self.kind, self.image);
                self.history = History::begin(self.scenario, seed, self.folder)?;
                filled = self.scenario.prefill == 0;
            }
        }
        Ok(())
    }

    /// Adds what became of this database to the outcome.
    fn count(&mut self) {
        let counts = self.disk.counts();
        self.outcome.acknowledged += self.history.commits();
        for (name, count) in [
            ("(writes that reached the disk)", counts.writes),
            ("(syncs that reached the disk)", counts.syncs),
            ("(cuts that found unsynced writes on the disk)", counts.risky_cuts),
        ] {
            *self.outcome.phases.entry(String::from(name)).or_default() += count;
        }
    }

    fn fill(&mut self) -> Result<(), String> {
        let mounted = self.mount(true)?;
        let orders = Orders { commits: Some(self.scenario.prefill), prefill: true, ..Orders::default() };
        let mut life = self.start(orders)?;
        self.verify(&life)?;
        life.go()?;
        self.work(life, mounted, Instant::now() + Duration::from_secs(60))
    }

    /// From one start of the machine to the next.
    fn live(&mut self) -> Result<(), String> {
        // With the kernel's cache before it a disk sees writes late and together; without, each at once.
        let write_back = self.random.chance(1, 2);
        let mounted = self.mount(write_back)?;
        if self.random.chance(self.scenario.opening_kills, 100) {
            let even = self.random.chance(1, 2);
            let stage = (!even).then(|| 1 + self.random.index(RecoveryStage::ALL.len()));
            let life = self.start(Orders { stage, ..Orders::default() })?;
            let delay = Duration::from_micros(self.random.below(self.opening.as_micros() as u64));
            life.dump(Some(life.started + if even { delay } else { 3 * self.opening }))?;
            return self.cut(life, mounted);
        }
        let early = write_back && self.random.chance(1, 2);
        let orders = Orders { commits: self.scenario.commits, write_back: early, ..Orders::default() };
        let mut life = self.start(orders)?;
        self.verify(&life)?;
        // Under ext4 a sync is several writes and syncs of the disk.
        let most = self.scenario.work_ms * if self.kind == Kind::Ext4 { 5000 } else { 1000 };
        let delay = if self.random.chance(1, 2) { self.random.below(most) } else { self.random.skewed(most) };
        life.go()?;
        self.work(life, mounted, Instant::now() + BEGINNING + Duration::from_micros(delay))
    }

    fn work(&mut self, life: Life, mounted: Mounts, mut cut_at: Instant) -> Result<(), String> {
        let mut closing = None;
        loop {
            match life.hear(cut_at) {
                Heard::Silence => {
                    if closing.is_some() {
                        self.closing = self.closing * 11 / 10;
                    }
                    return self.cut(life, mounted);
                }
                Heard::Message(Message::Closing) => {
                    let now = Instant::now();
                    closing = Some(now);
                    cut_at = now + Duration::from_micros(self.random.below(self.closing.as_micros() as u64 * 6 / 5));
                }
                Heard::Message(Message::Closed) => {
                    self.closing = closing.map_or(self.closing, |since| since.elapsed());
                    return self.cut_closed(life, mounted);
                }
                Heard::Message(Message::Failed(what)) => return Err(format!("while it worked: {what}")),
                Heard::Message(other) => return Err(format!("unexpected {other:?}")),
                Heard::End => return Err(String::from("the process ended while it worked; see 'stderr'")),
            }
        }
    }

    fn cut(&mut self, mut life: Life, mounted: Mounts) -> Result<(), String> {
        let Some(phase) = life.ask()? else { return self.cut_closed(life, mounted) };
        self.disk.cut();
        life.end();
        for name in phase.names() {
            *self.outcome.phases.entry(name).or_default() += 1;
        }
        self.start_again(mounted)
    }

    /// After closing, nothing acknowledged may be lost, however it was committed.
    fn cut_closed(&mut self, mut life: Life, mounted: Mounts) -> Result<(), String> {
        self.disk.cut();
        life.end();
        self.history.closed()?;
        self.outcome.clean_ends += 1;
        *self.outcome.phases.entry(String::from("closed")).or_default() += 1;
        self.start_again(mounted)
    }

    fn start_again(&mut self, mounted: Mounts) -> Result<(), String> {
        self.outcome.kills += 1;
        super::CUTS.fetch_add(1, Ordering::Relaxed);
        mounted.unmount()?;
        self.disk.restart();
        Ok(())
    }

    fn verify(&mut self, life: &Life) -> Result<(), String> {
        let dump = life.dump(None)?.ok_or("nothing was told")?;
        self.outcome.openings.push(dump.micros);
        self.opening = dump.opened_after;
        self.history.verify(&dump, Promise::Durable)
    }

    fn start(&self, orders: Orders) -> Result<Life, String> {
        let database = Mounts::folder_of(self.folder, self.kind == Kind::Ext4);
        Life::start(self.scenario, self.history.seed, &database, self.folder, orders)
    }

    fn mount(&self, write_back: bool) -> Result<Mounts, String> {
        Mounts::at(self.folder, &self.disk, write_back, self.kind == Kind::Ext4)
    }
}

fn new_disk(seed: u64, kind: Kind, image: Option<&[u8]>) -> Arc<Disk> {
    let disk = Disk::new(seed, if kind == Kind::Lying { 50 } else { 0 });
    if let Some(image) = image {
        disk.put(super::ext4::IMAGE, image.to_vec());
    }
    Arc::new(disk)
}

/// Writes out the files as they were when the power came back.
fn keep(folder: &Path, files: &[(std::ffi::OsString, Vec<u8>)]) {
    // What cannot be kept is missed; the failure itself is told anyway.
    _ = fs::create_dir_all(folder);
    for (name, bytes) in files {
        _ = fs::write(folder.join(name), bytes);
    }
}

/// Removes what a campaign has left, file by file, so that nothing that might still be mounted is reached.
pub fn clear(folder: &Path) {
    let before = folder.join("before");
    for name in ["app.ldb", "app.ldb-log", "app.ldb-lock", super::ext4::IMAGE] {
        _ = fs::remove_file(before.join(name));
    }
    for name in ["ledger", "stderr"] {
        _ = fs::remove_file(folder.join(name));
    }
    _ = fs::remove_dir(before);
    Mounts::remove_folders(folder);
    _ = fs::remove_dir(folder);
}
