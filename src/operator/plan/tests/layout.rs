//! Two slots and a link: what is new never goes where it counts already, the switch comes right before the member's
//! own start, an older layout is taken over one member at a time. And whose the data is.

use super::world::{World, as_older_layout};
use super::{check, show};
use crate::operator::inventory;
use crate::operator::plan::desired::RunAs;
use crate::operator::plan::facts::{FileFacts, Installed, UnitState};
use crate::operator::plan::layout::{Current, Slot};
use crate::operator::plan::owners::{Account, Known, OwnerFacts};
use crate::operator::plan::seen::Seen;
use crate::operator::plan::step::{Action, Plan, Risk, Service};
use crate::operator::plan::{Goal, Stop, plan};
use crate::wire::ids::ServerId;

fn planned(world: &World) -> Plan {
    plan(&world.desired, &world.facts, &Goal::Deploy).unwrap_or_else(|stop| panic!("{stop:?}"))
}

fn changed_config(world: &mut World) {
    world.facts.wall_ms += 10_000;
    for member in world.desired.members.values_mut() {
        member.config = member.config.replace("2000", "1000");
    }
}

/// Between the switch and the start of the same member stands nothing but its service's definition; and no step
/// writes into the slot that counts when it is done.
#[track_caller]
fn holds(world: &World, plan: &Plan) {
    let mut now = world.clone();
    for wave in &plan.waves {
        for (at, step) in wave.steps.iter().enumerate() {
            let member = &world.desired.members[&step.member];
            let current = now.host(step.member.0).layout.current.is().cloned();
            if let Action::PutFile { path, .. } | Action::InstallBinary { path, .. } = &step.action {
                let counts = [Slot::A, Slot::B].into_iter().find(|slot| path.contains(slot.target()));
                assert!(
                    counts.is_none_or(|slot| current != Some(Current::Slot(slot))),
                    "{step} while it counts: {plan}"
                );
            }
            if let Action::SwitchSlot { .. } = step.action {
                let mut after = wave.steps[at + 1..].iter().filter(|other| other.member == member.id);
                let next =
                    after.find(|other| !matches!(other.action, Action::Service(Service::Installed { .. })));
                let starts = next.is_some_and(|next| {
                    matches!(next.action, Action::Service(Service::Started | Service::Restarted))
                });
                assert!(starts, "no start right behind {step}: {plan}");
            }
        }
        let single = Plan { waves: vec![wave.clone()], ..Plan::default() };
        assert!(now.apply(&single), "{plan}");
    }
    let second = planned(&now);
    assert!(second.is_empty(), "first {plan}\nsecond {second}");
}

#[test]
fn a_slot_is_switched_right_before_its_members_start() {
    let bare = World::bare(3, 1);
    holds(&bare, &planned(&bare));
    let mut config = World::deployed(3, 1);
    changed_config(&mut config);
    holds(&config, &planned(&config));
    let mut binary = World::deployed(3, 0);
    binary.desired.binary.as_mut().unwrap().sha256 = "an0ther0000".into();
    holds(&binary, &planned(&binary));
    let mut stopped = config.clone();
    stopped.host(2).unit.state = Seen::Is(UnitState::Stopped);
    stopped.host(2).processes = Seen::Is(Vec::new());
    stopped.settle();
    holds(&stopped, &planned(&stopped));
    let mut older = World::deployed(3, 1);
    (1..=4).for_each(|id| as_older_layout(&mut older, id));
    holds(&older, &planned(&older));
}

#[test]
fn who_was_switched_and_not_restarted_is_restarted_by_the_next_deploy() {
    let mut world = World::deployed(3, 0);
    let Seen::Is(UnitState::Running(process)) = &mut world.host(2).unit.state else { panic!("it runs") };
    process.is_current = Some(false);
    let text = show(&world, &Goal::Deploy);
    assert!(text.contains("node-2: server restarted [it runs what counted before]"), "{text}");
    assert!(!text.contains("node-1: server restarted") && !text.contains("run from"), "{text}");
}

