//! Everything there is to see, at once: every host of a fleet and every server, put together as facts.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;

use super::firewall;
use super::look::{self, Depth};
use super::servers;
use super::token::random_hex;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::watch::{Doing, Watcher};
use crate::operator::plan::ensemble;
use crate::operator::plan::facts::{Facts, HostView, MemberFacts, NoWayIn, ServerView, Unreachable};
use crate::wire::ids::ServerId;

/// Looks at every host of the fleet and at every server, all at once.
pub async fn everybody(fleet: &Fleet, depth: Depth, watch: &Watcher, deadline: Duration) -> Facts {
    let ways = fleet.ways();
    let servers = servers::servers(&fleet.desired, &ways, deadline.min(SERVER_PATIENCE));
    let (hosts, servers) = tokio::join!(looked(fleet, depth, watch, deadline), servers);
    together(fleet, hosts, servers, deadline).await
}

/// Looks at every host of the fleet; `servers` is what was seen of them just before.
pub async fn hosts(
    fleet: &Fleet,
    servers: BTreeMap<ServerId, ServerView>,
    depth: Depth,
    watch: &Watcher,
    deadline: Duration,
) -> Facts {
    let hosts = looked(fleet, depth, watch, deadline).await;
    together(fleet, hosts, servers, deadline).await
}

async fn looked(
    fleet: &Fleet,
    depth: Depth,
    watch: &Watcher,
    deadline: Duration,
) -> BTreeMap<ServerId, HostView> {
    let looked = fleet.hosts().map(|(member, host)| async move {
        watch(&member.name, Doing::Looking);
        let view = match look::host(&fleet.desired, member, host, depth, deadline).await {
            Ok(seen) => HostView::Seen(Box::new(seen)),
            Err(why) => HostView::Unreachable(Unreachable {
                kind: NoWayIn::Connection,
                text: format!("{}: {why}", member.name),
            }),
        };
        (member.id, view)
    });
    join_all(looked).await.into_iter().collect()
}

async fn together(
    fleet: &Fleet,
    mut hosts: BTreeMap<ServerId, HostView>,
    mut servers: BTreeMap<ServerId, ServerView>,
    deadline: Duration,
) -> Facts {
    let members = fleet
        .desired
        .members
        .keys()
        .map(|id| {
            let away = || fleet.unreachable(*id).cloned().map_or(HostView::Unasked, HostView::Unreachable);
            let host = hosts.remove(id).unwrap_or_else(away);
            (*id, MemberFacts { host, server: servers.remove(id).unwrap_or_default() })
        })
        .collect();
    let mut facts = Facts { members, wall_ms: wall_ms(), fresh_uuid: random_hex(16), ..Facts::default() };
    firewalls(fleet, &mut facts, deadline).await;
    facts
}

/// The firewalls, as closely as is needed: members in sync are reachable.
async fn firewalls(fleet: &Fleet, facts: &mut Facts, deadline: Duration) {
    let in_sync = ensemble::in_sync(&fleet.desired, facts);
    let asked = fleet.hosts().filter_map(|(member, host)| {
        let seen = facts.host(member.id)?;
        let reachable = in_sync.contains(&member.id);
        Some(async move {
            let answer = match reachable {
                true => firewall::drift(member, host, seen, deadline).await,
                false => firewall::ask(member, host, deadline).await,
            };
            (member.id, answer)
        })
    });
    for (id, answer) in join_all(asked).await {
        if let Some(HostView::Seen(host)) = facts.members.get_mut(&id).map(|seen| &mut seen.host) {
            host.firewall = answer;
        }
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A server that serves answers in milliseconds; a closed port may only time out.
const SERVER_PATIENCE: Duration = Duration::from_secs(3);
