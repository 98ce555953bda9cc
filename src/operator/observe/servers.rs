//! Servers as a client sees them from here: asked on their client ports, all at once, each within
//! one deadline. A canary through each server proves that a quorum commits what it is sent.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Barrier;

use super::answer::wall_ms;
use crate::client::four_letter::{self, Mntr, Srvr};
use crate::client::{self, Client, ConnectString, Options, Route, Server};
use crate::operator::fleet::ways::Ways;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{BlindCause, Canary, Mode, ServerFacts, ServerView};
use crate::wire::ids::ServerId;
use crate::wire::proto::ErrorCode;

/// Asks every member; takes as long as the slowest of them, never longer than `deadline`. Those who are
/// known to be `hidden` from here get a short one: their hosts are asked right after.
pub async fn servers(
    desired: &Desired,
    ways: &Ways,
    hidden: &BTreeSet<ServerId>,
    deadline: Duration,
) -> BTreeMap<ServerId, ServerView> {
    let together = Barrier::new(desired.members.len());
    let asked = desired.members.values().map(|member| async {
        let deadline = if hidden.contains(&member.id) { deadline.min(HIDDEN) } else { deadline };
        (member.id, server(member, ways, &together, deadline).await)
    });
    join_all(asked).await.into_iter().collect()
}

/// As [`servers`], with a look that leaves no transaction behind: nothing is sent through anybody. What is committed
/// then shows in the leader's own count of those who follow it.
pub async fn quietly(desired: &Desired, ways: &Ways, deadline: Duration) -> BTreeMap<ServerId, ServerView> {
    let asked =
        desired.members.values().map(|member| async { (member.id, quiet(member, ways, deadline).await) });
    join_all(asked).await.into_iter().collect()
}

async fn quiet(member: &DesiredMember, ways: &Ways, deadline: Duration) -> ServerView {
    let route = match ways.to(member) {
        Ok(route) => route,
        Err(why) => return ServerView::blind(BlindCause::HostAway, why),
    };
    let server = client_port(member);
    let (srvr, mntr) = tokio::join!(
        four_letter::srvr(&route, &server, deadline),
        four_letter::mntr(&route, &server, deadline)
    );
    match srvr {
        Err(error) => said(&error),
        Ok(srvr) if srvr.mode == four_letter::Mode::ReadOnly => {
            ServerView::NotServing { words: "serving read-only clients: no quorum".to_owned() }
        }
        Ok(srvr) => ServerView::Serving(Box::new(facts(&srvr, mntr))),
    }
}

async fn server(member: &DesiredMember, ways: &Ways, together: &Barrier, deadline: Duration) -> ServerView {
    let started = Instant::now();
    let standing = standing(member, ways, deadline).await;
    let member = &*standing;
    let view = match ways.to(member) {
        Ok(route) => canary(member, &route, deadline).await.map(|canary| (route, canary)),
        Err(why) => Err(ServerView::blind(BlindCause::HostAway, why)),
    };
    // The canaries of all are over before anybody's zxid is read, so that they are no lag; whoever
    // does not answer is not waited for.
    let _late = tokio::time::timeout(TOGETHER, together.wait()).await;
    let left = deadline.saturating_sub(started.elapsed()).max(LAST_WORD);
    match view {
        Ok((route, canary)) => describe(member, &route, canary, left).await,
        Err(view) => view,
    }
}

/// The member at the ports where it is: a server that was not restarted yet has those of its older zoo.cfg.
pub(super) async fn standing<'a>(
    member: &'a DesiredMember,
    ways: &Ways,
    deadline: Duration,
) -> Cow<'a, DesiredMember> {
    let (Some(ports), Ok(route)) = (ways.earlier(member.id), ways.to(member)) else {
        return Cow::Borrowed(member);
    };
    match four_letter::ask(&route, &client_port(member), "srvr", deadline.min(KNOCK)).await {
        Err(four_letter::Error::Connect(_) | four_letter::Error::Timeout { .. }) => {
            Cow::Owned(DesiredMember { ports, ..member.clone() })
        }
        _ => Cow::Borrowed(member),
    }
}

