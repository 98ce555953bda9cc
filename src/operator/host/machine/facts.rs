//! What kind of machine this is, read from /proc, /sys and /etc alone: no command is run. It
//! judges nothing.

use std::fs;
use std::path::{Path, PathBuf};

use super::records::{Binary, Facts, Init, Os, Selinux};
use super::{clock, command, hosts_file, process};
use crate::operator::host::failure::{At, Failure};
use crate::operator::host::files::accounts::Accounts;
use crate::operator::host::files::look;

pub(crate) fn gather() -> Facts {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let hostname = text(uname.nodename());
    let memory = read("/proc/meminfo");
    let uid = rustix::process::geteuid().as_raw();
    let accounts = Accounts::read();
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Facts {
        arch: text(uname.machine()),
        kernel: text(uname.release()),
        os: os(&read_first(&["/etc/os-release", "/usr/lib/os-release"])),
        fqdn: fqdn(&hostname, &read("/etc/hosts")),
        hostname,
        uptime_ms: clock::uptime_ms(),
        boot_id: clock::boot_id(),
        machine_id: Some(read("/etc/machine-id").trim().to_string()).filter(|id| !id.is_empty()),
        memory_total_bytes: meminfo(&memory, "MemTotal"),
        memory_available_bytes: meminfo(&memory, "MemAvailable"),
        swap_total_bytes: meminfo(&memory, "SwapTotal"),
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        load: load(&read("/proc/loadavg")),
        init: init(),
        uid,
        user: accounts.user(uid).or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| uid.to_string()),
        home: std::env::var_os("HOME").map(PathBuf::from).or_else(|| accounts.home(uid)),
        wall_ms: clock::wall_ms(),
        timezone: timezone(),
        time_service: time_service(),
        selinux: selinux(),
        container: container(),
        nofile_soft: limits.current,
        nofile_hard: limits.maximum,
        somaxconn: read("/proc/sys/net/core/somaxconn").trim().parse().ok(),
    }
}

/// # Errors
/// When the running program cannot be read, which /proc forbids only in odd sandboxes.
pub(crate) fn binary() -> Result<Binary, Failure> {
    // The link's text may say "(deleted)" after an upgrade; opening it reads what really runs.
    let running = Path::new("/proc/self/exe");
    let path = fs::read_link(running).at("find", running)?;
    let (sha256, bytes) = look::hash(running)?;
    Ok(Binary { path, sha256, bytes, version: env!("CARGO_PKG_VERSION").to_string() })
}

/// os-release(5): `KEY=value`, perhaps quoted.
pub(crate) fn os(text: &str) -> Os {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_string()
    };
    Os { id: value("ID"), name: value("NAME"), version: value("VERSION_ID"), pretty: value("PRETTY_NAME") }
}

/// A /proc/meminfo figure in bytes; 0 when it is not there.
pub(crate) fn meminfo(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

pub(crate) fn fqdn(hostname: &str, hosts: &str) -> Option<String> {
    if hostname.contains('.') {
        return Some(hostname.to_string());
    }
    hosts_file::lines(hosts)
        .filter(|(_, names)| names.contains(&hostname))
        .find_map(|(_, names)| names.iter().find(|name| name.contains('.')).map(|name| (*name).to_string()))
}

pub(crate) fn init() -> Init {
    let comm = read("/proc/1/comm").trim().to_string();
    let systemd = comm == "systemd" && Path::new("/run/systemd/system").is_dir();
    if systemd && command::find("systemctl").is_some() { Init::Systemd } else { Init::Other(comm) }
}

fn load(text: &str) -> [f64; 3] {
    let mut words = text.split_whitespace().map(|word| word.parse().unwrap_or(0.0));
    std::array::from_fn(|_| words.next().unwrap_or(0.0))
}

fn timezone() -> Option<String> {
    let zone = |path: PathBuf| Some(path.to_str()?.split_once("zoneinfo/")?.1.to_string());
    fs::read_link("/etc/localtime")
        .ok()
        .and_then(zone)
        .or_else(|| Some(read("/etc/timezone").trim().to_string()).filter(|zone| !zone.is_empty()))
}

fn time_service() -> Option<String> {
    // The kernel cuts names at 15 characters.
    const KNOWN: [&str; 5] = ["chronyd", "ntpd", "systemd-timesyn", "openntpd", "ptp4l"];
    let comm = |pid: i32| read(process::folder(pid).join("comm")).trim().to_string();
    process::pids().into_iter().map(comm).find(|comm| KNOWN.contains(&comm.as_str()))
}

fn selinux() -> Selinux {
    match read("/sys/fs/selinux/enforce").trim() {
        "1" => Selinux::Enforcing,
        "0" => Selinux::Permissive,
        _ => Selinux::Absent,
    }
}

fn container() -> Option<String> {
    let named = read("/run/systemd/container").trim().to_string();
    if !named.is_empty() {
        return Some(named);
    }
    if Path::new("/.dockerenv").exists() {
        return Some("docker".into());
    }
    if Path::new("/run/.containerenv").exists() {
        return Some("podman".into());
    }
    // Root alone may read it.
    let environment = read("/proc/1/environ");
    let named = environment.split('\0').find_map(|entry| entry.strip_prefix("container="));
    named.filter(|kind| !kind.is_empty()).map(str::to_string)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn read_first(paths: &[&str]) -> String {
    paths.iter().map(read).find(|text| !text.is_empty()).unwrap_or_default()
}
