//! `host:quorumPort:electionPort[:role][|…][;[host:]clientPort[;[host:]secureClientPort]]` → [`Member`] (operations
//! §10.3). What is wrong comes back with its column and with what stands there.

use std::fmt;

use super::member::{Address, Listen, Member, MemberRole};
use crate::wire::ids::ServerId;

/// What is wrong with a line, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Characters of the value before it, plus one.
    pub column: usize,
    /// What stands there.
    pub found: String,
    pub wrong: Wrong,
}

/// What may be wrong with a part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Address,
    Parts,
    Port,
    /// The same port for two purposes.
    Twice,
    Role,
    /// The addresses of one member have different ones.
    Roles,
    Client,
    /// A fourth part behind `;`.
    More,
}

impl Fault {
    pub fn advice(&self) -> &'static str {
        match self.wrong {
            Wrong::Twice => "give it two ports, like 2888:3888",
            _ => FORM,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        match self.wrong {
            Wrong::Address => write!(f, "{found:?} is not host:quorumPort:electionPort"),
            Wrong::Parts => write!(f, "{found:?} does not have three or four parts"),
            Wrong::Port => write!(f, "{found:?} is not a port"),
            Wrong::Twice => write!(f, "port {found} stands for both the quorum and elections"),
            Wrong::Role => write!(f, "the role {found:?} is unknown"),
            Wrong::Roles => write!(f, "its addresses have different roles, here {found:?}"),
            Wrong::Client => write!(f, "{found:?} is not [host:]clientPort"),
            Wrong::More => write!(f, "{found:?} is one part too many"),
        }
    }
}

/// The N of `server.N`.
pub fn parse_id(text: &str) -> Option<ServerId> {
    text.parse::<i64>().ok().filter(|id| *id >= 0).map(ServerId)
}

impl Member {
    /// Reads what stands behind `server.N=`.
    pub fn parse(id: ServerId, value: &str) -> Result<Member, Fault> {
        let line = Line { value };
        let mut parts = value.split(';').map(str::trim);
        let addresses = parts.next().unwrap_or(value);
        let mut client = || parts.next().filter(|part| !part.is_empty()).map(|part| line.client(part));
        let (client, secure_client) = (client().transpose()?, client().transpose()?);
        if let Some(more) = parts.next() {
            return Err(line.fault(more, Wrong::More));
        }
        let mut parsed = Vec::new();
        let mut role = None;
        for text in addresses.split('|').map(str::trim) {
            let (address, its_role) = line.address(text)?;
            if *role.get_or_insert(its_role) != its_role {
                return Err(line.fault(text, Wrong::Roles));
            }
            parsed.push(address);
        }
        let role = role.expect("split yields a part at least");
        Ok(Member { id, addresses: parsed, role, client, secure_client })
    }
}

/// The value, of which all parts are slices.
struct Line<'a> {
    value: &'a str,
}

impl Line<'_> {
    fn fault(&self, part: &str, wrong: Wrong) -> Fault {
        let before = part.as_ptr().addr().saturating_sub(self.value.as_ptr().addr());
        let column = self.value.get(..before).map_or(0, |before| before.chars().count()) + 1;
        Fault { column, found: part.to_owned(), wrong }
    }

    fn address(&self, text: &str) -> Result<(Address, MemberRole), Fault> {
        let (host, rest) = split_host(text).ok_or_else(|| self.fault(text, Wrong::Address))?;
        let parts: Vec<&str> = rest.split(':').collect();
        let (quorum, election, role) = match parts[..] {
            [quorum, election] => (quorum, election, MemberRole::Participant),
            [quorum, election, role] => {
                let known = MemberRole::parse(role).ok_or_else(|| self.fault(role, Wrong::Role))?;
                (quorum, election, known)
            }
            _ => return Err(self.fault(text, Wrong::Parts)),
        };
        let port = |text: &str| parse_port(text).ok_or_else(|| self.fault(text, Wrong::Port));
        let (quorum_port, election_port) = (port(quorum)?, port(election)?);
        if quorum_port == election_port {
            return Err(self.fault(election, Wrong::Twice));
        }
        Ok((Address { host: host.to_owned(), quorum_port, election_port }, role))
    }

    fn client(&self, text: &str) -> Result<Listen, Fault> {
        let (host, port) = match split_host(text) {
            Some((host, port)) => (Some(host.to_owned()), port),
            None => (None, text),
        };
        let port = parse_port(port).ok_or_else(|| self.fault(text, Wrong::Client))?;
        Ok(Listen { host, port })
    }
}

/// `host:rest` or `[v6]:rest`; brackets are taken off.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(v6) => v6.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == ',');
    plain.then_some((host, rest))
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

const FORM: &str = "write server.N=host:quorumPort:electionPort[:participant|:observer][;[host:]clientPort]";
