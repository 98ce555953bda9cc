//! Ssh-setup: a key on every host, after one password.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use tokio::time::Instant;

use super::caller::Caller;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::transport::{Dialer, Error, KeyInstalled, LocalKey, SshTarget, Target};
use crate::report::{Evidence, Exit, Failure};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub inventory: Source,
}

/// Every host with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "ssh_setup")]
pub struct Outcome {
    pub hosts: Vec<Row>,
    /// The key on this machine.
    pub path: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub member: String,
    pub key: Key,
    /// Nobody said that the host is the one meant: its host key is unknown.
    #[serde(skip)]
    pub unknown: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The host is this machine.
    NotNeeded,
    WasThere,
    Installed,
    /// Why not, in words that name the host.
    Failed(String),
}

impl Outcome {
    /// What ends the run where a host has no key.
    pub fn failure(&self) -> Option<Failure> {
        let failed = self.hosts.iter().filter_map(|row| match &row.key {
            Key::Failed(why) => Some(Evidence { from: why.clone(), lines: Vec::new() }),
            Key::NotNeeded | Key::WasThere | Key::Installed => None,
        });
        let evidence: Vec<Evidence> = failed.collect();
        if evidence.is_empty() {
            return None;
        }
        let mut failure = Failure::new(Exit::Unreachable, "not every host has the key");
        failure.evidence = evidence;
        let next = match self.hosts.iter().any(|row| row.unknown) {
            true => {
                "run it again on a terminal, or with --accept-new-host-keys once the host keys are compared"
            }
            false => "run it again: hosts that have the key are not asked twice",
        };
        Some(failure.next(next))
    }
}

/// # Errors
/// Where there is no key to install. A host that did not take it is part of the outcome.
pub async fn run(caller: &Caller, request: &Request) -> Result<Outcome, Failure> {
    let session = Session::load(caller, &request.inventory)?;
    let dialer = caller.dialer()?;
    let wanted: Option<PathBuf> = session.targets.values().find_map(|target| match target {
        Target::Ssh(ssh) => ssh.keys.first().cloned(),
        Target::Local(_) => None,
    });
    let failed = |why: Error| Failure::new(Exit::Usage, why.to_string());
    let local = dialer.local_key(wanted.as_deref()).map_err(failed)?;
    let setup = async {
        let mut hosts = Vec::new();
        let mut jumps_seen = BTreeSet::new();
        // One after the other: a question to a person is about one host.
        for (id, target) in &session.targets {
            let Target::Ssh(ssh) = target else {
                let member = session.desired.name(*id);
                hosts.push(Row { member, key: Key::NotNeeded, unknown: false });
                continue;
            };
            // The way to a host goes first: with the key there, nobody is asked for its password again.
            for jump in dialer.jumps(ssh).map_err(failed)? {
                let way =
                    format!("{}@{}:{:?}", jump.user.as_deref().unwrap_or_default(), jump.host, jump.port);
                if jumps_seen.insert(way) {
                    hosts.push(install(&dialer, jump.name.clone(), &jump, &local, caller).await);
                }
            }
            hosts.push(install(&dialer, session.desired.name(*id), ssh, &local, caller).await);
        }
        Ok(hosts)
    };
    let hosts = caller.in_time(session.unless_stopped(setup)).await?;
    Ok(Outcome { hosts, path: local.path.clone() })
}

async fn install(dialer: &Dialer, member: String, ssh: &SshTarget, local: &LocalKey, caller: &Caller) -> Row {
    let patience = caller.at_most(HOST_PATIENCE);
    let installed = dialer.install_key(ssh, local, Instant::now() + patience).await;
    let unknown = matches!(installed, Err(Error::HostKeyUnknown { .. }));
    let key = match installed {
        Ok(KeyInstalled::Added) => Key::Installed,
        Ok(KeyInstalled::Already) => Key::WasThere,
        Err(why) => Key::Failed(why.to_string()),
    };
    Row { member, key, unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_host_key_has_a_way_on_without_a_terminal() {
        let row =
            |unknown| Row { member: "node-1".into(), key: Key::Failed("node-1: unknown".into()), unknown };
        let next = |unknown| {
            let outcome = Outcome { hosts: vec![row(unknown)], path: PathBuf::from("/k") };
            outcome.failure().expect("failed").next.clone()
        };
        assert!(next(true).iter().any(|line| line.contains("--accept-new-host-keys")));
        assert!(!next(false).iter().any(|line| line.contains("--accept-new-host-keys")));
    }
}
