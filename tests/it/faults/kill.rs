//! SIGKILL: nothing is flushed and no connection is closed in order. (What the kernel had taken is kept; losing
//! power, and with it what was not fsynced, is in `hosts`.)

use super::network::End;
use super::trial::Trial;
use crate::ensemble::{Writer, kazoo_script};

#[test]
fn members_are_killed_one_after_the_other() {
    let mut trial = Trial::start(3, 11);
    // kazoo writes too: a client that is not ours.
    let [python, script] = kazoo_script("writer.py");
    let mut command = trial.network.command(End::Clients, &python);
    command.args([&script, &trial.ensemble.addresses(), "/kazoo"]);
    let mut kazoo = Writer::start(command);
    for _ in 0..6 {
        let n = *trial.random.one_of(&trial.members());
        trial.kill(n);
        trial.leader_among(&trial.others(&[n]));
        trial.await_answers(150);
        kazoo.await_acks(20);
        trial.start_again(n);
        trial.ensemble.await_serving();
    }
    trial.say(&format!("kazoo: {}", kazoo.finish()));
    trial.finish();
}

#[test]
fn the_leader_of_five_is_killed_again_and_again() {
    let mut trial = Trial::start(5, 12);
    let mut dead = Vec::new();
    for _ in 0..2 {
        let leader = trial.leader_among(&trial.others(&dead));
        trial.kill(leader);
        dead.push(leader);
        // The next one leads, with the third dead member still to be missed.
        assert!(!dead.contains(&trial.leader_among(&trial.others(&dead))));
        trial.await_answers(100);
    }
    trial.heal();
    let leader = trial.leader();
    trial.kill(leader);
    trial.finish();
}

#[test]
fn a_majority_and_then_all_are_killed_at_once() {
    let mut trial = Trial::start(5, 13);
    let mut members = trial.members();
    for count in [3, 5] {
        // Which ones is the seed's choice.
        for at in 0..count {
            let other = at + trial.random.below((members.len() - at) as u64) as usize;
            members.swap(at, other);
        }
        members[..count].iter().for_each(|n| trial.kill(*n));
        trial.heal();
        trial.await_answers(200);
    }
    trial.finish();
}
