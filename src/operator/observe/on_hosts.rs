//! Servers as their own hosts see them: the agent there asks at the member's client port what is
//! otherwise asked from here. It is the second way, for members that the first does not see.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::servers;
use crate::client::four_letter;
use crate::operator::fleet::hosts::{Fleet, Host};
use crate::operator::host::net::FourLetter;
use crate::operator::host::{CallError, Kind};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::server::{BlindCause, ServerView};
use crate::wire::ids::ServerId;

/// Asks the hosts of those members that `wanted` names, all at once.
pub async fn on_hosts(
    fleet: &Fleet,
    wanted: impl Fn(ServerId) -> bool,
    deadline: Duration,
) -> BTreeMap<ServerId, ServerView> {
    let asked = fleet
        .hosts()
        .filter(|(member, _)| wanted(member.id))
        .map(|(member, host)| async move { (member.id, on_host(member, host, deadline).await) });
    let mut views: BTreeMap<ServerId, ServerView> = join_all(asked).await.into_iter().collect();
    for id in fleet.desired.members.keys().filter(|id| wanted(**id)) {
        if let Some(away) = fleet.unreachable(*id) {
            views.insert(*id, ServerView::blind(BlindCause::HostAway, away.text.clone()));
        }
    }
    views
}

/// At the address that clients use; where nobody listens there, at loopback.
async fn on_host(member: &DesiredMember, host: &Host, deadline: Duration) -> ServerView {
    let view = at(&member.address, member, host, deadline).await;
    match view {
        ServerView::Blind(blind) if matches!(blind.cause, BlindCause::Refused | BlindCause::NoRoute) => {
            match at(LOOPBACK, member, host, deadline).await {
                ServerView::Blind(_) => ServerView::Blind(blind),
                seen => seen,
            }
        }
        view => view,
    }
}

async fn at(address: &str, member: &DesiredMember, host: &Host, deadline: Duration) -> ServerView {
    let (srvr, mntr) = tokio::join!(
        word("srvr", address, member, host, deadline),
        word("mntr", address, member, host, deadline)
    );
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
async fn word(
    word: &str,
    address: &str,
    member: &DesiredMember,
    host: &Host,
    deadline: Duration,
) -> Result<Result<String, four_letter::Error>, CallError> {
    let request = FourLetter {
        host: address.to_owned(),
        port: member.ports.client,
        word: word.to_owned(),
        timeout_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
    };
    let reply = host.link.within(deadline + MARGIN).four_letter(request).await?;
    Ok(four_letter::told(word, reply.reply))
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

/// Of a server that is bound to another address than the inventory's.
const LOOPBACK: &str = "localhost";
/// The agent keeps to the deadline by itself and says more than that it is over.
const MARGIN: Duration = Duration::from_millis(300);
