//! Where members were before: a place that a list on a host, the last deployment or a fence names and the inventory does
//! not. What was seen there, as far as it could be asked; what follows from it is `moves`' business.

use std::collections::{BTreeMap, BTreeSet};

use super::Refused;
use super::desired::{Desired, DesiredMember};
use super::facts::{Elsewhere, Facts, Former, HostFacts, HostView, Installed, Old};
use super::lists::{self, List};
use super::seen::Seen;
use super::server::Server;
use crate::formats::marker::{CLUSTER_KEY, MEMBER_KEY, UUID_KEY};
use crate::wire::ids::ServerId;

/// The addresses at which each moved member was, by the lists on the hosts: empty where all say what the inventory
/// says. An address that nobody `remembers` beside a file or two is no former place where the member is proven to run
/// at the inventory's and more lists have it there: those files were changed by hand.
pub fn moved(
    desired: &Desired,
    facts: &Facts,
    remembers: impl Fn(ServerId, &str) -> bool,
) -> BTreeMap<ServerId, BTreeSet<String>> {
    let on_disk = facts.lists();
    let mut moved: BTreeMap<ServerId, BTreeSet<String>> = BTreeMap::new();
    for (id, place) in on_disk.values().flatten() {
        let Some(member) = desired.members.get(id) else { continue };
        let (home, there) = (&member.address, &place.host);
        if there.is_empty() || lists::same_address(there, home) {
            continue;
        }
        let lists: Vec<&List> = on_disk.values().chain(running_lists(desired, facts)).collect();
        let with = |address: &str| {
            let at =
                |list: &&&List| list.get(id).is_some_and(|place| lists::same_address(&place.host, address));
            lists.iter().filter(at).count()
        };
        if remembers(*id, there) || !runs_at_home(facts, member) || with(home) <= with(there) {
            moved.entry(*id).or_default().insert(there.clone());
        }
    }
    moved
}

/// The lists that the members at the inventory's places run with, where they say them.
fn running_lists<'a>(desired: &'a Desired, facts: &'a Facts) -> impl Iterator<Item = &'a List> {
    let at_home = |answer: &&super::facts::Answer| {
        let home = desired.members.get(&answer.member);
        answer.says == Some(answer.member)
            && home.is_some_and(|home| lists::same_address(&home.address, &answer.address))
    };
    facts.elsewhere.answers.iter().filter(at_home).filter_map(|answer| answer.list.as_ref())
}

/// Proven: the server at the inventory's address of this member is this member's.
fn runs_at_home(facts: &Facts, member: &DesiredMember) -> bool {
    let serves = facts.server(member.id).is_some();
    let says = facts.elsewhere.answers.iter().any(|answer| {
        answer.member == member.id
            && answer.says == Some(member.id)
            && lists::same_address(&answer.address, &member.address)
    });
    let host = facts.host(member.id);
    let by_config = host.is_some_and(|host| lists_itself(member, host) && (serves || host.unit.runs()));
    by_config || (says && serves)
}

/// The zoo.cfg there is this member's, and has it at the inventory's address.
pub(super) fn lists_itself(member: &DesiredMember, host: &HostFacts) -> bool {
    let Some(config) = host.installed_config.is() else { return false };
    let own = lists::setting(config, MEMBER_KEY).is_none_or(|id| id == member.id.to_string());
    let place = lists::read(config).remove(&member.id);
    own && place.is_some_and(|place| lists::same_address(&place.host, &member.address))
}

/// Whose place of today that is, other than `of`'s, in the same directories: stopping the server there stops that member.
pub(super) fn taken_by<'a>(
    desired: &'a Desired,
    of: &DesiredMember,
    address: &str,
) -> Option<&'a DesiredMember> {
    let there = |other: &&DesiredMember| {
        other.id != of.id
            && lists::same_address(&other.address, address)
            && other.dirs.install == of.dirs.install
    };
    desired.members.values().find(there)
}

