//! What a valid inventory says. Values of these types are right by construction: only `read` makes them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::address;
use crate::formats::opening::Network;
use crate::wire::ids::ServerId;

/// One ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    pub name: String,
    /// By id. At least one participant.
    pub members: Vec<Member>,
    /// Who may reach the client ports, beside the members and the operator. `None`: everybody.
    pub clients: Option<Vec<Network>>,
}

/// One server of the ensemble and the host it runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    pub name: String,
    #[serde(serialize_with = "id_as_number")]
    pub id: ServerId,
    /// An IP address in its canonical spelling, or a host name that all members resolve.
    pub host: String,
    pub connection: Connection,
    pub role: Role,
    pub ports: Ports,
    /// Absolute, or beginning with `~/` where the connection is local.
    pub install_dir: String,
    pub data_dir: String,
    /// `None`: the logs stand beside the snapshots.
    pub data_log_dir: Option<String>,
    /// The user of the host that the server runs as; `None`: none is named.
    pub user: Option<String>,
    /// zoo.cfg keys, those of the node over those of the file.
    pub zoo: BTreeMap<String, String>,
}

/// How the operator reaches the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// This machine, without SSH and without root.
    Local,
    Ssh(SshSettings),
}

/// What is not set here is taken from `~/.ssh/config`, then from OpenSSH's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SshSettings {
    pub user: Option<String>,
    pub port: Option<u16>,
    /// A private key; `~` as typed.
    pub key: Option<String>,
    pub known_hosts: Option<String>,
    pub jump: Option<Jump>,
    /// The absolute path of sudo, for a user that is not root.
    pub sudo: Option<String>,
}

/// The host that connections go through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jump {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
}

/// What a member does in the ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Participant,
    Observer,
}

/// TCP ports of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ports {
    pub client: u16,
    pub quorum: u16,
    pub election: u16,
}

impl Cluster {
    /// How many members share this member's host.
    pub fn on_host(&self, host: &str) -> usize {
        self.members.iter().filter(|member| address::same(&member.host, host)).count()
    }
}

fn id_as_number<S: serde::Serializer>(id: &ServerId, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_i64(id.0)
}