/// What became of a write through this server, if it serves and takes sessions of ours.
async fn canary(
    member: &DesiredMember,
    route: &Route,
    deadline: Duration,
) -> Result<Result<u64, String>, ServerView> {
    let started = Instant::now();
    match four_letter::srvr(route, &client_port(member), deadline).await {
        Err(error) => Err(said(&error)),
        Ok(srvr) if srvr.mode == four_letter::Mode::ReadOnly => {
            Err(ServerView::NotServing { words: "serving read-only clients: no quorum".to_owned() })
        }
        Ok(_) => match commit(member, route, deadline.saturating_sub(started.elapsed())).await {
            Ok(latency_us) => Ok(Ok(latency_us)),
            Err(NoAnswer::Failed(why)) => Ok(Err(why)),
            Err(NoAnswer::NoSession(why)) => {
                Err(ServerView::blind(BlindCause::Limit, format!("{HUNG_UP} ({why})")))
            }
        },
    }
}

/// Why a session of ours came to nothing.
#[derive(Clone, Debug)]
pub(super) enum NoAnswer {
    /// Connections are broken off before there is one: nothing was asked.
    NoSession(String),
    /// It was asked, or waited for, in vain.
    Failed(String),
}

impl NoAnswer {
    pub(super) fn why(self) -> String {
        match self {
            NoAnswer::NoSession(why) | NoAnswer::Failed(why) => why,
        }
    }
}

fn client_port(member: &DesiredMember) -> Server {
    Server { host: member.address.clone(), port: member.ports.client }
}

/// What a serving server says of itself, beside what became of the canary.
async fn describe(
    member: &DesiredMember,
    route: &Route,
    canary: Result<u64, String>,
    deadline: Duration,
) -> ServerView {
    let server = client_port(member);
    let (srvr, mntr) = tokio::join!(
        four_letter::srvr(route, &server, deadline),
        four_letter::mntr(route, &server, deadline)
    );
    let srvr = match srvr {
        Ok(srvr) => srvr,
        Err(error) => return said(&error),
    };
    let canary = match canary {
        Ok(latency_us) => Canary::Committed { zxid: srvr.zxid, latency_us },
        Err(why) => Canary::Failed { why },
    };
    ServerView::Serving(Box::new(ServerFacts { canary: Some(canary), ..facts(&srvr, mntr) }))
}

/// What `srvr` and `mntr` say; no canary was tried.
pub(super) fn facts(srvr: &Srvr, mntr: Result<Mntr, four_letter::Error>) -> ServerFacts {
    // Often not in the whitelist of a server that somebody else set up: then less is shown.
    let uptime = mntr.as_ref().ok().and_then(|mntr| mntr.uptime);
    ServerFacts {
        mode: mode(srvr.mode),
        zxid: srvr.zxid,
        version: version(&srvr.version),
        connections: srvr.connections,
        disk_free_bytes: mntr.as_ref().ok().and_then(|mntr| mntr.values.get("disk_free_bytes")?.parse().ok()),
        uptime_ms: uptime.map(|uptime| millis(uptime.as_millis())),
        config_changed: switch(&mntr, "config_changed"),
        data_moved: switch(&mntr, "data_moved"),
        synced_followers: count(&mntr, |mntr| mntr.synced_followers),
        synced_observers: count(&mntr, |mntr| mntr.synced_observers),
        canary: None,
    }
}

fn count(mntr: &Result<Mntr, four_letter::Error>, of: impl Fn(&Mntr) -> Option<u64>) -> Seen<u32> {
    match mntr {
        Ok(mntr) => Seen::answered(of(mntr).and_then(|count| u32::try_from(count).ok())),
        Err(why) => Seen::unseen(why.to_string(), wall_ms()),
    }
}

/// A line of `mntr` that is 0 or 1, and that servers of others do not have.
fn switch(mntr: &Result<Mntr, four_letter::Error>, key: &str) -> Seen<bool> {
    match mntr {
        Ok(mntr) => Seen::answered(mntr.values.get(key).map(|value| value != "0")),
        Err(why) => Seen::unseen(why.to_string(), wall_ms()),
    }
}

