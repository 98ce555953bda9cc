//! Who reaches whom: real listeners on the true ports, real connections through the real
//! firewalls, from every host to every other and from the operator to every client port (behind a
//! jump host from the other hosts).

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::token::random_hex;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::host::Link;
use crate::operator::host::net::{Connect, Listen, Listening, Outcome, Target};
use crate::operator::plan::desired::{DesiredMember, Ports};
use crate::operator::plan::facts::{Facts, UnitFacts};
use crate::operator::plan::ways::{Reach, ReachResult};
use crate::wire::ids::ServerId;

/// What is listened on where no server of ours runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Listeners of our own, on the true ports.
    Listeners,
    /// Nothing: only running servers are probed.
    ServersOnly,
}

/// What a try of every pair came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tried {
    pub reach: Vec<Reach>,
    /// Where members came from, as the listeners saw it.
    pub observed: BTreeMap<ServerId, BTreeSet<IpAddr>>,
}

impl Tried {
    /// Adds it to the facts; what was observed before stays.
    pub fn into_facts(self, facts: &mut Facts) {
        facts.reach = self.reach;
        for (id, addresses) in self.observed {
            facts.observed.entry(id).or_default().extend(addresses);
        }
    }
}

/// Who is behind a port that is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Listener,
    /// Our own server, if it listens there: for learners a leader alone does, and on a port that the
    /// inventory gives it anew none does yet. A listener of ours could be in its way; that the host
    /// itself says that nobody listens proves the way, too.
    Server,
    /// Our own server, which its host shows to listen there: a refusal is somebody's on the way.
    ListeningServer,
}

/// Who reaches the servers that run, seen now and added to `facts`: a network that keeps members apart shows nowhere else.
pub async fn servers(fleet: &Fleet, facts: &mut Facts) {
    let tried = matrix(fleet, facts, Probe::ServersOnly, &random_hex(8), SERVERS_PATIENCE).await;
    tried.into_facts(facts);
}

/// Tries every pair. `facts` says whose servers run: their ports are probed as they are.
pub async fn matrix(fleet: &Fleet, facts: &Facts, probe: Probe, token: &str, timeout: Duration) -> Tried {
    let ways = &fleet.ways();
    let listening = join_all(fleet.hosts().map(|(member, host)| async move {
        (member, probed(facts, member, ways.earlier(member.id), &host.link, probe, token, timeout).await)
    }))
    .await;
    let open: Vec<Probed<'_>> = listening
        .iter()
        .flat_map(|(member, ports)| ports.iter().map(|(port, behind)| (*member, *port, *behind)))
        .collect();

    // Behind a jump host no client port is reached from here: there the other hosts stand for clients.
    // A listener on a client port is tried by the other hosts, too: where they come from shows also
    // when the members' own ports are closed to them.
    let from_hosts = join_all(fleet.hosts().map(|(from, host)| {
        let asked = |(to, port, behind): &&Probed<'_>| {
            let other = to.id != from.id;
            other && (*port != to.ports.client || *behind == Behind::Listener || ways.is_carried(to.id))
        };
        let asked: Vec<Probed<'_>> = open.iter().filter(asked).copied().collect();
        async move { from_host(from, &host.link, asked, token, timeout).await }
    }));
    let from_here = join_all(
        open.iter()
            .filter(|(to, port, _)| *port == to.ports.client && !ways.is_carried(to.id))
            .map(|(to, port, behind)| from_here(to, *port, *behind, token, timeout)),
    );
    let (from_hosts, from_here) = tokio::join!(from_hosts, from_here);
    let observed = if probe == Probe::Listeners { observed(fleet, token).await } else { BTreeMap::new() };
    let of_members = from_hosts.into_iter().flatten().filter(|reach| {
        let client = fleet.desired.members.get(&reach.to).is_some_and(|to| reach.port == to.ports.client);
        !client || ways.is_carried(reach.to)
    });
    Tried { reach: of_members.chain(from_here).collect(), observed }
}

type Probed<'a> = (&'a DesiredMember, u16, Behind);

async fn probed(
    facts: &Facts,
    member: &DesiredMember,
    earlier: Option<Ports>,
    link: &Link,
    probe: Probe,
    token: &str,
    timeout: Duration,
) -> Vec<(u16, Behind)> {
    let unit = facts.host(member.id).map(|seen| &seen.unit);
    if unit.is_some_and(UnitFacts::runs) {
        // Ports that it will have after its restart are free until then.
        let held = earlier.unwrap_or(member.ports).all();
        let (servers, free): (Vec<u16>, Vec<u16>) =
            member.ports.all().into_iter().partition(|port| held.contains(port));
        // Where a plan may act on it, a server that has just let go of its port must not stand for a block.
        let shown = |port| {
            probe == Probe::ServersOnly && facts.host(member.id).is_some_and(|host| host.listens(port))
        };
        let behind = |port| if shown(port) { Behind::ListeningServer } else { Behind::Server };
        let mut probed: Vec<_> = servers.into_iter().map(|port| (port, behind(port))).collect();
        if probe == Probe::Listeners && !free.is_empty() {
            probed.extend(listening(free, link, token, timeout).await);
        }
        return probed;
    }
    // Where nobody knows whether a server runs, a listener could be in its way.
    if probe == Probe::ServersOnly || !unit.is_some_and(UnitFacts::is_down) {
        return Vec::new();
    }
    listening(member.ports.all().to_vec(), link, token, timeout).await
}

