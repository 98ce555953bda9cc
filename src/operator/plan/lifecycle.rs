//! Start, stop and restart of servers that are already installed. Never more than one voter down
//! by our hand while the ensemble serves; a fully stopped ensemble starts together (law 6).

use std::collections::BTreeSet;

use super::cures::Cause;
use super::desired::{Desired, membership};
use super::diagnosis::{self, Diagnosis};
use super::facts::{Facts, HostFacts, HostView, NoWayIn, UnitState};
use super::install::{step, targets};
use super::lists::{self, List};
use super::seen::Seen;
use super::step::{Action, Condition, Gate, Plan, Risk, Service, Wave};
use super::{Refused, Stop, deploy, doubles, ensemble, fit, former};
use crate::wire::ids::ServerId;

pub fn start(desired: &Desired, facts: &Facts, named: &[ServerId]) -> Result<Plan, Stop> {
    let ids = targets(desired, named);
    let hosts = installed(desired, facts, &ids, named.is_empty())?;
    let mut plan = Plan { title: title("start", desired, named), ..Plan::default() };
    let down: Vec<ServerId> = hosts.iter().filter(|(_, host)| !host.unit.runs()).map(|(id, _)| *id).collect();
    // One that its manager starts again and again may run at this moment: what is wrong with it is the same.
    let in_sync = ensemble::in_sync(desired, facts);
    for (id, _) in hosts.iter().filter(|(id, _)| !in_sync.contains(id)) {
        fit::to_start(desired, facts, *id)?;
    }
    for id in &down {
        startable(desired, facts, *id)?;
    }
    unread(desired, facts, &down, &mut plan);
    let steps = down
        .iter()
        .map(|id| step(&desired.members[id], Action::Service(Service::Started), "not running"))
        .collect::<Vec<_>>();
    let mut after = ensemble::running(desired, facts);
    after.extend(&down);
    let voters_after = after.iter().filter(|id| desired.members[*id].voter).count();
    let condition = |id: &ServerId| match voters_after >= desired.majority() {
        true => Condition::Synced { member: *id },
        false => Condition::Alive { member: *id },
    };
    // A process that runs may be about to fail again: a member is started when it takes part, where it can.
    let lags = |id: &ServerId| voters_after >= desired.majority() && !in_sync.contains(id);
    let awaited: Vec<ServerId> =
        hosts.iter().map(|(id, _)| *id).filter(|id| down.contains(id) || lags(id)).collect();
    let gates = if after.len() == desired.members.len() && !awaited.is_empty() {
        vec![Gate::of(Condition::Ready)]
    } else {
        awaited.iter().map(|id| Gate::of(condition(id))).collect()
    };
    if !down.is_empty() || !named.is_empty() {
        plan.warnings.extend(too_few(desired, voters_after));
    }
    skipped(facts, &ids, &mut plan);
    let title = if steps.is_empty() { "wait until ready" } else { "start" };
    plan.push(Wave { title: title.to_owned(), steps, gates, ..Wave::default() });
    Ok(plan)
}

