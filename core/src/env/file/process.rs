//! The identity of a process, precise enough to tell that it is dead: process ids are used again, after a reboot from the
//! start, and mean nothing in another container.

use core::fmt::{self, Write};
use std::fs::File;
use std::path::Path;
use std::string::{String, ToString};

use crate::env::calendar::date;
use crate::env::{Clock, SystemClock};

const FIRST_LINE: &str = "lightning-db lock 1";

/// Who made a lock file, as written in it: a first line, then lines of a name, a space and a value. Unknown names are
/// skipped, missing values are empty, and an empty value proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holder {
    pid: u32,
    /// When the process started, in the system's own measure.
    start: String,
    /// Differs after every boot.
    boot: String,
    /// Within which `pid` is counted; differs between containers.
    namespace: String,
    /// The machine's name, for file systems shared between machines.
    host: String,
    /// The data file on which it held the system's lock; empty for a process without such locks.
    locked_file: String,
    since_ms: u64,
    /// The program, for messages.
    name: String,
}

/// The data file on which this process holds the system's lock, by a name that another file does not get when a restore
/// or a person replaces the file; or that there is no such lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockedFile(Option<String>);

impl LockedFile {
    pub(super) fn held(file: &File) -> Self {
        Self(Some(file_identity(file)))
    }

    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

impl Holder {
    pub(super) fn this_process(lock: &LockedFile) -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start: start_time(pid).unwrap_or_default(),
            boot: boot(),
            namespace: pid_namespace(),
            host: host(),
            locked_file: lock.0.clone().unwrap_or_default(),
            since_ms: SystemClock::default().wall_ms(),
            name: program(),
        }
    }

    /// Whether the process that wrote this can no longer be running. Doubt is no proof.
    pub(super) fn is_proven_dead(&self, me: &Holder, lock: &LockedFile) -> bool {
        // It had the system's lock on this very file for all its life, and now this process has it.
        if lock.0.as_deref().is_some_and(|file| !file.is_empty() && file == self.locked_file) {
            return true;
        }
        if self.pid == 0 || self.host.is_empty() || self.host != me.host {
            return false;
        }
        if !self.boot.is_empty() && !me.boot.is_empty() && self.boot != me.boot {
            return true;
        }
        if self.namespace != me.namespace {
            return false;
        }
        if !may_be_alive(self.pid) {
            return true;
        }
        let start = start_time(self.pid).unwrap_or_default();
        !start.is_empty() && !self.start.is_empty() && start != self.start
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::from(FIRST_LINE);
        let Self { pid, start, boot, namespace, host, locked_file, since_ms, name } = self;
        let _ = write!(
            text,
            "\npid {pid}\nstart {start}\nboot {boot}\nnamespace {namespace}\nhost {host}\nlocked-file {locked_file}\nsince {since_ms}\nname {name}\n"
        );
        text
    }

    /// `None` for anything that is not a complete lock file: the last line proves that it was written to its end.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut holder = Self::default();
        let body = text.strip_prefix(FIRST_LINE)?.strip_prefix('\n')?.strip_suffix('\n')?;
        let mut complete = false;
        for line in body.split('\n') {
            let (name, value) = line.split_once(' ')?;
            match name {
                "pid" => holder.pid = value.parse().ok()?,
                "start" => holder.start = value.to_string(),
                "boot" => holder.boot = value.to_string(),
                "namespace" => holder.namespace = value.to_string(),
                "host" => holder.host = value.to_string(),
                "locked-file" => holder.locked_file = value.to_string(),
                "since" => holder.since_ms = value.parse().ok()?,
                "name" => {
                    holder.name = value.to_string();
                    complete = true;
                }
                _ => {}
            }
        }
        complete.then_some(holder)
    }
}

/// `process 1234 (lightning), since 2026-03-01 09:15:00 UTC`
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == std::process::id() && self.namespace == pid_namespace() {
            f.write_str("this process")?;
        } else {
            write!(f, "process {}", self.pid)?;
        }
        if !self.name.is_empty() {
            write!(f, " ({})", self.name)?;
        }
        if self.host != host() {
            write!(f, " on {}", self.host)?;
        }
        let (year, month, day) = date((self.since_ms / 86_400_000).cast_signed());
        let second = self.since_ms / 1000 % 86_400;
        let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, ", since {year}-{month:02}-{day:02} {h:02}:{m:02}:{s:02} UTC")
    }
}

/// One line of printable characters, as the lock file wants it.
fn line(value: impl AsRef<str>) -> String {
    value.as_ref().trim().chars().filter(|c| !c.is_control()).take(200).collect()
}