/// Listeners of ours on these ports, as far as they are free.
async fn listening(ports: Vec<u16>, link: &Link, token: &str, timeout: Duration) -> Vec<(u16, Behind)> {
    let asked = Listen {
        ports,
        address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        token: token.to_owned(),
        seconds: timeout.as_secs() + LISTEN_MARGIN_S,
    };
    let answers = link.within(timeout).listen(asked).await.unwrap_or_default();
    answers.iter().filter_map(ready).collect()
}

/// Lets the listeners go; what they heard.
async fn observed(fleet: &Fleet, token: &str) -> BTreeMap<ServerId, BTreeSet<IpAddr>> {
    let asked = fleet.hosts().map(|(_, host)| host.link.stop_listening(token.to_owned()));
    let mut observed: BTreeMap<ServerId, BTreeSet<IpAddr>> = BTreeMap::new();
    for caller in join_all(asked).await.into_iter().flatten().flatten() {
        if let Some(id) = fleet.desired.members.values().find(|member| member.name == caller.name) {
            observed.entry(id.id).or_default().insert(caller.address);
        }
    }
    observed
}

/// A port that can be probed.
fn ready(answer: &Listening) -> Option<(u16, Behind)> {
    match answer {
        Listening::Listening { port } => Some((*port, Behind::Listener)),
        Listening::Ours { port, .. } => Some((*port, Behind::Server)),
        // Taken by somebody else, or not to be bound: the check of the ports says so.
        Listening::InUse { .. } | Listening::Failed { .. } => None,
    }
}

async fn from_host(
    from: &DesiredMember,
    link: &Link,
    asked: Vec<Probed<'_>>,
    token: &str,
    timeout: Duration,
) -> Vec<Reach> {
    let targets =
        asked.iter().map(|(to, port, _)| Target { host: to.address.clone(), port: *port }).collect();
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let request = Connect { targets, token: token.to_owned(), name: from.name.clone(), timeout_ms };
    let Ok(answers) = link.within(timeout * 2).connect(request).await else { return Vec::new() };
    asked
        .iter()
        .zip(answers)
        .map(|((to, port, behind), answer)| {
            let result = result(&answer.outcome, *behind);
            Reach { from: Some(from.id), to: to.id, port: *port, result }
        })
        .collect()
}

fn result(outcome: &Outcome, behind: Behind) -> ReachResult {
    match outcome {
        Outcome::Token => ReachResult::Ok,
        Outcome::Open if behind != Behind::Listener => ReachResult::Ok,
        Outcome::Reset if behind == Behind::ListeningServer => ReachResult::Ok,
        Outcome::Refused | Outcome::Reset if behind == Behind::Server => ReachResult::Ok,
        Outcome::Open => ReachResult::WrongAnswer,
        Outcome::Refused => ReachResult::Refused,
        Outcome::Timeout => ReachResult::Timeout,
        Outcome::NoRoute { .. } | Outcome::NameError { .. } => ReachResult::NoRoute,
        Outcome::Reset | Outcome::Failed { .. } => ReachResult::Reset,
    }
}

async fn from_here(to: &DesiredMember, port: u16, behind: Behind, token: &str, timeout: Duration) -> Reach {
    let tried = async {
        let mut stream = TcpStream::connect((to.address.as_str(), port)).await?;
        if behind != Behind::Listener {
            return std::io::Result::Ok(true);
        }
        // The listener leaves hanging up to us, so the end of the answer is its length.
        let mut answer = vec![0; token.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer == token.as_bytes())
    };
    let result = match tokio::time::timeout(timeout, tried).await {
        Err(_) => ReachResult::Timeout,
        Ok(Ok(true)) => ReachResult::Ok,
        Ok(Ok(false)) => ReachResult::WrongAnswer,
        Ok(Err(error)) if behind != Behind::Listener && error.kind() == ErrorKind::ConnectionRefused => {
            ReachResult::Ok
        }
        Ok(Err(error)) => refused(&error),
    };
    Reach { from: None, to: to.id, port, result }
}

fn refused(error: &std::io::Error) -> ReachResult {
    match error.kind() {
        ErrorKind::ConnectionRefused => ReachResult::Refused,
        // The last one: an IPv6 firewall that rejects.
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NotFound
        | ErrorKind::PermissionDenied => ReachResult::NoRoute,
        ErrorKind::TimedOut => ReachResult::Timeout,
        _ => ReachResult::Reset,
    }
}

/// For a server that runs. A first packet that was lost is sent again after one second.
pub const SERVERS_PATIENCE: Duration = Duration::from_millis(1_200);
/// Listeners end by themselves should we be killed.
const LISTEN_MARGIN_S: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stands_for_nobody_who_listens_unless_somebody_does() {
        let refused = |behind| result(&Outcome::Refused, behind);
        assert_eq!(refused(Behind::Server), ReachResult::Ok, "it need not listen there");
        assert_eq!(refused(Behind::ListeningServer), ReachResult::Refused);
        assert_eq!(refused(Behind::Listener), ReachResult::Refused);
        assert_eq!(result(&Outcome::Open, Behind::ListeningServer), ReachResult::Ok);
    }
}
