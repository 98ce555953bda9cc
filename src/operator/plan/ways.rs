//! Who reaches whom, tried with real connections, and where the others come from. It asks nobody.

use std::net::IpAddr;

use crate::wire::ids::ServerId;

/// How a host and the members find each other, by its resolver and its routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceFacts {
    /// Where the operator's session comes from; `None`: nobody can tell there.
    pub session: Option<IpAddr>,
    pub ways: Vec<WayFacts>,
}

/// The way from a host to one address of the inventory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WayFacts {
    /// As the inventory writes it.
    pub to: String,
    /// As the host resolves it.
    pub addresses: Vec<IpAddr>,
    /// The host's own addresses that its packets carry.
    pub from: Vec<IpAddr>,
}

impl SourceFacts {
    /// What an address of the inventory means on that host.
    pub(crate) fn addresses_of<'a>(&'a self, to: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        self.ways.iter().filter(move |way| way.to == to).flat_map(|way| way.addresses.iter().copied())
    }

    /// Where the host's packets to it come from.
    pub(crate) fn towards<'a>(&'a self, to: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        self.ways.iter().filter(move |way| way.to == to).flat_map(|way| way.from.iter().copied())
    }
}

/// One attempted connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// `None`: the operator's own machine.
    pub from: Option<ServerId>,
    pub to: ServerId,
    pub port: u16,
    pub result: ReachResult,
}

/// How the attempt ended (lab: firewalld rejects with "no route to host", others drop).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReachResult {
    Ok,
    Refused,
    Timeout,
    NoRoute,
    Reset,
    /// Something listens that is neither our probe nor our server.
    WrongAnswer,
}

impl ReachResult {
    pub fn word(self) -> &'static str {
        match self {
            ReachResult::Ok => "ok",
            ReachResult::Refused => "refused",
            ReachResult::Timeout => "timeout",
            ReachResult::NoRoute => "no route",
            ReachResult::Reset => "reset",
            ReachResult::WrongAnswer => "wrong answer",
        }
    }
}
