//! Who holds the locks of a run: this process of this user on this machine, told apart from its namesakes.

use crate::operator::host::runs::Holder;
use crate::operator::observe::token::random_hex;
use crate::operator::plan::install::sha256_hex;

/// A new holder; `command` is what its run does, as one would type it.
pub(super) fn of_this_process(command: String) -> Holder {
    Holder { id: format!("{}-{}", machine(), random_hex(8)), who: who(), pid: std::process::id(), command }
}

/// "user@host" of whoever runs this.
fn who() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let uid = rustix::process::geteuid().as_raw();
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| format!("uid {uid}"));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{host}")
}

/// Tells machines of the same name apart, and the boots of one: a process id means nothing after a restart.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let text = read("/etc/machine-id") + &read("/proc/sys/kernel/random/boot_id");
    let pid_namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    sha256_hex(&format!("{text}{}", pid_namespace.display())).chars().take(12).collect()
}