#[test]
fn a_deployment_of_the_older_layout_is_taken_over_as_a_roll() {
    let mut world = World::deployed(3, 0);
    (1..=3).for_each(|id| as_older_layout(&mut world, id));
    let text = show(&world, &Goal::Deploy);
    for line in [
        "node-1: user zkops of the system [its server runs as nobody else]",
        "node-1: directory /export/server/zkops/var [others can look into it]",
        "node-1: binary /export/server/zkops/slots/a/zkops b1nary000000",
        "node-1: file /export/server/zkops/slots/a/zoo.cfg (228 bytes) [deployed in the older layout]",
        "2. prove that the others serve without node-1\n",
        "3. replace the server of node-1\n   \
         node-1: server stopped [its data changes hands] risk: one voter down meanwhile undo: zkops start node-1\n   \
         node-1: /export/data/zkdata belongs to zkops [now root's]\n   \
         node-1: run from slots/a [deployed in the older layout]\n   \
         node-1: service installed and enabled [differs from the inventory]\n   \
         node-1: server started [it runs in the older layout] risk: one voter down meanwhile\n   \
         then server 1 in sync and committing (within 60 s)\n",
        "8. wait until ready\n   then one leader, all others in sync, canary read back everywhere (within 60 s)\n\
         9. remove the older layout\n   \
         node-1: remove /export/server/zkops/bin and /export/server/zkops/conf [left by the older layout]\n",
        "note: node-1, node-2 and node-3 stand as an older zkops deployed them: each gets the layout with two slots",
    ] {
        assert!(text.contains(line), "{line}\n--- is not in ---\n{text}");
    }
    // Killed before the last wave: only that is left.
    let whole = planned(&world);
    let most = Plan { waves: whole.waves[..whole.waves.len() - 1].to_vec(), ..Plan::default() };
    assert!(world.apply(&most));
    check(
        &world,
        &Goal::Deploy,
        "deploy orders
         1. remove the older layout
         node-1: remove /export/server/zkops/bin and /export/server/zkops/conf [left by the older layout]
         node-2: remove /export/server/zkops/bin and /export/server/zkops/conf [left by the older layout]
         node-3: remove /export/server/zkops/bin and /export/server/zkops/conf [left by the older layout]",
    );
}

#[test]
fn which_slot_counts_must_be_told() {
    for current in [Seen::unseen("no answer", 7), Seen::Is(Current::Odd("a link to /tmp".into()))] {
        let mut world = World::deployed(3, 0);
        changed_config(&mut world);
        world.host(2).layout.current = current;
        let text = show(&world, &Goal::Deploy);
        assert!(
            text.starts_with("REFUSED which of its two slots a member runs from cannot be told"),
            "{text}"
        );
    }
}

fn data_of(world: &mut World, id: i64, user: &str) {
    let account = Account { user: user.into(), group: "staff".into() };
    let dirs = &mut world.host(id).owners.is_mut().unwrap().dirs;
    let seen = OwnerFacts { owner: account, mode: 0o750, target: None, stranger: None };
    dirs.insert("/export/data/zkdata".into(), seen);
}

#[test]
fn data_of_somebody_keeps_its_owner_unless_a_user_is_named() {
    let mut world = World::bare(3, 0);
    data_of(&mut world, 1, "zookeeper");
    data_of(&mut world, 2, "root");
    let text = show(&world, &Goal::Deploy);
    assert!(!text.contains("node-1: user zkops") && !text.contains("node-1: /export/data"), "{text}");
    assert!(text.contains("node-2: /export/data/zkdata belongs to zkops [now root's]"), "{text}");
    let account = |world: &World, id: i64| {
        let plan = planned(world);
        let of = |step: &&crate::operator::plan::step::Step| step.member == ServerId(id);
        plan.steps()
            .filter(of)
            .find_map(|step| match &step.action {
                Action::Service(Service::Installed { definition, account }) => {
                    let account = account.clone().expect("root deploys");
                    assert!(
                        definition.ends_with(&format!("User={}\nGroup={}\n", account.user, account.group))
                    );
                    Some(account)
                }
                _ => None,
            })
            .expect("its service is defined")
    };
    assert_eq!(account(&world, 1), Account { user: "zookeeper".into(), group: "staff".into() });
    assert_eq!(account(&world, 3).user, "zkops");
    for member in world.desired.members.values_mut() {
        member.run_as = Some(RunAs { user: "alice".into(), named: true });
    }
    assert_eq!(account(&world, 1).user, "alice");
    assert!(show(&world, &Goal::Deploy).contains("node-1: /export/data/zkdata belongs to alice"));
}