/// A transaction that changes nothing, fires no watch and needs no right: deleting what is not
/// there is an error that the leader proposes and a quorum commits like any other write.
pub(super) async fn commit(
    member: &DesiredMember,
    route: &Route,
    deadline: Duration,
) -> Result<u64, NoAnswer> {
    session(member, route, deadline, async |client| {
        let asked = Instant::now();
        match client.delete(NOWHERE, None).await {
            Ok(()) => Err(format!("{NOWHERE} existed and was deleted")),
            Err(client::Error::Code(ErrorCode::NoNode | ErrorCode::NoAuth, _)) => {
                Ok(millis(asked.elapsed().as_micros()))
            }
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

/// A session of its own for one question, closed behind it.
pub(super) async fn session<T, F>(
    member: &DesiredMember,
    route: &Route,
    deadline: Duration,
    ask: impl FnOnce(Client) -> F,
) -> Result<T, NoAnswer>
where
    F: Future<Output = Result<T, String>>,
{
    let options = Options {
        session_timeout: SESSION_TIMEOUT,
        request_timeout: deadline,
        reconnect_pause_max: Duration::from_millis(50),
        route: route.clone(),
        ..Options::default()
    };
    let client = Client::connect(ConnectString::single(&member.address, member.ports.client), options);
    let answer = async {
        client.connected(deadline).await.map_err(|error| match client.status().trouble {
            Some(why) => NoAnswer::NoSession(why),
            None => NoAnswer::Failed(error.to_string()),
        })?;
        ask(client.clone()).await.map_err(NoAnswer::Failed)
    };
    let result = tokio::time::timeout(deadline, answer).await.unwrap_or_else(|_| {
        let late = format!("no answer within {} ms", deadline.as_millis());
        Err(client.status().trouble.map_or(NoAnswer::Failed(late), NoAnswer::NoSession))
    });
    client.close().await;
    result
}

/// What an answer that is none comes to, in the words of somebody who looks at a network.
pub(super) fn said(error: &four_letter::Error) -> ServerView {
    use four_letter::Error;
    let (cause, why) = match error {
        Error::NotServing => {
            return ServerView::NotServing { words: "not currently serving requests".to_owned() };
        }
        Error::Connect(why) => match why.kind() {
            ErrorKind::ConnectionRefused => (BlindCause::Refused, "connection refused".to_owned()),
            ErrorKind::HostUnreachable => (BlindCause::NoRoute, "no route to host".to_owned()),
            ErrorKind::NetworkUnreachable => (BlindCause::NoRoute, "no route to its network".to_owned()),
            ErrorKind::TimedOut => (BlindCause::Timeout, "the connection timed out".to_owned()),
            _ => (BlindCause::NoRoute, error.to_string()),
        },
        Error::Timeout { ms, .. } => (BlindCause::Timeout, format!("no answer within {ms} ms")),
        // A server at its limit accepts and hangs up, with what was sent to it unread.
        Error::Silent(_) | Error::Lost { .. } => (BlindCause::Limit, HUNG_UP.to_owned()),
        Error::NotWhitelisted(_) => (BlindCause::Whitelist, error.to_string()),
        Error::TooLong { .. } | Error::Malformed { .. } => (BlindCause::Odd, error.to_string()),
    };
    ServerView::blind(cause, why)
}

/// `3.9.3-<hash>, built on …` → `3.9.3`; what follows a further dash of ours is kept.
fn version(text: &str) -> String {
    let text = text.split(',').next().unwrap_or(text).trim();
    match text.rsplit_once('-') {
        Some((version, hash)) if hash.len() >= 7 && hash.chars().all(|c| c.is_ascii_hexdigit()) => {
            version.to_owned()
        }
        _ => text.to_owned(),
    }
}

fn mode(mode: four_letter::Mode) -> Mode {
    match mode {
        four_letter::Mode::Standalone => Mode::Standalone,
        four_letter::Mode::Leader => Mode::Leader,
        four_letter::Mode::Follower => Mode::Follower,
        four_letter::Mode::Observer => Mode::Observer,
        four_letter::Mode::ReadOnly => Mode::ReadOnly,
    }
}

fn millis(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

pub(super) const HUNG_UP: &str = "accepted and closed without a word: the server's limit of connections from one \
                                  address (maxClientCnxns) is reached, or this is no server's port";
/// Nobody creates this: the canary deletes it and is told that it is not there.
const NOWHERE: &str = "/zkops-canary-that-is-never-there";
/// Short, so that a session that we fail to close is soon gone.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
/// A port that nobody listens at yet.
const KNOCK: Duration = Duration::from_millis(500);
/// For members that were not seen from here a moment ago: enough to notice that they are again.
const HIDDEN: Duration = Duration::from_millis(300);
/// Longer than a canary's session takes; a member that is down costs this once.
const TOGETHER: Duration = Duration::from_millis(250);
/// The last question of a member that used up its time still gets an answer from a live server.
const LAST_WORD: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_shown_without_build_hashes() {
        assert_eq!(
            version("3.9.3-c26634f34490bb0ea7a09cc51e05ede3b4e320ee, built on 2024-10-17 23:21 UTC"),
            "3.9.3"
        );
        assert_eq!(version("3.9.0-zkops-0.1.0, built on 2026-11-23"), "3.9.0-zkops-0.1.0");
        assert_eq!(version("3.4.12"), "3.4.12");
    }
}
