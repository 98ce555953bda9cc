//! Who keeps a member's server up on a host, and where that keeps its things: systemd where it
//! runs and we may use it, else our own supervisor. The one place that knows both.

use std::path::{Path, PathBuf};

use crate::operator::host::machine::{Facts as Machine, Init};
use crate::operator::host::service::{DaemonSpec, Definition, LogSource, Manager, Service};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::Installed;

/// A host's way of keeping a server up.
pub fn manager(machine: &Machine, member: &DesiredMember) -> Manager {
    match machine.init {
        Init::Systemd if machine.uid == 0 && !member.unit.own_supervisor => Manager::Systemd,
        Init::Systemd | Init::Other(_) => Manager::Daemon { spec: spec_file(member) },
    }
}

pub fn is_systemd(manager: &Manager) -> bool {
    matches!(manager, Manager::Systemd)
}

/// Our supervisor has no boot to enable anything for.
pub fn needs_no_enabling(manager: &Manager) -> bool {
    !is_systemd(manager)
}

pub fn service(manager: &Manager, member: &DesiredMember) -> Service {
    Service { name: member.unit.name.clone(), manager: manager.clone() }
}

/// What the member's service should be, in this manager's words.
pub fn definition(manager: &Manager, member: &DesiredMember) -> Definition {
    match manager {
        Manager::Systemd => Definition::Unit(member.unit.definition.clone()),
        Manager::Daemon { .. } => Definition::Daemon(daemon(member)),
    }
}

/// Where the installed definition is.
pub fn definition_path(manager: &Manager, member: &DesiredMember) -> PathBuf {
    match manager {
        Manager::Systemd => PathBuf::from(format!("/etc/systemd/system/{}.service", member.unit.name)),
        Manager::Daemon { spec } => spec.clone(),
    }
}

/// Compares what is written there with what should be.
pub fn installed(manager: &Manager, member: &DesiredMember, written: Option<&str>) -> Installed {
    let Some(written) = written else { return Installed::No };
    let same = match manager {
        Manager::Systemd => written == member.unit.definition,
        Manager::Daemon { .. } => {
            let value = serde_json::from_str::<serde_json::Value>(written).ok();
            let found = value.and_then(|mut value| serde_json::from_value(value["daemon"].take()).ok());
            found.is_some_and(|found: DaemonSpec| found == daemon(member))
        }
    };
    if same { Installed::Yes } else { Installed::Differs }
}

pub fn log_source(manager: &Manager, member: &DesiredMember) -> LogSource {
    match manager {
        Manager::Systemd => LogSource::Journal { unit: format!("{}.service", member.unit.name) },
        Manager::Daemon { .. } => LogSource::File { path: daemon(member).log_file },
    }
}

/// What zkops itself keeps on the host: lock, journal, and the daemon's pid file and log.
fn var_dir(member: &DesiredMember) -> String {
    format!("{}/var", member.dirs.install)
}

pub fn lock_path(member: &DesiredMember) -> String {
    format!("{}/operator.lock", var_dir(member))
}

pub fn journal_path(member: &DesiredMember) -> String {
    format!("{}/journal.jsonl", var_dir(member))
}

fn spec_file(member: &DesiredMember) -> PathBuf {
    PathBuf::from(format!("{}/conf/daemon.json", member.dirs.install))
}

fn daemon(member: &DesiredMember) -> DaemonSpec {
    let args = vec!["server".to_owned(), member.config_path.clone()];
    DaemonSpec::new(&member.unit.name, member.binary_path.as_str(), args, Path::new(&var_dir(member)))
}
