//! Facts of the process and its machine that the status words show (operations §8.2, `envi`, `mntr`).

use std::path::Path;

/// The keys of the reference; where they speak of Java, this program's own facts or `<NA>`.
pub(super) fn facts(version: &str) -> Vec<(&'static str, String)> {
    let uname = rustix::system::uname();
    let text = |name: &str| std::env::var(name).unwrap_or_else(|_| "<NA>".into());
    let na = || "<NA>".to_owned();
    let memory = memory_mb();
    vec![
        ("zookeeper.version", version.to_owned()),
        ("host.name", uname.nodename().to_string_lossy().into_owned()),
        ("java.version", na()),
        ("java.vendor", "zkops".to_owned()),
        ("java.home", na()),
        ("java.class.path", na()),
        ("java.library.path", na()),
        ("java.io.tmpdir", std::env::temp_dir().display().to_string()),
        ("java.compiler", na()),
        ("os.name", uname.sysname().to_string_lossy().into_owned()),
        ("os.arch", java_arch(&uname.machine().to_string_lossy())),
        ("os.version", uname.release().to_string_lossy().into_owned()),
        ("user.name", text("USER")),
        ("user.home", text("HOME")),
        ("user.dir", std::env::current_dir().map_or_else(|_| na(), |dir| dir.display().to_string())),
        ("os.memory.free", format!("{}MB", memory.0)),
        ("os.memory.max", format!("{}MB", memory.1)),
        ("os.memory.total", format!("{}MB", memory.1)),
    ]
}

/// Descriptors this process has open.
pub(super) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count())
}

pub(super) fn open_files_max() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Bytes of the plain files in a directory.
pub(super) fn dir_len(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).sum()
}

/// What is free for us on the fuller file system of the two, which need not be there yet; `None`: nobody says.
pub(super) fn free_bytes(data_dir: &Path, log_dir: &Path) -> Option<u64> {
    let free = |dir: &Path| {
        let stat =
            rustix::fs::statvfs(dir).or_else(|_| rustix::fs::statvfs(dir.parent().unwrap_or(dir))).ok()?;
        stat.f_bavail.checked_mul(stat.f_frsize)
    };
    Some(free(data_dir)?.min(free(log_dir)?))
}

fn java_arch(machine: &str) -> String {
    if machine == "x86_64" { "amd64".into() } else { machine.to_owned() }
}

/// (free, total) memory of the machine in MB.
fn memory_mb() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kb = |key: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap_or(0)
    };
    (kb("MemAvailable") / 1024, kb("MemTotal") / 1024)
}
