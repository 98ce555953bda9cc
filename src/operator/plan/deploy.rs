//! Deploy: from whatever the hosts are now to the ensemble the inventory asks for.
//!
//! In order: open the ports and prove the way with real listeners; write the files; start what
//! does not run, all together; replace what runs with older settings one by one, the leader last,
//! each only while the rest is proven to serve; wait until ready (law 4).

use std::collections::BTreeSet;

use super::desired::{Desired, DesiredMember, membership};
use super::facts::{Facts, HostFacts, HostView, NoWayIn, Unreachable};
use super::install::{self, Data, step};
use super::preflight::{self, Level};
use super::step::{Action, Condition, Gate, Plan, Risk, Service, Shut, Step, Wave};
use super::{Refused, Stop, ensemble};
use crate::wire::ids::ServerId;

pub fn plan(desired: &Desired, facts: &Facts) -> Result<Plan, Stop> {
    reachable(desired, facts)?;
    let findings = preflight::check(desired, facts);
    if preflight::worst(&findings) == Level::Fail {
        return Err(Stop::Preflight(findings));
    }
    same_membership(desired, facts)?;
    enough_memory(desired, facts)?;

    let mut plan = Plan { title: format!("deploy {}", desired.cluster), ..Plan::default() };
    let hosts: Vec<(&DesiredMember, &HostFacts)> =
        desired.members.values().filter_map(|member| Some((member, facts.host(member.id)?))).collect();
    let stopped: BTreeSet<ServerId> =
        hosts.iter().filter(|(_, host)| !host.unit.state.running()).map(|(member, _)| member.id).collect();

    plan.push(open_wave(desired, &hosts, &stopped));
    plan.push(install_wave(desired, facts, &hosts));
    plan.push(start_wave(desired, facts, &hosts, &stopped));
    for wave in replace_waves(desired, facts, &hosts, &stopped) {
        plan.push(wave);
    }
    if plan.waves.iter().any(|wave| wave.steps.iter().any(touches_server)) || !ready(desired, facts) {
        plan.push(Wave {
            title: "wait until ready".to_owned(),
            steps: Vec::new(),
            gates: vec![gate(Condition::Ready)],
            ..Wave::default()
        });
    }
    for finding in findings.iter().filter(|finding| finding.level == Level::Warn) {
        plan.warnings.push(preflight::warning(desired, finding));
    }
    Ok(plan)
}

/// A gate with the deadline that fits its condition.
pub fn gate(condition: Condition) -> Gate {
    let deadline_ms = match &condition {
        Condition::Reachable { .. } => 15_000,
        Condition::Alive { .. } | Condition::Idle => 5_000,
        // Apache's own initLimit default in the sample file is 10 ticks of 2 s, after an
        // election of a few seconds; a large snapshot may take the rest.
        Condition::Quorum { .. } | Condition::Synced { .. } | Condition::Ready | Condition::Down { .. } => {
            60_000
        }
    };
    Gate { condition, deadline_ms }
}

/// True when law 4 holds in the facts: everyone in sync, a canary committed through each.
pub fn ready(desired: &Desired, facts: &Facts) -> bool {
    !desired.members.is_empty() && ensemble::in_sync(desired, facts).len() == desired.members.len()
}

fn reachable(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let (mut away, mut unasked) = (Vec::new(), Vec::new());
    for member in desired.members.values() {
        match &facts.member(member.id).host {
            HostView::Unreachable(why) if why.kind == NoWayIn::Connection => {
                away.push(Refused { what: why.text.clone(), ..Refused::default() });
            }
            HostView::Unasked | HostView::Unreachable(Unreachable { kind: NoWayIn::NotInstalled, .. }) => {
                let what = format!("{}: nobody looked at its host", member.name);
                unasked.push(Refused { what, ..Refused::default() });
            }
            HostView::Unreachable(_) | HostView::Seen(_) => {}
        }
    }
    // Hosts that nobody looked at, because others could not be reached, are not to blame.
    let blamed = if away.is_empty() { unasked } else { away };
    if blamed.is_empty() { Ok(()) } else { Err(Stop::Unreachable(blamed)) }
}

/// Rewriting the server list of a living ensemble can elect a leader that cannot commit
/// (apache/zookeeper#1370); that needs reconfiguration, not deployment.
fn same_membership(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    if !ensemble::has_history(desired, facts) {
        return Ok(());
    }
    for member in desired.members.values() {
        let Some(installed) = facts.host(member.id).and_then(|host| host.installed_config.as_deref()) else {
            continue;
        };
        let (now, wanted) = (membership(installed, member.id), membership(&member.config, member.id));
        if now == wanted {
            continue;
        }
        let text = |members: &std::collections::BTreeMap<i64, bool>| {
            let ids: Vec<String> = members
                .iter()
                .map(|(id, voter)| format!("{id}{}", if *voter { "" } else { " (observer)" }))
                .collect();
            ids.join(", ")
        };
        return Err(Stop::Refused(Refused {
            what: "the inventory changes the members of an ensemble that already holds data".to_owned(),
            evidence: vec![format!(
                "{} runs with servers {}; the inventory lists {}",
                member.name,
                text(&now),
                text(&wanted)
            )],
            next: vec![
                "put the members back as they were; changing them safely is not part of deploy".to_owned(),
            ],
        }));
    }
    Ok(())
}