pub fn stop(desired: &Desired, facts: &Facts, named: &[ServerId]) -> Result<Plan, Stop> {
    let ids = targets(desired, named);
    let hosts = installed(desired, facts, &ids, named.is_empty())?;
    let mut plan = Plan { title: title("stop", desired, named), ..Plan::default() };
    let up: BTreeSet<ServerId> =
        hosts.iter().filter(|(_, host)| alive(&host.unit.state)).map(|(id, _)| *id).collect();
    // All of it is the one thing that needs no proof: an ensemble that is to stop need not serve.
    if !named.is_empty() {
        // Whoever is in sync behind the leader of today may be nobody whom the others would elect tomorrow.
        if up.iter().any(|id| desired.members[id].voter) {
            listed_alike(desired, facts)?;
        }
        ensemble::can_spare_all(desired, facts, &up)?;
    }
    let risk = |id: &ServerId| match (named.is_empty(), desired.members[id].voter) {
        (true, _) => Risk::Service,
        (false, true) => Risk::Voter,
        (false, false) => Risk::Clients,
    };
    let stop = |id: &ServerId| {
        let member = &desired.members[id];
        step(member, Action::Service(Service::Stopped), "asked for")
            .risk(risk(id))
            .undo(format!("zkops start {}", member.name))
    };
    let down = |id: &ServerId| Gate::of(Condition::Down { member: *id });
    // The leader goes last: whoever stops before it need not elect another one.
    let order = ensemble::rolling_order(desired, facts, &up);
    let leader = ensemble::leader(desired, facts);
    let (last, first): (Vec<ServerId>, Vec<ServerId>) = order.into_iter().partition(|id| Some(*id) == leader);
    let groups: Vec<Vec<ServerId>> = match named.is_empty() {
        true => vec![first, last],
        // Never more than one at a time while the rest goes on serving.
        false => first.into_iter().chain(last).map(|id| vec![id]).collect(),
    };
    let mut gone = 0;
    for group in groups {
        if gone > 0 && !named.is_empty() {
            plan.push(deploy::prove_without(desired, group.first().copied()));
        }
        plan.push(Wave {
            title: format!("stop {}", desired.names(&group)),
            steps: group.iter().map(stop).collect(),
            gates: group.iter().map(down).collect(),
            ..Wave::default()
        });
        gone += group.len();
    }
    // Where the leader went the others elect another one: it is done when they serve.
    if !named.is_empty() && leader.is_some_and(|leader| up.contains(&leader)) {
        plan.push(deploy::prove_without(desired, leader));
    }
    skipped(facts, &ids, &mut plan);
    Ok(plan)
}

/// Every named server in a new process. Servers that already are new cannot be told apart from
/// others, so this is the one goal whose plan is not empty afterwards.
pub fn restart(desired: &Desired, facts: &Facts, named: &[ServerId]) -> Result<Plan, Stop> {
    let ids = targets(desired, named);
    let hosts = installed(desired, facts, &ids, false)?;
    let mut plan = Plan { title: title("restart", desired, named), ..Plan::default() };
    for (id, _) in &hosts {
        fit::to_start(desired, facts, *id)?;
    }
    listed_alike(desired, facts)?;
    let service = ensemble::service(desired, facts);
    let serving = service == ensemble::Service::Proven;
    let (up, down): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|(_, host)| host.unit.runs());
    let up: BTreeSet<ServerId> = up.into_iter().map(|(id, _)| id).collect();
    for (id, _) in &down {
        startable(desired, facts, *id)?;
    }
    if matches!(service, ensemble::Service::Unknown(_)) && !up.is_empty() {
        return Err(ensemble::not_proven_idle(desired, facts, &plan.title));
    }
    helped(desired, facts, &up)?;
    plan.warnings.extend(ensemble::seen_from_hosts_alone(desired, facts));
    unread(desired, facts, &ids, &mut plan);

    let mut together: Vec<_> = down
        .iter()
        .map(|(id, _)| step(&desired.members[id], Action::Service(Service::Started), "not running"))
        .collect();
    if !serving && !up.is_empty() {
        plan.push(deploy::idle());
        together.extend(
            up.iter().map(|id| {
                step(&desired.members[id], Action::Service(Service::Restarted), "nothing serves now")
            }),
        );
    }
    let after: BTreeSet<ServerId> =
        ensemble::running(desired, facts).union(&ids.iter().copied().collect()).copied().collect();
    let voters_after = after.iter().filter(|id| desired.members[*id].voter).count();
    let gates = match together.is_empty() {
        true => Vec::new(),
        false if voters_after >= desired.majority() => {
            vec![Gate::of(Condition::Quorum { min: desired.majority(), without: None })]
        }
        false => together.iter().map(|step| Gate::of(Condition::Alive { member: step.member })).collect(),
    };
    plan.warnings.extend(too_few(desired, voters_after));
    plan.push(Wave { title: "start together".to_owned(), steps: together, gates, ..Wave::default() });
    if serving {
        if !named.is_empty() {
            for id in &up {
                ensemble::can_spare(desired, facts, *id)?;
            }
        }
        let order = ensemble::rolling_order(desired, facts, &up);
        let restart = |id: &ServerId| {
            let member = &desired.members[id];
            let risk = if member.voter { Risk::Voter } else { Risk::Clients };
            vec![step(member, Action::Service(Service::Restarted), "asked for").risk(risk)]
        };
        for wave in deploy::roll(desired, &order, restart) {
            plan.push(wave);
        }
    }
    if after.len() == desired.members.len() {
        plan.push(deploy::until_ready());
    }
    Ok(plan)
}

