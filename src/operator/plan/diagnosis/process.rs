//! What the service and the process of a member that does not take part show.

use super::{Diagnosis, explains, shown_by, silent_words};
use crate::operator::plan::cures::Cause;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{Facts, HostFacts, Installed, UnitState};
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{BlindCause, ServerView, Sight};
use crate::operator::plan::{account, doubles, ensemble, former, install};
use crate::wire::ids::ServerId;

/// Nothing starts it, whatever its server does now.
pub(super) fn masked(member: &DesiredMember, host: &HostFacts) -> Option<Diagnosis> {
    let (name, unit) = (&member.name, &member.unit.name);
    let is_masked = host.unit.installed == Seen::Is(Installed::Masked);
    is_masked.then(|| {
        let what = format!("service {unit} on {name} is masked: nothing can start it");
        let next = format!("systemctl unmask {unit} on {}, then: zkops repair {name}", member.address);
        Diagnosis::new(member, Cause::UnitMasked, what).then(vec![next])
    })
}

/// `alone`: nothing else explains the member's state.
pub(super) fn cause(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
    alone: bool,
) -> Option<Diagnosis> {
    let name = &member.name;
    let log: Vec<String> = host.unit.log.iter().rev().take(LOG_LINES).rev().cloned().collect();
    let hand_edited = other_settings(member, host);
    let mut shown = log.clone();
    shown.extend(hand_edited.clone());
    // Started with what somebody wrote there, it would not be the server that the inventory describes; with files that
    // are somebody else's it would end at once.
    let given = if host.layout.is_older() { Vec::new() } else { account::to_give(member, host) };
    shown.extend(given.iter().map(|dir| format!("{dir} is not, or not wholly, its server's own")));
    let ended = |cause, what: String| Diagnosis::new(member, cause, what).shown(shown.clone());
    let verb = if hand_edited.is_some() || !given.is_empty() { "repair" } else { "start" };
    let start = match (
        former::may_run_elsewhere(desired, member, host),
        doubles::counted_elsewhere(desired, facts, member.id),
    ) {
        (Some(refused), _) => refused.next,
        (None, Some(double)) => vec![double.next],
        (None, None) => vec![format!("zkops {verb} {name}")],
    };
    match &host.unit.state {
        Seen::Absent => {
            let next = vec![format!("zkops repair {name}")];
            Some(
                Diagnosis::new(member, Cause::UnitMissing, format!("{name} has no zkops service")).then(next),
            )
        }
        Seen::Is(UnitState::Stopped) => {
            Some(ended(Cause::ProcessDead, format!("{name} was stopped")).then(start))
        }
        Seen::Is(UnitState::Failed { how, .. }) => {
            let what = format!("the server of {name} ended: {how}");
            Some(match how.contains(LIMIT) {
                true => ended(Cause::StartLimit, what).then(start),
                // Of starts of its own, systemd shows the end that came before and tells the limit in its log alone.
                false if gave_up(&host.unit.log) => {
                    ended(Cause::StartLimit, format!("{what}, {LIMIT} hit")).then(start)
                }
                false => ended(Cause::ProcessDead, what).then(start),
            })
        }
        Seen::Unseen(why) if alone => {
            let what = format!("whether {name} runs could not be seen: {why}");
            Some(Diagnosis::new(member, Cause::NotSeen, what))
        }
        Seen::Unseen(_) => None,
        Seen::Is(UnitState::Running(_)) if !alone => None,
        Seen::Is(UnitState::Running(_)) => Some(runs(desired, facts, member, host, log)),
    }
}

/// What the installed zoo.cfg has otherwise than the inventory, of what decides where a server is and what it holds.
fn other_settings(member: &DesiredMember, host: &HostFacts) -> Option<String> {
    // An older layout has its zoo.cfg elsewhere: deploy takes it over.
    let found = host.installed_config.is().filter(|_| !host.layout.is_older())?;
    let own = format!("server.{}", member.id);
    let value = |config: &str, key: &str| {
        let of = |line: &str| {
            line.trim().strip_prefix(key)?.trim_start().strip_prefix('=').map(str::trim).map(str::to_owned)
        };
        config.lines().filter_map(of).next_back()
    };
    ["dataDir", "dataLogDir", "clientPort", &own].into_iter().find_map(|key| {
        let (found, wanted) = (value(found, key), value(&member.config, key));
        let word = |value: Option<String>| {
            value.map_or_else(|| format!("no {key}"), |value| format!("{key}={value}"))
        };
        (found != wanted)
            .then(|| format!("{} has {}, the inventory {}", member.config_path, word(found), word(wanted)))
    })
}

/// Nothing was started since a start was refused.
fn gave_up(log: &[String]) -> bool {
    let last = log.iter().rev().find(|line| line.contains(TOO_QUICKLY) || line.contains(STARTED));
    last.is_some_and(|line| line.contains(TOO_QUICKLY))
}

