//! Servers as their own hosts see them: the agent there asks at the member's client port what is
//! otherwise asked from here. It is the second way, for members that the first does not see. Its
//! canary travels through the ssh connection; where that carries nothing, none is tried.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Barrier;

use super::servers::{self, NoAnswer};
use crate::client::{Route, four_letter};
use crate::operator::fleet::hosts::{Fleet, Host};
use crate::operator::host::net::FourLetter;
use crate::operator::host::{CallError, Kind};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::server::{BlindCause, Canary, ServerView};
use crate::wire::ids::ServerId;

/// Asks the hosts of those members that `wanted` names, all at once.
pub(super) async fn on_hosts(
    fleet: &Fleet,
    wanted: impl Fn(ServerId) -> bool,
    deadline: Duration,
) -> BTreeMap<ServerId, ServerView> {
    let ways = fleet.ways();
    let together = Barrier::new(fleet.hosts().filter(|(member, _)| wanted(member.id)).count());
    let asked = fleet.hosts().filter(|(member, _)| wanted(member.id)).map(|(member, host)| {
        let way = Way { member, host, route: ways.through_host(member.id), deadline };
        let together = &together;
        async move { (way.member.id, way.view(together).await) }
    });
    let mut views: BTreeMap<ServerId, ServerView> = join_all(asked).await.into_iter().collect();
    for id in fleet.desired.members.keys().filter(|id| wanted(**id)) {
        if let Some(away) = fleet.unreachable(*id) {
            views.insert(*id, ServerView::blind(BlindCause::HostAway, away.text.clone()));
        }
    }
    views
}

/// The way to one server by its own host.
struct Way<'a> {
    member: &'a DesiredMember,
    host: &'a Host,
    /// For sessions; `None`: nothing of ours is carried from there.
    route: Option<Route>,
    deadline: Duration,
}

impl Way<'_> {
    async fn view(&self, together: &Barrier) -> ServerView {
        let first = self.words().await;
        let canary = match (&first, &self.route) {
            (ServerView::Serving(_), Some(route)) => self.canary(route).await,
            _ => None,
        };
        // As from here: the canaries of all are over before anybody's zxid is read.
        let _late = tokio::time::timeout(TOGETHER, together.wait()).await;
        let Some(canary) = canary else { return first };
        let mut last = self.words().await;
        if let ServerView::Serving(server) = &mut last {
            server.canary = Some(match canary {
                Ok(latency_us) => Canary::Committed { zxid: server.zxid, latency_us },
                Err(why) => Canary::Failed { why },
            });
        }
        last
    }

    /// What became of a write through this server; `None`: no session of ours gets there.
    async fn canary(&self, route: &Route) -> Option<Result<u64, String>> {
        match servers::commit(self.member, route, self.deadline).await {
            Ok(latency_us) => Some(Ok(latency_us)),
            Err(NoAnswer::Failed(why)) => Some(Err(why)),
            Err(NoAnswer::NoSession(_)) => None,
        }
    }

    /// At the address that clients use; where nobody listens there, at loopback.
    async fn words(&self) -> ServerView {
        match self.at(&self.member.address).await {
            ServerView::Blind(blind) if matches!(blind.cause, BlindCause::Refused | BlindCause::NoRoute) => {
                match self.at(LOOPBACK).await {
                    ServerView::Blind(_) => ServerView::Blind(blind),
                    seen => seen,
                }
            }
            view => view,
        }
    }

    async fn at(&self, address: &str) -> ServerView {
        let (srvr, mntr) = tokio::join!(self.word("srvr", address), self.word("mntr", address));
        let srvr: Result<four_letter::Srvr, _> = match srvr {
            Ok(answer) => answer.and_then(|text| text.parse()),
            Err(why) => return blind(&why),
        };
        match srvr {
            Ok(srvr) if srvr.mode == four_letter::Mode::ReadOnly => {
                ServerView::NotServing { words: "serving read-only clients: no quorum".to_owned() }
            }
            Ok(srvr) => {
                let mntr = match mntr {
                    Ok(answer) => answer.and_then(|text| text.parse()),
                    Err(_) => Err(four_letter::Error::Silent("mntr".to_owned())),
                };
                ServerView::Serving(Box::new(servers::facts(&srvr, mntr)))
            }
            Err(why) => servers::said(&why),
        }
    }

    /// What the server answered to the agent.
    async fn word(&self, word: &str, address: &str) -> Result<Result<String, four_letter::Error>, CallError> {
        let request = FourLetter {
            host: address.to_owned(),
            port: self.member.ports.client,
            word: word.to_owned(),
            timeout_ms: u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX),
        };
        let reply = self.host.link.within(self.deadline + MARGIN).four_letter(request).await?;
        Ok(four_letter::told(word, reply.reply))
    }
}

/// Why the agent has no answer.
fn blind(why: &CallError) -> ServerView {
    let cause = match why.kind() {
        Some(Kind::ConnectionRefused) => BlindCause::Refused,
        Some(Kind::Timeout) => BlindCause::Timeout,
        Some(Kind::Unreachable) => BlindCause::NoRoute,
        Some(Kind::ConnectionReset) => return ServerView::blind(BlindCause::Limit, servers::HUNG_UP),
        _ => BlindCause::Agent,
    };
    let words = why.failure().map_or_else(|| why.to_string(), |failure| failure.why.clone());
    ServerView::blind(cause, words)
}

/// Longer than a canary's session takes through a tunnel.
const TOGETHER: Duration = Duration::from_millis(500);
/// Of a server that is bound to another address than the inventory's.
const LOOPBACK: &str = "localhost";
/// The agent keeps to the deadline by itself and says more than that it is over.
const MARGIN: Duration = Duration::from_millis(300);
