//! The process table in /proc: what a pid is, and whether it is still the same process. It sends
//! signals only to a process proven to be the one meant, through a pidfd.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use super::clock;
use super::records::Process;

/// One process, never confused with a later one of the same pid: pids are recycled, start times
/// within one boot are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks between boot and the start of the process.
    pub(crate) start_ticks: u64,
    pub(crate) boot_id: String,
}

impl Identity {
    /// The process that has this pid now; `None` when there is none (or only a zombie).
    pub(crate) fn of(pid: i32) -> Option<Identity> {
        let stat = Stat::read(pid)?;
        (!stat.dead()).then(|| Identity { pid, start_ticks: stat.start_ticks, boot_id: clock::boot_id() })
    }

    pub(crate) fn alive(&self) -> bool {
        Identity::of(self.pid).as_ref() == Some(self)
    }

    /// Signals this very process; false when it has ended already.
    ///
    /// # Errors
    /// `PermissionDenied` when it belongs to somebody else.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(false) };
        let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        // The descriptor pins whoever has the pid now; only then is it compared.
        if !self.alive() {
            return Ok(false);
        }
        match rustix::process::pidfd_send_signal(fd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Process {
    pub(crate) fn read(pid: i32) -> Option<Process> {
        let folder = folder(pid);
        let stat = Stat::read(pid)?;
        if stat.dead() {
            return None;
        }
        Some(Process {
            pid,
            uid: fs::metadata(&folder).ok()?.uid(),
            exe: fs::read_link(folder.join("exe")).ok(),
            cmdline: cmdline(pid),
            started_ms: Some(started_ms(stat.start_ticks)),
            rss_bytes: stat.rss_pages.saturating_mul(page_bytes()),
            threads: stat.threads,
            comm: stat.comm,
        })
    }
}

/// All pids of this host's pid namespace, ascending.
pub(crate) fn pids() -> Vec<i32> {
    let mut pids: Vec<i32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// The arguments, lossily as text; empty for kernel threads.
pub(crate) fn cmdline(pid: i32) -> Vec<String> {
    let mut bytes = fs::read(folder(pid).join("cmdline")).unwrap_or_default();
    bytes.truncate(CMDLINE_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes);
    text.trim_end_matches('\0').split('\0').filter(|arg| !arg.is_empty()).map(str::to_string).collect()
}

pub(crate) fn folder(pid: i32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// Ticks after boot → milliseconds since 1970; both clocks are read at once.
fn started_ms(start_ticks: u64) -> i64 {
    let since_boot = start_ticks.saturating_mul(1000) / TICKS_PER_SECOND;
    clock::wall_ms().saturating_sub_unsigned(clock::uptime_ms()).saturating_add_unsigned(since_boot)
}

/// The fields of /proc/PID/stat that we use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) comm: String,
    pub(crate) state: char,
    pub(crate) threads: u32,
    pub(crate) start_ticks: u64,
    pub(crate) rss_pages: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(folder(pid).join("stat")).ok()?)
    }

    /// The name stands in brackets and may itself hold brackets and blanks: fields are counted
    /// from the last closing one.
    pub(crate) fn parse(line: &str) -> Option<Stat> {
        let (head, tail) = line.rsplit_once(')')?;
        let comm = head.split_once('(')?.1.to_string();
        let fields: Vec<&str> = tail.split_whitespace().collect();
        // proc_pid_stat(5) counts from 1; the state is field 3 and our index 0.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Stat {
            comm,
            state: field(3)?.chars().next()?,
            threads: field(20)?.parse().ok()?,
            start_ticks: field(22)?.parse().ok()?,
            rss_pages: field(24)?.parse().unwrap_or(0),
        })
    }

    /// A zombie holds its pid until its parent looks, but it runs no more.
    fn dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

fn page_bytes() -> u64 {
    // /proc/self/statm and smaps agree on the page size; 4 KiB but for some ARM kernels.
    static PAGE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *PAGE.get_or_init(|| {
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        smaps
            .lines()
            .find_map(|line| {
                line.strip_prefix("KernelPageSize:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
            })
            .map_or(4096, |kib| kib * 1024)
    })
}

/// Clock ticks a second in /proc: a constant of the kernel's user interface (USER_HZ) on every
/// architecture we run on.
const TICKS_PER_SECOND: u64 = 100;
/// Command lines of Java servers reach tens of kilobytes (class paths).
const CMDLINE_BYTES_MAX: usize = 64 << 10;
