//! What every verb gets: the settings that all share, where to report, and the way from an
//! inventory to hosts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::opts::Global;
use super::prompt::Terminal;
use crate::operator::apply::Run;
use crate::operator::fleet::watch::{Doing, Watcher};
use crate::operator::host::lock::Holder;
use crate::operator::observe::random_hex;
use crate::operator::transport::{Dialer, LocalBinary, Settings};
use crate::report::{Event, Exit, Failure, Report};

pub(super) struct Env {
    pub(super) global: Global,
    pub(super) report: Report,
    started: Instant,
}

impl Env {
    pub(super) fn new(global: Global, report: Report) -> Env {
        Env { global, report, started: Instant::now() }
    }

    /// Of this run so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The way to hosts: the user's ssh settings, questions on the terminal.
    ///
    /// # Errors
    /// When ~/.ssh/config cannot be read.
    pub(super) fn dialer(&self) -> Result<Dialer, Failure> {
        let prompt = Arc::new(Terminal::new(self.report.clone()));
        Dialer::new(Settings::of_this_user(prompt)).map_err(|why| Failure::new(Exit::Usage, why.to_string()))
    }

    /// This very program, to be pushed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn binary(&self) -> Result<Arc<LocalBinary>, Failure> {
        let binary = LocalBinary::current().await;
        binary.map(Arc::new).map_err(|why| Failure::new(Exit::Failed, why.to_string()))
    }

    /// Shows what happens on each host while it is reached and looked at.
    pub(super) fn watcher(&self) -> Watcher {
        let report = self.report.clone();
        Arc::new(move |member, doing| {
            let member = member.to_owned();
            report.event(match doing {
                Doing::Connecting => Event::Host { member, doing: "connecting".to_owned() },
                Doing::Looking => Event::Host { member, doing: "looking".to_owned() },
                Doing::Pushing { sent, total } => Event::Upload { member, sent, total },
            });
        })
    }

    /// Who is about to change something; `command` is what resumes it.
    pub(super) fn run(&self, command: String) -> Run {
        Run {
            report: self.report.clone(),
            holder: Holder {
                id: format!("{}-{}", machine(), random_hex(8)),
                who: who(),
                pid: std::process::id(),
                command: command.clone(),
            },
            break_lock: self.global.break_lock,
            again: command,
            until: self.started + self.global.timeout,
        }
    }
}

/// "user@host" of whoever runs this.
fn who() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let uid = rustix::process::geteuid().as_raw();
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| format!("uid {uid}"));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{host}")
}

/// Tells machines of the same name apart, and the boots of one: a process id means nothing after
/// a restart.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let text = read("/etc/machine-id") + &read("/proc/sys/kernel/random/boot_id");
    let pid_namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    crate::operator::plan::install::sha256_hex(&format!("{text}{}", pid_namespace.display()))
        .chars()
        .take(12)
        .collect()
}
