//! Why one member does not take part, from the evidence on its own host and on the others'. Every cause is proven from
//! what was seen; what was not seen is never one.
//!
//! - `data`: whose it is, whether it is whole; `machine`: disk, clock, zoo.cfg
//! - `ports`: other processes, firewalls; `process`: how the service is

mod data;
mod machine;
mod ports;
mod process;

use super::cures::{Cause, Cure};
use super::desired::{Desired, DesiredMember};
use super::ensemble;
use super::facts::{Facts, HostFacts, HostView, NoWayIn};
use super::outdated;
use super::seen::Unseen;
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    pub member: ServerId,
    pub cause: Cause,
    /// One sentence for the table.
    pub what: String,
    /// What shows it: log lines, rules, file contents.
    pub evidence: Vec<String>,
    /// The one thing to do now. Only the cause that decides has one: two pieces of advice contradict each other.
    pub next: Vec<String>,
}

impl Diagnosis {
    fn new(member: &DesiredMember, cause: Cause, what: String) -> Diagnosis {
        Diagnosis { member: member.id, cause, what, evidence: Vec::new(), next: Vec::new() }
    }

    fn shown(self, evidence: Vec<String>) -> Diagnosis {
        Diagnosis { evidence, ..self }
    }

    fn then(self, next: Vec<String>) -> Diagnosis {
        Diagnosis { next, ..self }
    }
}

/// Why `id` is not in sync. Never empty for such a member; a member in sync has no diagnosis but
/// what its host shows to be wrong already.
pub fn diagnose(desired: &Desired, facts: &Facts, id: ServerId) -> Vec<Diagnosis> {
    let Some(member) = desired.members.get(&id) else { return Vec::new() };
    let host = match &facts.member(id).host {
        HostView::Seen(host) => host,
        unseen @ (HostView::Unreachable(_) | HostView::Unasked) => {
            return vec![unseen_host(desired, facts, member, unseen)];
        }
    };
    let mut found = shown_by(desired, facts, member, host);
    if !ensemble::in_sync(desired, facts).contains(&id) {
        found.extend(ports::others(desired, facts, member));
        let alone = !found.iter().any(explains);
        found.extend(process::cause(desired, facts, member, host, alone));
    }
    found.sort_by_key(|diagnosis| diagnosis.cause);
    one_advice(&mut found);
    found
}