fn runs(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
    log: Vec<String>,
) -> Diagnosis {
    let name = &member.name;
    let repair = vec![format!("zkops repair {name}")];
    if let Sight::Unseen(why) = facts.sight(member.id)
        && !is_mute(facts, member.id)
    {
        let what = format!("{name} runs; whether it serves could not be seen");
        return Diagnosis::new(member, Cause::NotSeen, what).shown(vec![why]);
    }
    if let Some(why) = install::stale(desired, facts, member, host) {
        let what = format!("{name} runs with other settings than the inventory's");
        let evidence = vec![format!("{why}: {}", member.config_path)];
        return Diagnosis::new(member, Cause::ConfigDiffers, what).shown(evidence).then(repair);
    }
    let mut evidence = silent_words(facts, member.id);
    if ensemble::serves(desired, facts) {
        evidence.extend(log);
        let what = format!("{name} runs but is not in sync");
        return Diagnosis::new(member, Cause::Stuck, what).shown(evidence).then(repair);
    }
    let running = ensemble::running(desired, facts);
    let up = desired.voters().filter(|voter| running.contains(&voter.id)).count();
    let (all, needed) = (desired.voters().count(), desired.majority());
    if up >= needed && is_frozen(facts, member.id) {
        let what = format!("{name} runs, but its server answers nobody, not even on its own host");
        return Diagnosis::new(member, Cause::Stuck, what).shown(log).then(repair);
    }
    // A host that was not seen may well run one.
    let looked = desired.voters().all(|voter| running.contains(&voter.id) || facts.host(voter.id).is_some());
    let run = if looked { "run" } else { "are seen to run" };
    let waits = format!("{name} waits for a quorum: {up} of {all} voters {run}");
    if up < needed {
        let what = format!("{waits}, {needed} are needed");
        let next = vec!["zkops start".to_owned()];
        return Diagnosis::new(member, Cause::NoQuorum, what).shown(evidence).then(next);
    }
    let (said, next) = kept_out(desired, facts, member).unzip();
    let evidence = said.into_iter().chain(evidence).chain(log).collect();
    let what = format!("{waits}, but no quorum answers");
    Diagnosis::new(member, Cause::NoQuorum, what).shown(evidence).then(next.into_iter().collect())
}

/// Another voter that does not do its part, though enough of them run: what is said of it, and the one thing to do.
fn kept_out(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Option<(String, String)> {
    let others: Vec<(&DesiredMember, &HostFacts, Vec<Diagnosis>)> = desired
        .voters()
        .filter(|other| other.id != member.id)
        .filter_map(|other| {
            let host = facts.host(other.id)?;
            let mut found = shown_by(desired, facts, other, host);
            found.retain(explains);
            found.sort_by_key(|found| found.cause);
            Some((other, host, found))
        })
        .collect();
    let frozen = others
        .iter()
        .find(|(other, host, found)| found.is_empty() && host.unit.runs() && is_frozen(facts, other.id));
    if let Some((DesiredMember { name, .. }, ..)) = frozen {
        let said = format!("{name} runs, but its server answers nobody, not even on its own host");
        return Some((said, format!("zkops repair {name}")));
    }
    // Whoever only has to be started makes a quorum that damaged data can be taken from.
    let down = others.iter().find(|(_, host, found)| found.is_empty() && host.no_process().is_some());
    if let Some((other, host, _)) = down {
        let said = format!("{} does not run: {}", other.name, host.no_process().unwrap_or_default());
        if let Some(away) = former::may_run_elsewhere(desired, other, host) {
            return Some((said, away.next.into_iter().next()?));
        }
        let verb = if other_settings(other, host).is_some() { "repair" } else { "start" };
        return Some((said, format!("zkops {verb} {}", other.name)));
    }
    others.iter().flat_map(|(other, _, found)| found.iter().map(move |found| (other, found))).find_map(
        |(other, found)| Some((format!("{}: {}", other.name, found.what), found.next.first()?.clone())),
    )
}

/// It runs, and its own host waits in vain for a word of it.
fn is_frozen(facts: &Facts, id: ServerId) -> bool {
    matches!(&facts.member(id).server.on_host, ServerView::Blind(blind) if blind.cause == BlindCause::Timeout)
}

/// Not even its own host gets a word out of it.
fn is_mute(facts: &Facts, id: ServerId) -> bool {
    match &facts.member(id).server.on_host {
        ServerView::Blind(blind) => matches!(blind.cause, BlindCause::Timeout | BlindCause::Refused),
        ServerView::Unasked | ServerView::NotServing { .. } | ServerView::Serving(_) => false,
    }
}

/// What a manager says of a server that it starts no more.
const LIMIT: &str = "start limit";
/// The same in systemd's log, and what stands there behind every start.
const TOO_QUICKLY: &str = "Start request repeated too quickly";
const STARTED: &str = "]: Started ";
/// The end of a log beside everything else that a status shows; a failed run shows more.
const LOG_LINES: usize = 10;
