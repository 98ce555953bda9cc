//! Who reaches whom: real listeners on the true ports, real connections through the real
//! firewalls, from every host to every other and from the operator to every client port (behind a
//! jump host from the other hosts).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::operator::fleet::hosts::Fleet;
use crate::operator::host::net::{Connect, Listen, Listening, Outcome, Target};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::{Facts, Reach, ReachResult};
use crate::wire::ids::ServerId;

/// What is listened on where no server of ours runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Listeners of our own, on the true ports.
    Listeners,
    /// Nothing: only running servers are probed.
    ServersOnly,
}

/// Tries every pair. `facts` says whose servers run: their ports are probed as they are, because
/// a listener of ours on the quorum port of a follower could keep it from becoming leader.
pub async fn matrix(
    fleet: &Fleet,
    facts: &Facts,
    probe: Probe,
    token: &str,
    timeout: Duration,
) -> Vec<Reach> {
    let listening = join_all(fleet.hosts().map(|(member, host)| async move {
        let running = facts.host(member.id).is_some_and(|seen| seen.unit.state.running());
        let ports = if running {
            // The client and election ports are open on every running server; a leader alone
            // listens for learners.
            vec![(member.ports.client, true), (member.ports.election, true)]
        } else if probe == Probe::ServersOnly {
            Vec::new()
        } else {
            let asked = Listen {
                ports: member.ports.all().to_vec(),
                address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                token: token.to_owned(),
                seconds: timeout.as_secs() + LISTEN_MARGIN_S,
            };
            let answers = host.link.within(timeout).listen(asked).await.unwrap_or_default();
            answers.iter().filter_map(ready).collect()
        };
        (member, ports)
    }))
    .await;
    let open: Vec<(&DesiredMember, u16, bool)> = listening
        .iter()
        .flat_map(|(member, ports)| ports.iter().map(|(port, ours)| (*member, *port, *ours)))
        .collect();

    // Behind a jump host no client port is reached from here: there the other hosts stand for clients.
    let ways = fleet.ways();
    let from_hosts = join_all(fleet.hosts().map(|(from, host)| {
        let asked: Vec<(&DesiredMember, u16, bool)> = open
            .iter()
            .filter(|(to, port, _)| to.id != from.id && (*port != to.ports.client || ways.is_carried(to.id)))
            .copied()
            .collect();
        async move { from_host(from.id, &host.link, asked, token, timeout).await }
    }));
    let from_here = join_all(
        open.iter()
            .filter(|(to, port, _)| *port == to.ports.client && !ways.is_carried(to.id))
            .map(|(to, port, ours)| from_here(to, *port, *ours, token, timeout)),
    );
    let (from_hosts, from_here) = tokio::join!(from_hosts, from_here);
    if probe == Probe::Listeners {
        join_all(fleet.hosts().map(|(_, host)| host.link.stop_listening(token.to_owned()))).await;
    }
    from_hosts.into_iter().flatten().chain(from_here).collect()
}

/// A port that can be probed; true: our own server has it.
fn ready(answer: &Listening) -> Option<(u16, bool)> {
    match answer {
        Listening::Listening { port } => Some((*port, false)),
        Listening::Ours { port, .. } => Some((*port, true)),
        // Taken by somebody else, or not to be bound: the check of the ports says so.
        Listening::InUse { .. } | Listening::Failed { .. } => None,
    }
}

async fn from_host(
    from: ServerId,
    link: &crate::operator::host::Link,
    asked: Vec<(&DesiredMember, u16, bool)>,
    token: &str,
    timeout: Duration,
) -> Vec<Reach> {
    let targets =
        asked.iter().map(|(to, port, _)| Target { host: to.address.clone(), port: *port }).collect();
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let request = Connect { targets, token: token.to_owned(), timeout_ms };
    let Ok(answers) = link.within(timeout * 2).connect(request).await else { return Vec::new() };
    asked
        .iter()
        .zip(answers)
        .map(|((to, port, ours), answer)| {
            let result = result(&answer.outcome, *ours);
            Reach { from: Some(from), to: to.id, port: *port, result }
        })
        .collect()
}

fn result(outcome: &Outcome, ours: bool) -> ReachResult {
    match outcome {
        Outcome::Token => ReachResult::Ok,
        Outcome::Open if ours => ReachResult::Ok,
        Outcome::Open => ReachResult::WrongAnswer,
        Outcome::Refused => ReachResult::Refused,
        Outcome::Timeout => ReachResult::Timeout,
        Outcome::NoRoute { .. } | Outcome::NameError { .. } => ReachResult::NoRoute,
        Outcome::Reset | Outcome::Failed { .. } => ReachResult::Reset,
    }
}

async fn from_here(to: &DesiredMember, port: u16, ours: bool, token: &str, timeout: Duration) -> Reach {
    let tried = async {
        let mut stream = TcpStream::connect((to.address.as_str(), port)).await?;
        if ours {
            return Ok(true);
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
        Ok(Err(error)) => refused(&error),
    };
    Reach { from: None, to: to.id, port, result }
}

fn refused(error: &std::io::Error) -> ReachResult {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => ReachResult::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NotFound => {
            ReachResult::NoRoute
        }
        ErrorKind::TimedOut => ReachResult::Timeout,
        _ => ReachResult::Reset,
    }
}

/// Listeners end by themselves should we be killed.
const LISTEN_MARGIN_S: u64 = 10;