#[test]
fn another_user_is_a_roll_in_which_data_changes_hands_while_its_server_is_down() {
    let mut world = World::deployed(3, 0);
    for member in world.desired.members.values_mut() {
        member.run_as = Some(RunAs { user: "alice".into(), named: true });
    }
    for id in 1..=3 {
        world.host(id).owners.is_mut().unwrap().account =
            Known::Is(Account { user: "alice".into(), group: "alice".into() });
        world.host(id).unit.installed = Seen::Is(Installed::Differs);
    }
    let plan = planned(&world);
    let risky = |step: &&crate::operator::plan::step::Step| step.risk == Risk::Voter;
    assert_eq!(plan.steps().filter(risky).count(), 6, "each is stopped and started: {plan}");
    assert!(plan.to_string().contains("[its server's user could not read it]"), "{plan}");
    // `apply` panics where a tree is given away under a server.
    assert!(world.apply(&plan), "{plan}");
    assert!(planned(&world).is_empty());
}

#[test]
fn a_host_that_cannot_have_the_user_is_refused_before_anything_is_done() {
    let mut world = World::bare(3, 0);
    world.host(2).owners.is_mut().unwrap().account = Known::Missing { can_make: false };
    world.host(3).owners.is_mut().unwrap().barred = Some("/export".into());
    check(
        &world,
        &Goal::Deploy,
        "REFUSED servers cannot run as their user there
         node-2: there is no user zkops, nor useradd or adduser
         node-3: zkops may not pass /export
         next: make the user zkops on node-2, or name another one (`user:`)
         next: on node-3: chmod o+x /export, or name other directories, or `user: root`",
    );
    world.host(1).owners = Seen::default();
    assert!(matches!(plan(&world.desired, &world.facts, &Goal::Deploy), Err(Stop::Refused(_))));
}

#[test]
fn destroy_says_what_becomes_of_a_link_and_of_the_user() {
    let mut world = World::deployed(1, 0);
    let dirs = &mut world.host(1).owners.is_mut().unwrap().dirs;
    dirs.get_mut("/export/data/zkdata").unwrap().target = Some("/big/zk".into());
    let text = show(&world, &Goal::Destroy { data: true });
    for line in [
        "node-1: remove /big/zk and all in it [data, its removal was asked for: /export/data/zkdata is a link to it]\n   \
         node-1: remove /export/data/zkdata [the link to the data]",
        "node-1: remove the user zkops [deploy made it]\n   node-1: remove zkops from /export/server/zkops",
    ] {
        assert!(text.contains(line), "{line}\n--- is not in ---\n{text}");
    }
    let text = show(&world, &Goal::Destroy { data: false });
    for line in [
        "note: node-1: /export/data/zkdata is a link to /big/zk: both stay",
        "note: node-1: the user zkops, which deploy made, stays: the data is theirs",
    ] {
        assert!(text.contains(line), "{line}\n--- is not in ---\n{text}");
    }
}

/// The inventory is refused before; this is for two spellings of one place, and for links.
#[test]
fn nothing_that_holds_data_goes_with_the_program() {
    for name in inventory::INSTALLED {
        let text = format!(
            "defaults: {{ install_dir: /export/a, data_dir: /export/a/{name}/b }}\nnodes: [10.0.0.1, 10.0.0.2, 10.0.0.3]\n"
        );
        assert!(inventory::parse("", &text, &|_| Vec::new()).is_err(), "{name}");
        for data in [false, true] {
            let mut world = World::deployed(3, 0);
            world.desired.members.get_mut(&ServerId(2)).unwrap().dirs.data_log =
                format!("/export/server/zkops/{name}/b");
            for goal in [Goal::Destroy { data }, Goal::Deploy] {
                let stop = plan(&world.desired, &world.facts, &goal);
                assert!(matches!(stop, Err(Stop::Refused(_))), "{name} {goal:?}");
            }
        }
    }
    let mut world = World::deployed(3, 0);
    let dirs = &mut world.host(1).owners.is_mut().unwrap().dirs;
    dirs.get_mut("/export/data/zkdata").unwrap().target = Some("/export/server/zkops/slots/b".into());
    let stop = plan(&world.desired, &world.facts, &Goal::Destroy { data: false });
    assert!(matches!(stop, Err(Stop::Refused(_))));
}

#[test]
fn repair_changes_no_slot_under_a_server_that_it_does_not_restart() {
    let mut world = World::deployed(3, 0);
    let path = world.desired.members[&ServerId(1)].config_path.clone();
    let odd = FileFacts { sha256: "0".into(), mode: 0o640, group: "zkops".into(), mtime_ms: 0 };
    world.host(1).files.insert(path, Seen::Is(odd));
    let goal =
        Goal::Repair { member: ServerId(1), wipe: crate::operator::plan::repair::Wipe::No, purge_old: false };
    assert!(!show(&world, &goal).contains("slots/"), "{}", show(&world, &goal));
}