/// A server runs and is not in sync although the others serve: what keeps it out is worth a look.
pub fn takes_no_part(desired: &Desired, facts: &Facts) -> bool {
    let in_sync = ensemble::in_sync(desired, facts);
    let out = |id: &ServerId| !in_sync.contains(id) && facts.host(*id).is_some_and(|host| host.unit.runs());
    !in_sync.is_empty() && desired.members.keys().any(out)
}

/// A new process opens no way through a network: who waits for that waits for nothing.
fn helped(desired: &Desired, facts: &Facts, up: &BTreeSet<ServerId>) -> Result<(), Stop> {
    let in_sync = ensemble::in_sync(desired, facts);
    let blocked = |cause: &Diagnosis| matches!(cause.cause, Cause::PathBlocked | Cause::OthersBlocked);
    for id in up.iter().filter(|id| !in_sync.is_empty() && !in_sync.contains(*id)) {
        let causes = diagnosis::diagnose(desired, facts, *id);
        let Some(cause) = causes.iter().rfind(|cause| blocked(cause)) else { continue };
        return Err(Stop::Refused(Refused {
            what: format!("a restart of {} would not help: {}", desired.name(*id), cause.what),
            evidence: cause.evidence.clone(),
            next: diagnosis::advice(&causes).into_iter().collect(),
        }));
    }
    Ok(())
}

/// So many voters serve nobody, and the verb ends well all the same: it is said, with what starts the others.
fn too_few(desired: &Desired, voters: usize) -> Option<String> {
    let (all, needed) = (desired.voters().count(), desired.majority());
    (voters < needed).then(|| {
        format!(
            "{voters} of {all} voters will run; {needed} are needed before anything is served (zkops start starts all)"
        )
    })
}

/// The hosts among `ids` where zkops is installed. With `tolerant` those that cannot be reached
/// are left out (and named by [`skipped`]); otherwise one is enough to stop.
fn installed<'a>(
    desired: &Desired,
    facts: &'a Facts,
    ids: &[ServerId],
    tolerant: bool,
) -> Result<Vec<(ServerId, &'a HostFacts)>, Stop> {
    let mut hosts = Vec::new();
    let mut away = Vec::new();
    for id in ids {
        let name = desired.name(*id);
        match &facts.member(*id).host {
            HostView::Seen(host) if host.unit.state.is_absent() => {
                return Err(Stop::Refused(Refused {
                    what: format!("{name} has no zkops service"),
                    evidence: Vec::new(),
                    next: vec![format!("zkops deploy {}", desired.inventory)],
                }));
            }
            HostView::Seen(host) => hosts.push((*id, host.as_ref())),
            HostView::Unreachable(why) => {
                away.push(Refused { what: why.text.clone(), ..Refused::default() });
            }
            HostView::Unasked => {
                away.push(Refused { what: format!("{name}: nobody asked its host"), ..Refused::default() });
            }
        }
    }
    if away.is_empty() || (tolerant && !hosts.is_empty()) { Ok(hosts) } else { Err(Stop::Unreachable(away)) }
}

fn skipped(facts: &Facts, ids: &[ServerId], plan: &mut Plan) {
    for id in ids {
        if let HostView::Unreachable(why) = &facts.member(*id).host
            && why.kind != NoWayIn::LeftOut
        {
            plan.skipped.push(Refused { what: why.text.clone(), ..Refused::default() });
        }
    }
}

