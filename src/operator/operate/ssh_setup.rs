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
        Some(failure.next("run it again: hosts that have the key are not asked twice"))
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
                hosts.push(Row { member: session.desired.name(*id), key: Key::NotNeeded });
                continue;
            };
            // The way to a host goes first: with the key there, nobody is asked for its password again.
            for jump in dialer.jumps(ssh).map_err(failed)? {
                let way =
                    format!("{}@{}:{:?}", jump.user.as_deref().unwrap_or_default(), jump.host, jump.port);
                if jumps_seen.insert(way) {
                    let key = install(&dialer, &jump, &local, caller).await;
                    hosts.push(Row { member: jump.name.clone(), key });
                }
            }
            let key = install(&dialer, ssh, &local, caller).await;
            hosts.push(Row { member: session.desired.name(*id), key });
        }
        Ok(hosts)
    };
    let hosts = caller.in_time(session.unless_stopped(setup)).await?;
    Ok(Outcome { hosts, path: local.path.clone() })
}

async fn install(dialer: &Dialer, ssh: &SshTarget, local: &LocalKey, caller: &Caller) -> Key {
    let patience = caller.at_most(HOST_PATIENCE);
    match dialer.install_key(ssh, local, Instant::now() + patience).await {
        Ok(KeyInstalled::Added) => Key::Installed,
        Ok(KeyInstalled::Already) => Key::WasThere,
        Err(why) => Key::Failed(why.to_string()),
    }
}
