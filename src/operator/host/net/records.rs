//! What is asked and answered about ports, connections and names.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::operator::host::failure::Failure;
use crate::operator::host::machine::Process;

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    pub address: SocketAddr,
    pub uid: u32,
    pub user: Option<String>,
    /// `None`: another user's process, which only root may look into.
    pub process: Option<Process>,
    /// It is a zkops server.
    pub ours: bool,
}

/// One port's answer; no listeners means free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortUse {
    pub port: u16,
    pub listeners: Vec<Listener>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// 0 lets the kernel choose; the answer says which one.
    pub ports: Vec<u16>,
    /// "0.0.0.0", "::" or one of the host's addresses: what the server will bind.
    pub address: IpAddr,
    /// What is answered to whoever connects; one line, without the line feed.
    pub token: String,
    /// The listeners end after this long.
    pub seconds: u64,
}

/// One port's answer, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listening {
    /// Ours to probe now.
    Listening { port: u16 },
    /// Our own server has it: probe that.
    Ours { port: u16, by: Box<Listener> },
    /// Somebody else has it (unknown when only root may see).
    InUse { port: u16, by: Option<Box<Listener>> },
    /// It cannot be bound: a privileged port, an address that is not this host's.
    Failed { port: u16, why: Failure },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// An address, or a name to resolve on this host.
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    pub targets: Vec<Target>,
    /// What a listener of ours answers; empty: being accepted is enough.
    pub token: String,
    /// Who asks, told to listeners of ours: one word.
    pub name: String,
    /// For each target, name resolution included; all run at once.
    pub timeout_ms: u64,
}

/// One target's answer, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    pub target: Target,
    /// The address that was tried last; `None` when the name was not resolved.
    pub address: Option<SocketAddr>,
    pub outcome: Outcome,
    /// From the SYN to the outcome of the connect, without name resolution.
    pub latency_us: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Our listener answered.
    Token,
    /// Something else accepts connections there.
    Open,
    /// The host answers, nobody listens (or a firewall rejects with a TCP reset).
    Refused,
    /// No answer at all: packets are dropped, or the host is down.
    Timeout,
    /// "No route to host" and its kin: firewalld rejects that way, and so do routers.
    NoRoute { why: String },
    /// Accepted, then reset.
    Reset,
    /// The name means nothing on this host.
    NameError { why: String },
    /// Anything else, such as an outgoing packet that this host's own firewall forbids.
    Failed { why: Failure },
}

impl Outcome {
    /// A server there could be talked to.
    pub fn reachable(&self) -> bool {
        matches!(self, Outcome::Token | Outcome::Open)
    }
}

/// Who connected to a listener of ours, and from which address as the listener sees it: behind an
/// address translation, not the one that the caller has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub name: String,
    pub address: IpAddr,
}

/// Where this host's packets come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Where the session of whoever asks comes from; `None`: it is none of sshd's, or not to be told.
    pub session: Option<IpAddr>,
    /// One for each host asked about, in that order.
    pub towards: Vec<Towards>,
}

/// The way to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Towards {
    pub host: String,
    /// As this host resolves it.
    pub addresses: Vec<IpAddr>,
    /// Our own addresses that packets to it carry, by the routes of this host.
    pub from: Vec<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FourLetter {
    pub host: String,
    pub port: u16,
    /// "ruok", "srvr", "mntr" …
    pub word: String,
    pub timeout_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FourLetterReply {
    /// Empty when the server knows no such word.
    pub reply: String,
    pub latency_us: u64,
    pub truncated: bool,
}

/// A name, and what it should resolve to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    pub name: String,
    pub ip: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesReport {
    pub hostname: String,
    /// What this host's own name resolves to here.
    pub own_name: Resolved,
    /// Every address of this host, loopback included.
    pub addresses: Vec<IpAddr>,
    /// One for each name asked, in that order.
    pub names: Vec<Resolved>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    pub name: String,
    /// In the resolver's order; ZooKeeper takes the first.
    pub addresses: Vec<IpAddr>,
    /// Addresses that /etc/hosts gives to the name.
    pub hosts_file: Vec<IpAddr>,
    /// The resolver's words when it has no answer.
    pub problem: Option<String>,
    /// Is the expected address the first one? `None` when none was expected.
    pub matches: Option<bool>,
    pub trap: Option<Trap>,
}

/// Ways in which a resolvable name is still wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trap {
    /// Debian's installer writes `127.0.1.1 hostname` into /etc/hosts: a server that binds or
    /// announces its own name is then reachable by nobody else.
    Loopback(IpAddr),
    /// It resolves to somebody else's address.
    Other { expected: IpAddr, got: IpAddr },
    /// The right address is there, but not as the first one.
    NotFirst { expected: IpAddr, first: IpAddr },
}