/// It is proven to be stopped, and starts with the member list that it always had: then starting it
/// takes nothing from anybody and needs nobody's word.
fn startable(desired: &Desired, facts: &Facts, id: ServerId) -> Result<(), Stop> {
    let member = &desired.members[&id];
    let refuse = |what: String, evidence: Vec<String>, next: &str| {
        Err(Stop::Refused(Refused { what, evidence, next: vec![next.to_owned()] }))
    };
    let Some(host) = facts.host(id) else { return Ok(()) };
    if let Some(why) = host.unit.state.why_unseen().or_else(|| host.processes.why_unseen()) {
        let what = format!("whether the server of {} runs could not be seen", member.name);
        return refuse(what, vec![why.to_string()], "zkops status");
    }
    if let Some(process) = host.processes.is().and_then(|all| all.first()) {
        let what = format!("a server runs on the data of {} that its service did not start", member.name);
        let next =
            format!("stop that process on {} (kill {}), then run this again", member.name, process.pid);
        return refuse(what, vec![format!("pid {}", process.pid)], &next);
    }
    let deploy = format!("zkops deploy {}", desired.inventory);
    if let Some(refused) = former::may_run_elsewhere(desired, member, host) {
        return Err(Stop::Refused(refused));
    }
    match &host.installed_config {
        // A dynamic configuration is the server's own.
        Seen::Is(config) if config.lines().any(|line| line.trim().starts_with("dynamicConfigFile")) => Ok(()),
        Seen::Is(config) if membership(config, id) == membership(&member.config, id) => {
            match alone_with(desired, facts, id, &lists::read(config)) {
                None => Ok(()),
                Some(differences) => {
                    let what =
                        format!("{} would look for the others where nobody else has them", member.name);
                    refuse(what, differences, &deploy)
                }
            }
        }
        Seen::Is(_) => refuse(
            format!("{} would start with other members than the inventory's", member.name),
            vec![format!("{} lists other servers", member.config_path)],
            &deploy,
        ),
        Seen::Absent => refuse(format!("{} has no {}", member.name, member.config_path), Vec::new(), &deploy),
        Seen::Unseen(why) => refuse(
            format!("the members that {} would start with could not be seen", member.name),
            vec![why.to_string()],
            "zkops status",
        ),
    }
}

/// How the list that `id` would start with differs from the inventory's, where no other host and no server has it so: it
/// was changed by hand.
fn alone_with(desired: &Desired, facts: &Facts, id: ServerId, list: &List) -> Option<Vec<String>> {
    let wanted = lists::wanted(desired);
    let on_disk = facts.lists();
    let mut others = on_disk.iter().filter(|(other, _)| **other != id).map(|(_, list)| list);
    let mut answers = facts.elsewhere.answers.iter().filter_map(|answer| answer.list.as_ref());
    let known = *list == wanted || others.any(|other| other == list) || answers.any(|other| other == list);
    (!known && on_disk.len() > 1).then(|| lists::differences(desired, list, &wanted))
}

/// A server in a new process goes by the list on its disk: where those differ, its quorum may be none of the others'.
fn listed_alike(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let Some(apart) = doubles::lists_apart(desired, facts) else { return Ok(()) };
    Err(Stop::Refused(Refused { what: apart.what, evidence: apart.evidence, next: vec![apart.next] }))
}

/// Data that could not be looked at is the server's own business to judge when it starts; it is said.
fn unread(desired: &Desired, facts: &Facts, ids: &[ServerId], plan: &mut Plan) {
    for id in ids {
        let why = facts.host(*id).and_then(|host| host.data.why_unseen());
        if let Some(why) = why.filter(|why| why.since_ms > 0) {
            plan.warnings.push(format!("{}: its data could not be looked at: {why}", desired.name(*id)));
        }
    }
}

/// Something may still be running or be restarted by its manager.
fn alive(state: &Seen<UnitState>) -> bool {
    !matches!(state, Seen::Absent | Seen::Is(UnitState::Stopped | UnitState::Failed { again: false, .. }))
}

fn title(verb: &str, desired: &Desired, named: &[ServerId]) -> String {
    if named.is_empty() {
        format!("{verb} {}", desired.cluster)
    } else {
        format!("{verb} {}", desired.names(named))
    }
}