/// What its own host shows, whatever the others do.
fn shown_by(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Diagnosis> {
    let mut found = unread(member, host);
    found.extend(outdated::half_moved(desired, facts, member).map(|moves| {
        Diagnosis::new(member, Cause::HalfMoved, moves.what).shown(moves.evidence).then(moves.next)
    }));
    found.extend(process::masked(member, host));
    found.extend(data::causes(desired, facts, member, host));
    found.extend(machine::causes(desired, facts, member, host));
    found.extend(ports::own(desired, facts, member, host));
    found
}

/// It keeps a member from taking part.
fn explains(cause: &Diagnosis) -> bool {
    cause.cause.cure() != Cure::Said || cause.cause == Cause::PathBlocked
}

/// The cause that decides what repair does, if any keeps the member from taking part.
pub(super) fn decisive(causes: &[Diagnosis]) -> Option<&Diagnosis> {
    let hardest = causes.iter().map(|cause| cause.cause.cure()).max()?;
    causes.iter().find(|cause| cause.cause.cure() == hardest)
}

/// The one thing to do about these causes.
pub fn advice(causes: &[Diagnosis]) -> Option<String> {
    causes.iter().find_map(|cause| cause.next.first().cloned())
}

/// What decides about a member, as a line among those of others.
pub(super) fn said(desired: &Desired, facts: &Facts, id: ServerId) -> Option<String> {
    let (causes, name) = (diagnose(desired, facts, id), desired.name(id));
    let what = &decisive(&causes)?.what;
    Some(if what.contains(&name) { what.clone() } else { format!("{name}: {what}") })
}

/// What to type so that these members take part again: one line for each, and one for all where that is enough.
pub(super) fn way_back(desired: &Desired, facts: &Facts, ids: &[ServerId]) -> Vec<String> {
    let mut next = Vec::new();
    for id in ids {
        let causes = diagnose(desired, facts, *id);
        // Who waits for a quorum waits for the others.
        let waits = |cause: &&Diagnosis| cause.cause != Cause::NoQuorum;
        next.extend(decisive(&causes).filter(waits).map(|cause| cause.next.clone()).unwrap_or_default());
    }
    next.dedup();
    let starts = next.iter().all(|line| line.starts_with(START));
    if next.len() > 1 && starts { vec![START.trim_end().to_owned()] } else { next }
}

/// A word of a command as one would type it.
pub(crate) fn typed(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Parts of a host that a verdict about a member needs, and that could not be looked at; whatever was not asked for is
/// not among them.
fn unread(member: &DesiredMember, host: &HostFacts) -> Vec<Diagnosis> {
    unlooked(member, host)
        .into_iter()
        .filter(|(_, unseen)| **unseen != Unseen::nobody_asked())
        .map(|(what, unseen)| {
            let next = format!("let the ssh user of {} look at that, then ask again", member.name);
            let what = format!("{what} could not be looked at");
            Diagnosis::new(member, Cause::Unreadable, what).shown(vec![unseen.to_string()]).then(vec![next])
        })
        .collect()
}

/// The same, with what nobody asked for.
pub(super) fn unlooked<'a>(member: &DesiredMember, host: &'a HostFacts) -> Vec<(String, &'a Unseen)> {
    let parts = [
        (format!("the data in {}", member.dirs.data), host.data.why_unseen()),
        (member.config_path.clone(), host.installed_config.why_unseen()),
        (format!("the service of {}", member.name), host.unit.state.why_unseen()),
    ];
    parts.into_iter().filter_map(|(what, unseen)| Some((what, unseen?))).collect()
}

fn one_advice(found: &mut [Diagnosis]) {
    let Some(keeps) = decisive(found).map(|cause| cause.cause) else { return };
    let mut given = false;
    for diagnosis in found {
        if diagnosis.cause == keeps && !given {
            given = true;
        } else {
            diagnosis.next.clear();
        }
    }
}

fn unseen_host(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostView) -> Diagnosis {
    let name = &member.name;
    let words = silent_words(facts, member.id);
    let HostView::Unreachable(why) = host else {
        let what = format!("{name} does not serve, and its host was not asked");
        return Diagnosis::new(member, Cause::HostUnreachable, what).shown(words);
    };
    let deploy = format!("zkops deploy {}", desired.inventory);
    let (cause, what, next) = match why.kind {
        NoWayIn::NotInstalled => (Cause::NotInstalled, format!("zkops is not installed on {name}"), deploy),
        NoWayIn::Binary => (Cause::BinaryUnfit, format!("zkops does not run on the host of {name}"), deploy),
        NoWayIn::LeftOut => {
            (Cause::HostUnreachable, format!("{name} is left out by request"), "zkops status".to_owned())
        }
        NoWayIn::HostKey => (
            Cause::HostUnreachable,
            format!("the host of {name} answers with a host key that nobody has accepted"),
            "compare the host key, then: zkops status --accept-new-host-keys".to_owned(),
        ),
        NoWayIn::Connection => (
            Cause::HostUnreachable,
            format!("the host of {name} cannot be reached"),
            format!("reach {} first: power, network, sshd, key", member.address),
        ),
    };
    let evidence = [why.text.clone()].into_iter().chain(words).collect();
    Diagnosis::new(member, cause, what).shown(evidence).then(vec![next])
}

fn silent_words(facts: &Facts, id: ServerId) -> Vec<String> {
    let server = &facts.member(id).server;
    match server.not_serving() {
        Some(words) => vec![format!("client port says: {}", words.trim())],
        None => server.blindness().into_iter().map(|why| format!("client port, {why}")).collect(),
    }
}

const START: &str = "zkops start ";
