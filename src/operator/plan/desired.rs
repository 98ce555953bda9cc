//! What the inventory asks of every member, rendered down to paths, ports and file contents:
//! the planners compare it with the facts and never read the inventory themselves.

use std::collections::BTreeMap;

use super::owners::Account;
use super::seen::Seen;
use crate::ensemble::{self, grammar};
use crate::formats::marker::UUID_KEY;
use crate::formats::opening::Network;
use crate::wire::ids::ServerId;

/// The ensemble as the inventory wants it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    pub cluster: String,
    /// The file the inventory came from, as the user would type it.
    pub inventory: String,
    /// The binary every host must run: the operator's own. `None`: whatever is installed will do.
    pub binary: Option<Binary>,
    pub members: BTreeMap<ServerId, DesiredMember>,
    /// Who may reach the client ports, beside the members and the operator; `None`: everybody.
    pub clients: Option<Vec<Network>>,
}

/// A zkops program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Binary {
    /// Hex.
    pub sha256: String,
    pub size_bytes: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DesiredMember {
    pub id: ServerId,
    pub name: String,
    /// The address the other members and clients use.
    pub address: String,
    /// Participant; otherwise observer.
    pub voter: bool,
    pub ports: Ports,
    pub dirs: Dirs,
    pub binary_path: String,
    /// Where a new binary waits until it is put in place.
    pub staged_path: String,
    pub config_path: String,
    /// All of zoo.cfg but the cluster's uuid: [`DesiredMember::zoo_cfg`].
    pub config: String,
    pub unit: Unit,
    /// Whom the server is to run as; `None`: whoever deploys.
    pub run_as: Option<RunAs>,
}

/// The user of a member's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    pub user: String,
    /// The inventory names it: then data of others becomes theirs.
    pub named: bool,
}

/// TCP ports of one member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ports {
    pub client: u16,
    pub quorum: u16,
    pub election: u16,
}

impl Ports {
    pub fn all(self) -> [u16; 3] {
        [self.client, self.quorum, self.election]
    }
}

/// Directories of one member.
#[derive(Clone, Debug, PartialEq)]
pub struct Dirs {
    pub install: String,
    pub data: String,
    /// The same as `data` unless the inventory says otherwise.
    pub data_log: String,
}

/// The service that runs the member.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    pub name: String,
    /// The text of its systemd unit but for whom it runs as: [`Unit::definition`]. Without systemd the same command
    /// line is supervised.
    pub text: String,
    /// Kept up by our own supervisor even where systemd runs.
    pub own_supervisor: bool,
}

impl Unit {
    /// The whole text, once it is known whom the server runs as.
    pub fn definition(&self, account: Option<&Account>) -> String {
        let lines = account.map(|Account { user, group }| format!("User={user}\nGroup={group}\n"));
        format!("{}{}", self.text, lines.unwrap_or_default())
    }
}

impl Desired {
    /// True for every binary when none is asked for.
    pub(crate) fn accepts_binary(&self, sha256: &Seen<String>) -> bool {
        self.binary.as_ref().is_none_or(|binary| sha256.is_and(|sha256| *sha256 == binary.sha256))
    }

    /// The member called `name`, or with that id.
    pub fn find(&self, name: &str) -> Option<&DesiredMember> {
        self.members
            .values()
            .find(|member| member.name == name)
            .or_else(|| self.members.values().find(|member| member.id.to_string() == name))
    }

    pub fn name(&self, id: ServerId) -> String {
        self.members.get(&id).map_or_else(|| format!("server {id}"), |member| member.name.clone())
    }

    /// "node-1, node-2 and node-3".
    pub fn names<'a>(&self, ids: impl IntoIterator<Item = &'a ServerId>) -> String {
        let names: Vec<String> = ids.into_iter().map(|id| self.name(*id)).collect();
        match names.split_last() {
            None => "none".to_owned(),
            Some((only, [])) => only.clone(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        }
    }

    pub fn voters(&self) -> impl Iterator<Item = &DesiredMember> {
        self.members.values().filter(|member| member.voter)
    }

    /// Voters that make a quorum: more than half of all voters, dead ones included.
    pub fn majority(&self) -> usize {
        self.voters().count() / 2 + 1
    }
}

impl DesiredMember {
    /// The member's zoo.cfg, once the hosts have said which uuid the cluster has.
    pub fn zoo_cfg(&self, uuid: &str) -> String {
        format!("{}{UUID_KEY}={uuid}\n", self.config)
    }

    /// The file that names the member to its server (operations §10.2).
    pub fn myid_path(&self) -> String {
        format!("{}/myid", self.dirs.data)
    }

    pub fn myid(&self) -> String {
        format!("{}\n", self.id)
    }

    /// Looked up in the dataLogDir (disk-format, trap D2).
    pub(crate) fn initialize_path(&self) -> String {
        format!("{}/initialize", self.dirs.data_log)
    }

    /// Every distinct directory that deploy makes sure of, parents first.
    pub fn directories(&self) -> Vec<&str> {
        let mut all = vec![self.dirs.install.as_str(), &self.dirs.data, &self.dirs.data_log];
        all.dedup();
        all
    }

    /// `host:port` that a client types.
    pub fn client_address(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.ports.client)
        } else {
            format!("{}:{}", self.address, self.ports.client)
        }
    }
}

/// Voters (true) and observers by id, as a member's zoo.cfg lists them: who takes part, not
/// where. A zoo.cfg without server lines is that of a standalone server, alone with its id.
pub fn membership(config: &str, id: ServerId) -> BTreeMap<i64, bool> {
    let mut listed: BTreeMap<i64, bool> = config
        .lines()
        .filter_map(|line| {
            let (key, value) = line.trim().strip_prefix("server.")?.split_once('=')?;
            let id = grammar::parse_id(key.trim())?;
            // A line spoilt by hand still tells who is listed: deploy writes it anew.
            let spoilt = |_| !value.contains(":observer");
            let votes = ensemble::Member::parse(id, value).map_or_else(spoilt, |member| member.votes());
            Some((id.0, votes))
        })
        .collect();
    if listed.is_empty() {
        listed.insert(id.0, true);
    }
    listed
}
