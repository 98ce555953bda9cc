//! Everything there is to see, at once: every host of a fleet and every server, put together as facts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use super::answer::wall_ms;
use super::look::{self, Depth};
use super::token::random_hex;
use super::{firewall, identity, on_hosts, servers};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::watch::{Doing, Watcher};
use crate::operator::plan::ensemble;
use crate::operator::plan::facts::{Facts, HostView, MemberFacts, NoWayIn, Unreachable};
use crate::operator::plan::seen::Stamp;
use crate::operator::plan::server::{Server, ServerView};
use crate::wire::ids::ServerId;

/// Looks at every host of the fleet and at every server, all at once.
pub async fn everybody(fleet: &Fleet, depth: Depth, watch: &Watcher, deadline: Duration) -> Facts {
    let (stamp, ways) = (fleet.stamp(), fleet.ways());
    let nobody = BTreeSet::new();
    let servers = servers::servers(&fleet.desired, &ways, &nobody, deadline.min(SERVER_PATIENCE));
    let (hosts, servers) = tokio::join!(looked(fleet, depth, watch, deadline), servers);
    let mut facts = put_together(fleet, stamp, hosts, servers);
    Box::pin(second_way(fleet, &mut facts, deadline)).await;
    identity::elsewhere(fleet, &mut facts, deadline).await;
    Box::pin(firewalls(fleet, &mut facts, deadline)).await;
    facts
}

/// Looks at every host of the fleet; `servers` is what was seen of them just before, behind the same steps. Who answers
/// elsewhere is not asked.
pub async fn hosts(
    fleet: &Fleet,
    servers: BTreeMap<ServerId, ServerView>,
    depth: Depth,
    watch: &Watcher,
    deadline: Duration,
) -> Facts {
    let stamp = fleet.stamp();
    let hosts = looked(fleet, depth, watch, deadline).await;
    let mut facts = put_together(fleet, stamp, hosts, servers);
    Box::pin(second_way(fleet, &mut facts, deadline)).await;
    Box::pin(firewalls(fleet, &mut facts, deadline)).await;
    facts
}

/// Looks at the servers alone, both ways where one does not see; of the hosts nothing is seen.
pub async fn servers_alone(fleet: &Fleet, older: &Facts, deadline: Duration) -> Facts {
    let mut facts = older.renewed(fleet.stamp());
    // Which way was blind then is no fact of now; it only says where not to wait for long.
    let hidden = |server: &Server| server.from_here.serving().is_none() && server.on_host.serving().is_some();
    let hidden = older.members.iter().filter(|(_, seen)| hidden(&seen.server)).map(|(id, _)| *id).collect();
    let ways = fleet.ways();
    let servers = servers::servers(&fleet.desired, &ways, &hidden, deadline);
    let (servers, ()) = tokio::join!(servers, identity::elsewhere(fleet, &mut facts, deadline));
    for (id, view) in servers {
        facts.members.entry(id).or_default().server = Server::from_here(view);
    }
    Box::pin(second_way(fleet, &mut facts, deadline)).await;
    facts
}

/// Looks at the services of all members and their processes; nothing else is seen.
pub async fn units_alone(fleet: &Fleet, older: &Facts, deadline: Duration) -> Facts {
    let mut facts = older.renewed(fleet.stamp());
    units(fleet, &mut facts, deadline).await;
    facts
}

/// Adds the services of all members, as their hosts see them now.
pub async fn units(fleet: &Fleet, facts: &mut Facts, deadline: Duration) {
    let asked = fleet
        .hosts()
        .map(|(member, host)| async move { (member.id, look::service(member, host, deadline).await) });
    for (id, seen) in join_all(asked).await {
        facts.members.entry(id).or_default().host = HostView::Seen(Box::new(seen));
    }
}

/// Asks on their hosts for those who are not seen to serve from here.
async fn second_way(fleet: &Fleet, facts: &mut Facts, deadline: Duration) {
    let blind = |id: ServerId| matches!(facts.member(id).server.from_here, ServerView::Blind(_));
    let views = on_hosts::on_hosts(fleet, blind, deadline.min(SERVER_PATIENCE)).await;
    for (id, view) in views {
        facts.members.entry(id).or_default().server.on_host = view;
    }
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

fn put_together(
    fleet: &Fleet,
    stamp: Stamp,
    mut hosts: BTreeMap<ServerId, HostView>,
    mut servers: BTreeMap<ServerId, ServerView>,
) -> Facts {
    let members = fleet
        .desired
        .members
        .keys()
        .map(|id| {
            let away = || fleet.unreachable(*id).cloned().map_or(HostView::Unasked, HostView::Unreachable);
            let host = hosts.remove(id).unwrap_or_else(away);
            let server = Server::from_here(servers.remove(id).unwrap_or_default());
            (*id, MemberFacts { host, server })
        })
        .collect();
    Facts { stamp, members, wall_ms: wall_ms(), fresh_uuid: random_hex(16), ..Facts::default() }
}

/// Adds the firewalls, as closely as is needed: members in sync that answer here are reachable. First, who needs
/// what: that takes every host's word.
pub async fn firewalls(fleet: &Fleet, facts: &mut Facts, deadline: Duration) {
    let desired = &fleet.desired;
    let asked = fleet
        .hosts()
        .map(|(member, host)| async move { (member.id, firewall::sources(desired, host, deadline).await) });
    for (id, answer) in join_all(asked).await {
        if let Some(HostView::Seen(host)) = facts.members.get_mut(&id).map(|seen| &mut seen.host) {
            host.sources = answer;
        }
    }
    let in_sync = ensemble::in_sync(desired, facts);
    let known = &*facts;
    let runs = |id: ServerId| known.host(id).is_some_and(|host| host.unit.runs());
    // What keeps one out that runs may be a rule on the host of one that does not miss it.
    let apart = desired.members.keys().any(|id| !in_sync.contains(id) && runs(*id));
    let asked = fleet.hosts().filter(|(member, _)| known.host(member.id).is_some()).map(|(member, host)| {
        // What this machine reaches itself: a member in sync through its host alone may be shut off from here.
        let answers = known.member(member.id).server.from_here.serving().is_some();
        let reachable = !apart && answers && in_sync.contains(&member.id);
        async move {
            let answer = match reachable {
                true => firewall::drift(desired, known, member, host, deadline).await,
                false => firewall::ask(desired, known, member, host, deadline).await,
            };
            (member.id, answer)
        }
    });
    for (id, answer) in join_all(asked).await {
        if let Some(HostView::Seen(host)) = facts.members.get_mut(&id).map(|seen| &mut seen.host) {
            host.firewall = answer;
        }
    }
}

/// A server that serves answers in milliseconds; a closed port may only time out.
const SERVER_PATIENCE: Duration = Duration::from_secs(3);
