//! Servers as a client sees them: asked on their client ports, all at once, each within one
//! deadline. A canary through each server proves that a quorum commits what it is sent.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Barrier;

use crate::client::{self, Client, ConnectString, Options, Route, Server, four_letter};
use crate::operator::fleet::ways::Ways;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{Canary, Mode, ServerFacts, ServerView};
use crate::wire::ids::ServerId;
use crate::wire::proto::ErrorCode;

/// Asks every member; takes as long as the slowest of them, never longer than `deadline`.
pub async fn servers(desired: &Desired, ways: &Ways, deadline: Duration) -> BTreeMap<ServerId, ServerView> {
    let together = Barrier::new(desired.members.len());
    let asked = desired
        .members
        .values()
        .map(|member| async { (member.id, server(member, ways, &together, deadline).await) });
    join_all(asked).await.into_iter().collect()
}

async fn server(member: &DesiredMember, ways: &Ways, together: &Barrier, deadline: Duration) -> ServerView {
    let started = Instant::now();
    let view = match ways.to(member) {
        Ok(route) => canary(member, &route, deadline).await.map(|canary| (route, canary)),
        Err(why) => Err(ServerView::Silent { why }),
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

/// What became of a write through this server, if it serves.
async fn canary(
    member: &DesiredMember,
    route: &Route,
    deadline: Duration,
) -> Result<Result<u64, String>, ServerView> {
    let started = Instant::now();
    match four_letter::srvr(route, &client_port(member), deadline).await {
        Err(four_letter::Error::NotServing) => {
            Err(ServerView::NotServing { words: "not currently serving requests".to_owned() })
        }
        Err(error) => Err(ServerView::Silent { why: plainly(&error) }),
        Ok(srvr) if srvr.mode == four_letter::Mode::ReadOnly => {
            Err(ServerView::NotServing { words: "serving read-only clients: no quorum".to_owned() })
        }
        Ok(_) => Ok(commit(member, route, deadline.saturating_sub(started.elapsed())).await),
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
        Err(four_letter::Error::NotServing) => {
            return ServerView::NotServing { words: "stopped serving while it was asked".to_owned() };
        }
        Err(error) => return ServerView::Silent { why: plainly(&error) },
    };
    // Often not in the whitelist of a server that somebody else set up: then less is shown.
    let mntr = mntr.ok();
    let synced = mntr.as_ref().and_then(|mntr| mntr.synced_followers);
    ServerView::Serving(Box::new(ServerFacts {
        mode: mode(srvr.mode),
        zxid: srvr.zxid,
        version: version(&srvr.version),
        connections: srvr.connections,
        uptime_ms: mntr.as_ref().and_then(|mntr| mntr.uptime).map(|uptime| millis(uptime.as_millis())),
        synced_followers: synced.and_then(|count| u32::try_from(count).ok()),
        canary: Some(match canary {
            Ok(latency_us) => Canary::Committed { zxid: srvr.zxid, latency_us },
            Err(why) => Canary::Failed { why },
        }),
    }))
}

/// A transaction that changes nothing, fires no watch and needs no right: deleting what is not
/// there is an error that the leader proposes and a quorum commits like any other write.
async fn commit(member: &DesiredMember, route: &Route, deadline: Duration) -> Result<u64, String> {
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
) -> Result<T, String>
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
        client
            .connected(deadline)
            .await
            .map_err(|error| client.status().trouble.unwrap_or_else(|| error.to_string()))?;
        ask(client.clone()).await
    };
    let result = tokio::time::timeout(deadline, answer)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} ms", deadline.as_millis())));
    client.close().await;
    result
}

/// What went wrong in the words of somebody who looks at a network.
fn plainly(error: &four_letter::Error) -> String {
    match error {
        four_letter::Error::Connect(why) if why.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        four_letter::Error::Connect(why) if why.kind() == std::io::ErrorKind::HostUnreachable => {
            "no route to host".to_owned()
        }
        four_letter::Error::Timeout { ms, .. } => format!("no answer within {ms} ms"),
        other => other.to_string(),
    }
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

/// Nobody creates this: the canary deletes it and is told that it is not there.
const NOWHERE: &str = "/zkops-canary-that-is-never-there";
/// Short, so that a session that we fail to close is soon gone.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
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
