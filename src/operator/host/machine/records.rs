//! What is answered about the machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// As `uname -m` says: "x86_64", "aarch64".
    pub arch: String,
    pub kernel: String,
    pub os: Os,
    pub hostname: String,
    /// The first dotted name that /etc/hosts gives to the host name, or the host name if it is dotted.
    pub fqdn: Option<String>,
    pub uptime_ms: u64,
    /// The kernel's random name for this boot: another one means that it was restarted.
    pub boot_id: String,
    /// Two hosts with the same one are clones of one image.
    pub machine_id: Option<String>,
    pub memory_total_bytes: u64,
    pub memory_available_bytes: u64,
    pub swap_total_bytes: u64,
    /// Usable by this process (affinity and cgroup quota are counted in).
    pub cpus: u32,
    /// 1, 5 and 15 minutes.
    pub load: [f64; 3],
    pub init: Init,
    pub uid: u32,
    pub user: String,
    pub home: Option<PathBuf>,
    /// Milliseconds since 1970. A static binary does not see a shifted test clock; the transport
    /// measures offsets by other means.
    pub wall_ms: i64,
    /// "Europe/Berlin"; `None` when it is not set (UTC).
    pub timezone: Option<String>,
    /// A running time service, such as "chronyd".
    pub time_service: Option<String>,
    pub selinux: Selinux,
    /// The kind of container, when this is one.
    pub container: Option<String>,
    pub nofile_soft: Option<u64>,
    pub nofile_hard: Option<u64>,
    /// Of the kernel: connections beyond it wait or fail while many clients return at once.
    pub somaxconn: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    pub id: String,
    pub name: String,
    pub version: String,
    pub pretty: String,
}

/// What starts services here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// PID 1 is systemd and `systemctl` is installed.
    Systemd,
    /// Anything else; the name of PID 1.
    Other(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selinux {
    Absent,
    Permissive,
    Enforcing,
}

/// The running program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    pub path: PathBuf,
    pub sha256: String,
    pub bytes: u64,
    pub version: String,
}

/// A running process as people want to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    pub comm: String,
    /// Unknown for another user's process, unless we are root.
    pub exe: Option<PathBuf>,
    pub cmdline: Vec<String>,
    pub uid: u32,
    /// When it started by this host's clock, which is also that of its files. An older zkops does not say.
    #[serde(default)]
    pub started_ms: Option<i64>,
    pub rss_bytes: u64,
    pub threads: u32,
}