/// Proven: the zoo.cfg that is installed there is this member's of this cluster.
pub(super) fn is_left(desired: &Desired, facts: &Facts, old: &Former, host: &HostFacts) -> bool {
    let Some(config) = host.installed_config.is() else { return false };
    let uuid = facts.uuid_of(&desired.cluster);
    lists::setting(config, CLUSTER_KEY).is_some_and(|name| name == desired.cluster)
        && lists::setting(config, MEMBER_KEY).is_some_and(|id| id == old.member.to_string())
        && lists::setting(config, UUID_KEY).is_none_or(|theirs| theirs == uuid)
}

impl HostFacts {
    /// Proven: its server is not to be started, at boot or, without systemd, by anybody. zkops disables none but that of a
    /// member that moves.
    fn is_disabled(&self) -> bool {
        // What somebody else forbade is told as that.
        let masked = self.unit.installed == Seen::Is(Installed::Masked);
        !masked && !self.unit.state.is_absent() && self.unit.enabled.is_absent()
    }
}

/// A server that was disabled with a database: its member moved, or was about to, and may run where nobody here looks.
pub(super) fn may_run_elsewhere(
    desired: &Desired,
    member: &DesiredMember,
    host: &HostFacts,
) -> Option<Refused> {
    let is_empty = host.data.is_and(|data| !data.has_database);
    if !host.is_disabled() || host.unit.runs() || is_empty {
        return None;
    }
    let (name, address, unit) = (&member.name, &member.address, &member.unit.name);
    let enable = match host.systemd {
        true => format!("systemctl enable {unit} on {address}"),
        false => format!("set \"disabled\" to false in {}/daemon.json on {address}", member.var_dir()),
    };
    Some(Refused {
        what: format!(
            "{name} does not run at {address} and was disabled there: it may run where it moved to"
        ),
        evidence: vec![format!("service {unit} is disabled; zkops disables no server but one that moves")],
        next: vec![format!(
            "deploy the inventory that has {name} where it moved to; if it runs nowhere: {enable}, then zkops deploy {}",
            desired.inventory
        )],
    })
}

impl Elsewhere {
    /// The old places of `id`.
    pub(crate) fn former_of(&self, id: ServerId) -> impl Iterator<Item = &Former> {
        self.former.iter().filter(move |old| old.member == id)
    }

    /// What a person says of hosts that cannot be reached.
    pub fn says_gone(&mut self, said: bool) {
        self.former.iter_mut().for_each(|old| old.said_gone = said);
    }

    /// For a look that begins now: who answers is asked again.
    #[must_use]
    pub fn renewed(&self) -> Elsewhere {
        let unasked = |old: &Former| Former { server: Server::default(), ..old.clone() };
        let former = self.former.iter().map(unasked).collect();
        Elsewhere { former, answers: Vec::new(), remembered: self.remembered.clone() }
    }
}

impl Former {
    /// A place of `member` that nobody has looked at.
    pub fn at(member: ServerId, address: impl Into<String>) -> Former {
        let view = Old::Host(HostView::Unasked);
        Former {
            member,
            address: address.into(),
            ips: Vec::new(),
            listed: false,
            said_gone: false,
            view,
            server: Server::default(),
        }
    }

    /// Another machine than the one the inventory has.
    pub fn elsewhere(&self) -> bool {
        self.view != Old::SameMachine
    }

    /// Proven: this host lets nothing through from there or to there.
    pub(crate) fn is_fenced_by(&self, host: &HostFacts) -> bool {
        !self.ips.is_empty() && self.ips.iter().all(|ip| host.fences.is_and(|fences| fences.contains(ip)))
    }

    /// Proven: its server does not run and is not started at boot.
    pub(crate) fn is_retired(&self) -> bool {
        match &self.view {
            Old::SameMachine | Old::Host(HostView::Unasked | HostView::Unreachable(_)) => false,
            Old::Host(HostView::Seen(host)) => host.no_process().is_some() && host.unit.enabled.is_absent(),
        }
    }

    /// Proven: this host blocks some of it.
    pub(crate) fn blocked_by(&self, host: &HostFacts) -> bool {
        self.ips.iter().any(|ip| host.fences.is_and(|fences| fences.contains(ip)))
    }
}
