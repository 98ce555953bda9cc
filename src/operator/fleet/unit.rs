//! Who keeps a member's server up on a host, and where that keeps its things: systemd where it
//! runs and we may use it, else our own supervisor. The one place that knows both.

use std::path::{Path, PathBuf};

use crate::operator::host::files::Owner;
use crate::operator::host::machine::{Facts as Machine, Init};
use crate::operator::host::service::{DaemonSpec, Definition, LogSource, Manager, Service};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::Installed;
use crate::operator::plan::owners::Account;

/// A host's way of keeping a server up.
pub fn manager(machine: &Machine, member: &DesiredMember) -> Manager {
    match machine.init {
        Init::Systemd if machine.uid == 0 && !member.unit.own_supervisor => Manager::Systemd,
        Init::Systemd | Init::Other(_) => {
            let older = format!("{}/conf/daemon.json", member.dirs.install);
            Manager::Daemon { spec: spec_file(member), older: Some(PathBuf::from(older)) }
        }
    }
}

pub fn is_systemd(manager: &Manager) -> bool {
    matches!(manager, Manager::Systemd)
}

pub fn service(manager: &Manager, member: &DesiredMember) -> Service {
    Service { name: member.unit.name.clone(), manager: manager.clone() }
}

/// What the member's service should be, in this manager's words.
pub fn definition(manager: &Manager, member: &DesiredMember, account: Option<&Account>) -> Definition {
    match manager {
        Manager::Systemd => Definition::Unit(member.unit.definition(account)),
        Manager::Daemon { .. } => Definition::Daemon(Box::new(daemon(member, account))),
    }
}

/// Where the installed definition is.
pub fn definition_path(manager: &Manager, member: &DesiredMember) -> PathBuf {
    match manager {
        Manager::Systemd => PathBuf::from(format!("/etc/systemd/system/{}.service", member.unit.name)),
        Manager::Daemon { spec, .. } => spec.clone(),
    }
}

/// Compares what is written there with what should be.
pub fn installed(
    manager: &Manager,
    member: &DesiredMember,
    account: Option<&Account>,
    written: &str,
) -> Installed {
    let same = match manager {
        Manager::Systemd => written == member.unit.definition(account),
        Manager::Daemon { .. } => {
            let value = serde_json::from_str::<serde_json::Value>(written).ok();
            let found = value.and_then(|mut value| serde_json::from_value(value["daemon"].take()).ok());
            found.is_some_and(|found: DaemonSpec| found == daemon(member, account))
        }
    };
    if same { Installed::AsWanted } else { Installed::Differs }
}

pub fn log_source(manager: &Manager, member: &DesiredMember) -> LogSource {
    match manager {
        Manager::Systemd => LogSource::Journal { unit: format!("{}.service", member.unit.name) },
        Manager::Daemon { .. } => LogSource::File { path: daemon(member, None).log_file },
    }
}

pub fn lock_path(member: &DesiredMember) -> String {
    format!("{}/operator.lock", member.var_dir())
}

pub fn journal_path(member: &DesiredMember) -> String {
    format!("{}/journal.jsonl", member.var_dir())
}

fn spec_file(member: &DesiredMember) -> PathBuf {
    PathBuf::from(format!("{}/daemon.json", member.var_dir()))
}

fn daemon(member: &DesiredMember, account: Option<&Account>) -> DaemonSpec {
    let args = vec!["server".to_owned(), member.config_path.clone()];
    let var = member.var_dir();
    let spec = DaemonSpec::new(&member.unit.name, member.binary_path.as_str(), args, Path::new(&var));
    DaemonSpec { final_exits: vec![BAD_DATA], user: account.map(owner), ..spec }
}

/// An account in the host's words.
pub fn owner(account: &Account) -> Owner {
    Owner { user: account.user.clone(), group: Some(account.group.clone()) }
}

/// How a server ends that will not start on its data, however often it is tried; the unit says the same.
const BAD_DATA: i32 = 3;