fn program() -> String {
    let path = std::env::current_exe().ok().or_else(|| std::env::args_os().next().map(Into::into));
    path.as_deref().and_then(Path::file_stem).map(|name| line(name.to_string_lossy())).unwrap_or_default()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(line).unwrap_or_default()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn pid_namespace() -> String {
    std::fs::read_link("/proc/self/ns/pid").map(|name| line(name.to_string_lossy())).unwrap_or_default()
}

/// Field 22 of `/proc/<pid>/stat`, clock ticks since boot; the word `zombie` for a process that has ended and only waits
/// for its parent, which differs from any time.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(std::format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets and may itself hold spaces and brackets.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" => Some(String::from("zombie")),
        _ => fields.nth(18).map(line),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot() -> String {
    String::new()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn pid_namespace() -> String {
    String::new()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn start_time(_pid: u32) -> Option<String> {
    None
}

#[cfg(unix)]
fn host() -> String {
    line(rustix::system::uname().nodename().to_string_lossy())
}

#[cfg(unix)]
fn may_be_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_none_or(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(unix)]
fn file_identity(file: &File) -> String {
    use std::os::unix::fs::MetadataExt;
    file.metadata().map(|found| found.ino().to_string()).unwrap_or_default()
}

#[cfg(windows)]
fn host() -> String {
    std::env::var("COMPUTERNAME").map(line).unwrap_or_default()
}

#[cfg(windows)]
fn may_be_alive(_pid: u32) -> bool {
    true
}

/// Windows refuses to replace or delete a file that is open, so the path always names the locked file.
#[cfg(windows)]
fn file_identity(_file: &File) -> String {
    String::from("path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(me: &Holder) -> Holder {
        Holder { locked_file: String::new(), ..me.clone() }
    }

    #[test]
    fn a_lock_file_is_read_back_as_written_and_not_when_cut() {
        let lock = LockedFile(Some("17".into()));
        let me = Holder { name: "my (odd) name".into(), ..Holder::this_process(&lock) };
        let text = me.to_text();
        assert_eq!(Holder::parse(&text), Some(me));
        for cut in 0..text.len() {
            assert_eq!(Holder::parse(&text[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Holder::parse("lightning-db lock 2\npid 1\nname x\n"), None);
    }

    #[test]
    fn a_living_process_is_never_proven_dead() {
        let none = LockedFile::none();
        let me = Holder::this_process(&none);
        assert!(!me.is_proven_dead(&me, &none));
        assert!(!other(&me).is_proven_dead(&me, &LockedFile(Some("17".into()))), "it never had the system's lock");
        let moved = Holder { locked_file: "16".into(), ..me.clone() };
        assert!(!moved.is_proven_dead(&me, &LockedFile(Some("17".into()))), "its lock is on another file");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn death_is_proven_by_each_kind_of_evidence_and_not_across_hosts_or_containers() {
        let none = LockedFile::none();
        let me = Holder::this_process(&none);
        assert!(!me.start.is_empty() && !me.boot.is_empty() && !me.namespace.is_empty() && !me.host.is_empty());
        let rebooted = Holder { boot: "another".into(), ..me.clone() };
        let reused_pid = Holder { start: "1".into(), ..me.clone() };
        let gone = Holder { pid: i32::MAX as u32, ..me.clone() };
        let had_lock = Holder { locked_file: "17".into(), host: "elsewhere".into(), ..me.clone() };
        for dead in [&rebooted, &reused_pid, &gone] {
            assert!(dead.is_proven_dead(&me, &none), "{dead:?}");
            let elsewhere = Holder { host: "elsewhere".into(), ..dead.clone() };
            assert!(!elsewhere.is_proven_dead(&me, &none), "{elsewhere:?}");
        }
        for doubtful in [&reused_pid, &gone] {
            let container = Holder { namespace: "pid:[1]".into(), ..doubtful.clone() };
            assert!(!container.is_proven_dead(&me, &none), "{container:?}");
        }
        assert!(had_lock.is_proven_dead(&me, &LockedFile(Some("17".into()))));
        assert!(!had_lock.is_proven_dead(&me, &none));
    }

    #[test]
    fn messages_name_the_process_and_the_time() {
        let holder = Holder {
            pid: u32::MAX,
            name: "lightning".into(),
            host: host(),
            since_ms: 1_709_210_096_789,
            ..Holder::default()
        };
        assert_eq!(holder.to_string(), "process 4294967295 (lightning), since 2024-02-29 12:34:56 UTC");
    }
}
