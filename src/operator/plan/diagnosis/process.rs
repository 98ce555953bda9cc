//! What the service and the process of a member that does not take part show.

use super::{Diagnosis, silent_words};
use crate::operator::plan::cures::Cause;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{Facts, HostFacts, UnitState};
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{BlindCause, ServerView, Sight};
use crate::operator::plan::{ensemble, install};
use crate::wire::ids::ServerId;

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
    let ended = |cause, what: String| Diagnosis::new(member, cause, what).shown(log.clone());
    let start = vec![format!("zkops start {name}")];
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
    // A host that was not seen may well run one.
    let looked = desired.voters().all(|voter| running.contains(&voter.id) || facts.host(voter.id).is_some());
    let run = if looked { "run" } else { "are seen to run" };
    let what = format!("{name} waits for a quorum: {up} of {all} voters {run}, {needed} are needed");
    if up >= needed {
        evidence.extend(log);
    }
    // When enough run, the reasons of the others say what to do.
    let next = if up < needed { vec!["zkops start".to_owned()] } else { Vec::new() };
    Diagnosis::new(member, Cause::NoQuorum, what).shown(evidence).then(next)
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