/// Voters that lost their databases cannot vote until they have synced. If they are the
/// majority, nobody can tell any more what was acknowledged.
fn enough_memory(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let remember: Vec<ServerId> = desired
        .voters()
        .map(|voter| voter.id)
        .filter(|id| ensemble::member_has_history(facts, *id))
        .collect();
    if remember.is_empty() || remember.len() >= desired.majority() {
        return Ok(());
    }
    let forgot: Vec<ServerId> =
        desired.voters().map(|voter| voter.id).filter(|id| !remember.contains(id)).collect();
    Err(Stop::Refused(Refused {
        what: format!(
            "only {} of {} voters still hold a database; what the others had acknowledged may exist nowhere else",
            remember.len(),
            desired.voters().count()
        ),
        evidence: vec![
            format!("with a database: {}", desired.names(&remember)),
            format!("empty: {}", desired.names(&forgot)),
        ],
        next: vec![format!(
            "put the data of {} back (zkops.old-* in their data directories is what repair moved aside)",
            desired.names(&forgot)
        )],
    }))
}

fn open_wave(
    desired: &Desired,
    hosts: &[(&DesiredMember, &HostFacts)],
    stopped: &BTreeSet<ServerId>,
) -> Wave {
    let steps: Vec<Step> =
        hosts.iter().filter_map(|(member, host)| install::open_ports(member, host)).collect();
    let prove = !steps.is_empty() || !stopped.is_empty();
    let members = desired.members.keys().copied().collect();
    let gates = if prove { vec![gate(Condition::Reachable { members })] } else { Vec::new() };
    let title = if steps.is_empty() { "prove that everyone reaches everyone" } else { "open the ports" };
    Wave { title: title.to_owned(), steps, gates, shut: Shut::Preflight, ..Wave::default() }
}

fn install_wave(desired: &Desired, facts: &Facts, hosts: &[(&DesiredMember, &HostFacts)]) -> Wave {
    let first_start = !ensemble::has_history(desired, facts);
    let steps = hosts
        .iter()
        .flat_map(|(member, _)| install::steps(desired, facts, member, Data::AsSeen, first_start))
        .collect();
    Wave { title: "install".to_owned(), steps, gates: Vec::new(), ..Wave::default() }
}

/// Starting takes nobody down, so all that do not run start together.
fn start_wave(
    desired: &Desired,
    facts: &Facts,
    hosts: &[(&DesiredMember, &HostFacts)],
    stopped: &BTreeSet<ServerId>,
) -> Wave {
    let steps: Vec<Step> = hosts
        .iter()
        .filter(|(member, _)| stopped.contains(&member.id))
        .map(|(member, _)| {
            step(member, Action::Service(Service::Started), "not running")
                .undo(format!("zkops stop {}", member.name))
        })
        .collect();
    // Without anything older still running, the ready gate at the end says it all.
    let older = hosts.iter().any(|(member, host)| install::stale(desired, facts, member, host).is_some());
    let gates = if older && !steps.is_empty() {
        vec![gate(Condition::Quorum { min: desired.majority(), without: None })]
    } else {
        Vec::new()
    };
    Wave { title: "start".to_owned(), steps, gates, ..Wave::default() }
}

/// One member a wave while the rest is proven to serve. An ensemble that does not serve has
/// nothing to protect: its stale processes are replaced together.
fn replace_waves(
    desired: &Desired,
    facts: &Facts,
    hosts: &[(&DesiredMember, &HostFacts)],
    stopped: &BTreeSet<ServerId>,
) -> Vec<Wave> {
    let stale: BTreeSet<ServerId> = hosts
        .iter()
        .filter(|(member, host)| install::stale(desired, facts, member, host).is_some())
        .map(|(member, _)| member.id)
        .collect();
    let restart = |id: &ServerId| {
        let (member, host) = hosts.iter().find(|(member, _)| member.id == *id)?;
        let why = install::stale(desired, facts, member, host)?;
        let risk = if member.voter { Risk::Voter } else { Risk::Clients };
        Some(step(member, Action::Service(Service::Restarted), why).risk(risk))
    };
    if !ensemble::serves(desired, facts) && stopped.is_empty() {
        let steps: Vec<Step> = stale.iter().filter_map(restart).collect();
        let proof = if steps.is_empty() { Wave::default() } else { idle() };
        return vec![
            proof,
            Wave { title: "restart: nothing serves yet".to_owned(), steps, ..Wave::default() },
        ];
    }
    roll(desired, &ensemble::rolling_order(desired, facts, &stale), restart)
}

/// Goes before a restart of all at once in an ensemble that did not serve when it was looked at: a
/// port that was just opened, or an election that just ended, can have brought a quorum together.
pub fn idle() -> Wave {
    Wave {
        title: "prove that nothing is served yet".to_owned(),
        gates: vec![gate(Condition::Idle)],
        ..Wave::default()
    }
}

/// One member a wave: before it, the others are proven to hold a quorum without it; after it,
/// it is in sync again.
pub fn roll(desired: &Desired, order: &[ServerId], step_of: impl Fn(&ServerId) -> Option<Step>) -> Vec<Wave> {
    let mut waves = Vec::new();
    for id in order {
        let Some(step) = step_of(id) else { continue };
        let name = desired.name(*id);
        // One or two voters cannot spare any: the interruption is short, shown as a risk, and
        // there is no way around it.
        let sparing = !desired.members[id].voter || desired.voters().count() > desired.majority();
        if sparing {
            let without = Some(*id);
            waves.push(Wave {
                title: format!("prove that the others serve without {name}"),
                steps: Vec::new(),
                gates: vec![gate(Condition::Quorum { min: desired.majority(), without })],
                ..Wave::default()
            });
        }
        waves.push(Wave {
            title: format!("replace the server of {name}"),
            steps: vec![if sparing { step } else { step.risk(Risk::Service) }],
            gates: vec![gate(Condition::Synced { member: *id })],
            ..Wave::default()
        });
    }
    waves
}

fn touches_server(step: &Step) -> bool {
    matches!(step.action, Action::Service(Service::Started | Service::Restarted))
}
