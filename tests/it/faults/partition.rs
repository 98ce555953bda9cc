//! Partitions: packets vanish, nothing is refused. Who is on which side is the seed's choice where it can be.

use super::network::End;
use super::trial::{SYNC_LIMIT, Trial};

fn ends(members: &[usize]) -> Vec<End> {
    members.iter().map(|n| End::Server(*n)).collect()
}

#[test]
fn one_member_after_the_other_is_alone() {
    let mut trial = Trial::start(3, 31);
    for _ in 0..3 {
        let n = *trial.random.one_of(&trial.members());
        let others = trial.others(&[n]);
        trial.say(&format!("server {n} is cut off from {others:?}"));
        trial.network.split(&ends(&[n]), &ends(&others));
        // Clients still reach both sides.
        trial.hold(SYNC_LIMIT);
        trial.leader_among(&others);
        trial.await_answers(100);
        trial.heal();
    }
    trial.finish();
}

#[test]
fn the_leader_is_with_the_minority_of_five() {
    let mut trial = Trial::start(5, 32);
    for _ in 0..2 {
        let leader = trial.leader();
        let mut minority = vec![leader];
        minority.push(*trial.random.one_of(&trial.others(&minority)));
        let majority = trial.others(&minority);
        trial.say(&format!("{minority:?} are cut off from {majority:?}"));
        trial.network.split(&ends(&minority), &ends(&majority));
        trial.leader_among(&majority);
        trial.await_answers(150);
        trial.heal();
    }
    trial.finish();
}

#[test]
fn cables_that_work_in_one_direction() {
    let mut trial = Trial::start(3, 33);
    for round in 0..4 {
        let leader = trial.leader();
        let follower = *trial.random.one_of(&trial.others(&[leader]));
        let (from, to) = match round % 4 {
            0 => (leader, follower),
            1 => (follower, leader),
            _ => (*trial.random.one_of(&trial.members()), leader),
        };
        let targets = if from == to { trial.others(&[leader]) } else { vec![to] };
        trial.say(&format!("nothing gets from {from} to {targets:?}"));
        targets.iter().for_each(|to| trial.network.cut(End::Server(from), End::Server(*to)));
        trial.hold(SYNC_LIMIT * 5 / 4);
        trial.await_answers(50);
        trial.heal();
    }
    trial.finish();
}

#[test]
fn two_halves_that_only_one_member_reaches() {
    let mut trial = Trial::start(5, 34);
    for _ in 0..2 {
        let bridge = *trial.random.one_of(&trial.members());
        let rest = trial.others(&[bridge]);
        trial.say(&format!("only {bridge} reaches both {:?} and {:?}", &rest[..2], &rest[2..]));
        trial.network.split(&ends(&rest[..2]), &ends(&rest[2..]));
        // Each half with the bridge is a majority: some leader holds one.
        trial.hold(SYNC_LIMIT * 2);
        trial.await_answers(100);
        trial.heal();
    }
    trial.finish();
}

#[test]
fn the_leader_is_cut_off_from_clients_alone() {
    let mut trial = Trial::start(3, 35);
    let leader = trial.leader();
    trial.say(&format!("no client reaches {leader}"));
    trial.network.cut_both_ways(End::Server(leader), End::Clients);
    // It keeps leading: members are well. Clients go on through the others.
    trial.hold(SYNC_LIMIT * 2);
    trial.await_answers(200);
    assert_eq!(trial.leader(), leader);
    trial.heal();
    // And the other way round: nothing but clients gets lost.
    let one_way = *trial.random.one_of(&trial.members());
    trial.say(&format!("nothing gets from {one_way} to clients"));
    trial.network.cut(End::Server(one_way), End::Clients);
    trial.await_answers(200);
    trial.finish();
}
