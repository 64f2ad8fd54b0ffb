//! Kills the children of one scenario again and again, and verifies what each leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lightning_db::RecoveryStage;
use lightning_db_tests::random::Random;

use crate::history::{History, Promise};
use crate::life::{Heard, Life, Orders};
use crate::message::Message;
use crate::report::Outcome;
use crate::scenario::Scenario;

/// The files of a database.
const FILES: [&str; 3] = ["app.ldb", "app.ldb-log", "app.ldb-lock"];
/// Before a child has taken up its work it is not worth killing.
pub const BEGINNING: Duration = Duration::from_micros(200);
/// Closing a small database takes no longer.
const CLOSE_MAX: Duration = Duration::from_secs(60);

/// One scenario's database, and what is known of it.
struct Campaign<'a> {
    scenario: &'static Scenario,
    folder: &'a Path,
    lightning: Option<&'a Path>,
    random: Random,
    history: History,
    outcome: Outcome,
    /// How long the last start up to the open database took, and the last closing, to aim by.
    opening: Duration,
    closing: Duration,
}

/// Kills `kills` processes of `scenario` in `folder`, which is kept if something is wrong.
pub fn run(scenario: &'static Scenario, seed: u64, kills: u64, folder: &Path, lightning: Option<&Path>) -> Outcome {
    let start = Instant::now();
    let mut outcome = Outcome::of(scenario.name);
    let made = fs::create_dir_all(folder).map_err(|error| format!("cannot make '{}': {error}", folder.display()));
    let begun = made.and_then(|()| History::begin(scenario, seed, folder));
    match begun {
        Err(what) => outcome.failure = Some(what),
        Ok(history) => {
            let mut campaign = Campaign {
                scenario,
                folder,
                lightning,
                random: Random::new(seed),
                history,
                outcome,
                opening: Duration::from_millis(20),
                closing: Duration::from_millis(20),
            };
            let result = campaign.go_on(kills);
            outcome = campaign.outcome;
            outcome.acknowledged += campaign.history.commits();
            outcome.lost += campaign.history.lost;
            if let Err(what) = result {
                outcome.failure = Some(format!("seed {seed}, after kill {}: {what}", outcome.kills));
            }
        }
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    outcome
}

impl Campaign<'_> {
    fn go_on(&mut self, kills: u64) -> Result<(), String> {
        let mut fresh = true;
        while self.outcome.kills < kills {
            if fresh {
                self.make_new()?;
            }
            let before = self.outcome.kills;
            self.live()?;
            self.run_command()?;
            fresh = before / self.scenario.kills_per_database != self.outcome.kills / self.scenario.kills_per_database;
        }
        // What the last kill left.
        self.keep_copy()?;
        let life = self.start(Orders { verify: true, ..Orders::default() })?;
        self.verify(&life)
    }

    /// Another database, filled as the scenario wants it.
    fn make_new(&mut self) -> Result<(), String> {
        for file in FILES {
            remove(&self.folder.join(file))?;
        }
        if self.outcome.kills > 0 {
            self.outcome.acknowledged += self.history.commits();
            self.history = History::begin(self.scenario, self.random.bits(), self.folder)?;
        }
        if self.scenario.prefill > 0 {
            let orders = Orders { commits: Some(self.scenario.prefill), prefill: true, ..Orders::default() };
            let mut life = self.start(orders)?;
            self.verify(&life)?;
            life.go()?;
            await_end(&life, Instant::now() + CLOSE_MAX)?;
            life.finish()?;
        }
        Ok(())
    }

    /// From one start of a process to its end.
    fn live(&mut self) -> Result<(), String> {
        self.keep_copy()?;
        if self.random.chance(self.scenario.opening_kills, 100) {
            return self.kill_opening();
        }
        let mut life = self.start(Orders { commits: self.scenario.commits, ..Orders::default() })?;
        self.verify(&life)?;
        let delay = self.delay();
        life.go()?;
        self.work(life, Instant::now() + delay)
    }

    /// Half of them at any moment, half at a stage of opening, because most are short.
    fn kill_opening(&mut self) -> Result<(), String> {
        let even = self.random.chance(1, 2);
        let stage = (!even).then(|| 1 + self.random.index(RecoveryStage::ALL.len()));
        let life = self.start(Orders { stage, ..Orders::default() })?;
        let delay = Duration::from_micros(self.random.below(self.opening.as_micros() as u64));
        // What it tells before is told again by the next.
        life.dump(Some(life.started + if even { delay } else { 3 * self.opening }))?;
        self.kill(life)
    }

    /// Lets it work until `kill_at`, or, if it closes the database before, until some moment of that.
    fn work(&mut self, mut life: Life, mut kill_at: Instant) -> Result<(), String> {
        let mut closing = None;
        loop {
            match life.hear(kill_at) {
                Heard::Silence => {
                    if closing.is_some() {
                        // It takes longer than thought, and later moments must be struck as well.
                        self.closing = self.closing * 11 / 10;
                    }
                    return self.kill(life);
                }
                Heard::Message(Message::Closing) => {
                    let now = Instant::now();
                    closing = Some(now);
                    kill_at = now + Duration::from_micros(self.random.below(self.closing.as_micros() as u64 * 6 / 5));
                }
                Heard::Message(Message::Closed) => {
                    self.closing = closing.map_or(self.closing, |since| since.elapsed());
                    self.outcome.clean_ends += 1;
                    return life.finish();
                }
                Heard::Message(Message::Failed(what)) => return Err(format!("while it worked: {what}")),
                Heard::Message(other) => return Err(format!("unexpected {other:?}")),
                Heard::End => return Err(String::from("the process ended while it worked; see 'stderr'")),
            }
        }
    }

    fn kill(&mut self, mut life: Life) -> Result<(), String> {
        let phase = life.ask()?;
        life.end();
        let Some(phase) = phase else {
            self.outcome.clean_ends += 1;
            return Ok(());
        };
        self.outcome.kills += 1;
        for name in phase.names() {
            *self.outcome.phases.entry(name).or_default() += 1;
        }
        Ok(())
    }

    /// Half the delays are even, half more often short.
    fn delay(&mut self) -> Duration {
        let most = self.scenario.work_ms * 1000;
        let even = self.random.chance(1, 2);
        BEGINNING + Duration::from_micros(if even { self.random.below(most) } else { self.random.skewed(most) })
    }

    fn verify(&mut self, life: &Life) -> Result<(), String> {
        let dump = life.dump(None)?.ok_or("nothing was told")?;
        self.outcome.openings.push(dump.micros);
        self.opening = dump.opened_after;
        self.history.verify(&dump, Promise::Acknowledged)
    }

    /// Runs a command over what a killed process left, and kills it too, mostly.
    fn run_command(&mut self) -> Result<(), String> {
        let (Some(name), Some(program)) = (self.scenario.command, self.lightning) else { return Ok(()) };
        if fs::metadata(self.folder.join("app.ldb")).is_ok_and(|file| file.len() == 0) {
            // Killed before there was a database: the command rightly finds none.
            return Ok(());
        }
        self.keep_copy()?;
        let mut command = Command::new(program);
        command.arg(name).arg(self.folder.join("app.ldb")).stdin(Stdio::null()).stdout(Stdio::null());
        let output = fs::File::create(self.folder.join("stderr.command")).map_err(|error| error.to_string())?;
        let mut process = command.stderr(output).spawn().map_err(|error| format!("cannot run 'lightning': {error}"))?;
        let delay = self.random.below(self.opening.as_micros() as u64 * 3);
        std::thread::sleep(Duration::from_micros(delay));
        match process.try_wait() {
            Ok(Some(status)) if status.success() => self.outcome.clean_ends += 1,
            Ok(Some(status)) => return Err(format!("'lightning {name}' ended with {status}; see 'stderr.command'")),
            _ => {
                process.kill().and_then(|()| process.wait()).map_err(|error| error.to_string())?;
                self.outcome.kills += 1;
                *self.outcome.phases.entry(format!("lightning {name}")).or_default() += 1;
            }
        }
        Ok(())
    }

    fn start(&self, orders: Orders) -> Result<Life, String> {
        Life::start(self.scenario, self.history.seed, self.folder, self.folder, orders)
    }

    /// The files as they are before the next process opens them, for whoever looks into a failure.
    fn keep_copy(&self) -> Result<(), String> {
        keep_copy(self.folder)
    }
}

/// Copies the database's files in `folder` to `before` in it.
pub fn keep_copy(folder: &Path) -> Result<(), String> {
    let before = folder.join("before");
    let copied = fs::create_dir_all(&before).and_then(|()| {
        for file in FILES {
            let (from, to): (PathBuf, PathBuf) = (folder.join(file), before.join(file));
            match fs::copy(from, &to) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => _ = fs::remove_file(to),
                other => _ = other?,
            }
        }
        Ok(())
    });
    copied.map_err(|error| format!("cannot copy the database: {error}"))
}

fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove '{}': {error}", path.display()))
        }
        _ => Ok(()),
    }
}

fn await_end(life: &Life, deadline: Instant) -> Result<(), String> {
    loop {
        match life.hear(deadline) {
            Heard::Message(Message::Closing) => {}
            Heard::Message(Message::Closed) => return Ok(()),
            Heard::Message(Message::Failed(what)) => return Err(format!("while the database was filled: {what}")),
            Heard::Message(other) => return Err(format!("unexpected {other:?}")),
            Heard::Silence => return Err(String::from("the database was not filled in time")),
            Heard::End => return Err(String::from("the process ended while it filled the database; see 'stderr'")),
        }
    }
}
