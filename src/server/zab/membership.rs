//! Who belongs to the ensemble, and which of them make a quorum: the config text of
//! quorum-protocol §1.3 with the grammar of operations §10.3.
//!
//! Majority quorums only: `group.` and `weight.` lines are refused, not ignored. It resolves no
//! name and reads no file.

use std::collections::BTreeMap;
use std::fmt;

use crate::wire::ids::ServerId;

/// The members of an ensemble, at one version of the config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    members: BTreeMap<ServerId, Member>,
    version: i64,
}

/// One `server.N` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub id: ServerId,
    /// At least one; several only with multi-address configs.
    pub addresses: Vec<Address>,
    pub role: MemberRole,
    /// Client and secure client address, when the line names them; `host:port` as printed.
    pub client: Option<String>,
    pub secure_client: Option<String>,
}

impl Member {
    /// The address that is dialled.
    pub fn address(&self) -> &Address {
        &self.addresses[0]
    }
}

/// Where a member listens for the others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address {
    /// Name, IPv4, or IPv6 without brackets.
    pub host: String,
    pub quorum_port: u16,
    pub election_port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberRole {
    Participant,
    Observer,
}

/// What is wrong with a config text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    #[error("member list, line {line}: {problem}: `{text}`")]
    Line { line: usize, problem: &'static str, text: String },
    #[error("member list: server.{0} is listed twice; every server needs an id of its own")]
    Duplicate(ServerId),
    #[error("member list: no participant; add a server.N line without `:observer`")]
    NoVoter,
}

impl Membership {
    /// Parses `server.N=…` lines and an optional `version=<hex>` line. The syntax around them is
    /// that of a properties file: comments, blank lines, `=` or `:` or blanks as separator.
    pub fn parse(text: &str) -> Result<Membership, MembershipError> {
        let mut membership = Membership { members: BTreeMap::new(), version: 0 };
        for (index, line) in text.lines().enumerate() {
            let refuse = |problem| MembershipError::Line { line: index + 1, problem, text: line.to_owned() };
            let Some((key, value)) = property(line) else {
                continue;
            };
            if key == "version" {
                membership.version = i64::from_str_radix(&value, 16)
                    .map_err(|_| refuse("version must be a hexadecimal number"))?;
            } else if let Some(id) = key.strip_prefix("server.") {
                let id = id.parse().map_err(|_| refuse("the id after `server.` must be a number"))?;
                let member = parse_member(ServerId(id), &value).map_err(refuse)?;
                if membership.members.insert(member.id, member).is_some() {
                    return Err(MembershipError::Duplicate(ServerId(id)));
                }
            } else if key.starts_with("group.") || key.starts_with("weight.") {
                return Err(refuse("hierarchical quorums are not supported; remove group and weight lines"));
            } else {
                return Err(refuse("unrecognised parameter"));
            }
        }
        if membership.voters().next().is_none() {
            return Err(MembershipError::NoVoter);
        }
        Ok(membership)
    }

    pub fn version(&self) -> i64 {
        self.version
    }

    pub fn get(&self, id: ServerId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// All members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The ids of the participants, ascending.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> {
        self.members.values().filter(|m| m.role == MemberRole::Participant).map(|m| m.id)
    }

    pub fn is_voter(&self, id: ServerId) -> bool {
        self.get(id).is_some_and(|m| m.role == MemberRole::Participant)
    }

    /// Whether the voters for which `has` holds are a quorum.
    pub fn is_quorum(&self, has: impl Fn(ServerId) -> bool) -> bool {
        let (mut total, mut having) = (0, 0);
        for voter in self.voters() {
            total += 1;
            having += usize::from(has(voter));
        }
        having > total / 2
    }
}

/// The config text that NEWLEADER, notifications and `/zookeeper/config` carry.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for member in self.members.values() {
            writeln!(f, "{member}")?;
        }
        write!(f, "version={:x}", self.version)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server.{}=", self.id)?;
        let mut addresses: Vec<&Address> = self.addresses.iter().collect();
        addresses.sort();
        for (index, address) in addresses.into_iter().enumerate() {
            let bar = if index == 0 { "" } else { "|" };
            let host = bracketed(&address.host);
            write!(f, "{bar}{host}:{}:{}", address.quorum_port, address.election_port)?;
        }
        f.write_str(match self.role {
            MemberRole::Participant => ":participant",
            MemberRole::Observer => ":observer",
        })?;
        match (&self.client, &self.secure_client) {
            (Some(client), None) => write!(f, ";{client}"),
            (Some(client), Some(secure)) => write!(f, ";{client};{secure}"),
            (None, Some(secure)) => write!(f, ";;{secure}"),
            (None, None) => Ok(()),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Key and value of one line; `None` for blanks and comments. A backslash takes the next
/// character as it is.
fn property(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', '!']) {
        return None;
    }
    let end = line.find(|c: char| c == '=' || c == ':' || c.is_whitespace()).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    Some((key.to_owned(), unescape(value)))
}

fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    plain
}

fn parse_member(id: ServerId, value: &str) -> Result<Member, &'static str> {
    let mut parts = value.split(';').map(str::trim);
    let servers = parts.next().unwrap_or_default();
    let client = parts.next().filter(|p| !p.is_empty()).map(parse_client).transpose()?;
    let secure_client = parts.next().filter(|p| !p.is_empty()).map(parse_client).transpose()?;
    if parts.next().is_some() {
        return Err("too many `;` parts");
    }
    let parsed: Vec<(Address, MemberRole)> =
        servers.split('|').map(|a| parse_address(a.trim())).collect::<Result<_, _>>()?;
    let role = parsed[0].1;
    if parsed.iter().any(|(_, r)| *r != role) {
        return Err("all addresses of a server must have the same role");
    }
    let addresses = parsed.into_iter().map(|(address, _)| address).collect();
    Ok(Member { id, addresses, role, client, secure_client })
}

fn parse_address(text: &str) -> Result<(Address, MemberRole), &'static str> {
    let (host, rest) = split_host(text).ok_or("expected host:quorumPort:electionPort")?;
    let mut parts = rest.split(':');
    let mut port = || parts.next().and_then(parse_port).ok_or("expected host:quorumPort:electionPort");
    let address = Address { host: host.to_owned(), quorum_port: port()?, election_port: port()? };
    if address.quorum_port == address.election_port {
        return Err("quorum port and election port must differ");
    }
    let role = match parts.next().map(str::to_ascii_lowercase).as_deref() {
        None | Some("participant") => MemberRole::Participant,
        Some("observer") => MemberRole::Observer,
        Some(_) => return Err("the role must be participant or observer"),
    };
    if parts.next().is_some() {
        return Err("too many `:` parts");
    }
    Ok((address, role))
}

/// `[host:]port`; the host defaults to every address.
fn parse_client(text: &str) -> Result<String, &'static str> {
    let problem = "expected [host:]port after `;`";
    let (host, port) = match split_host(text) {
        Some((host, port)) => (host, port),
        None => ("0.0.0.0", text),
    };
    let port = parse_port(port).ok_or(problem)?;
    Ok(format!("{}:{port}", bracketed(host)))
}

/// The host and what follows its `:`; brackets around an IPv6 host are taken off.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            (host, rest.strip_prefix(':')?)
        }
        None => text.split_once(':')?,
    };
    (!host.is_empty()).then_some((host, rest))
}

fn parse_port(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port != 0)
}
