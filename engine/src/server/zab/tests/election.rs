//! The rules of the election and of its connections, one by one (quorum-protocol §1).

use std::collections::BTreeSet;

use super::cluster::{member_list, test_config};
use super::solo::*;
use crate::server::zab::ballot::{NO_VOTE, State};
use crate::server::zab::*;

/// Server 1 of three, looking, with both others connected.
fn looker(durable: Durable) -> Solo {
    let mut solo = Solo::new(1, 3, 0, durable);
    solo.step(Input::Tick);
    solo.accept_peer(TWO, 2);
    solo.accept_peer(THREE, 3);
    solo
}

fn looking(leader: i64, zxid: Zxid, round: i64, epoch: i64) -> Notification {
    vote(State::Looking, leader, zxid, round, epoch)
}

fn role(solo: &Solo) -> Role {
    *solo.zab.role()
}

#[test]
fn a_round_stays_open_for_those_who_may_disagree() {
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(THREE, &looking(3, Zxid(0), 1, 0));
    assert_eq!(role(&solo), Role::Looking, "server 2 is connected and silent");
    solo.wait(199);
    assert_eq!(role(&solo), Role::Looking);
    solo.wait(1);
    assert_eq!(role(&solo), FOLLOWING_3);
}

#[test]
fn a_round_ends_at_once_when_all_who_can_be_heard_agree() {
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(THREE, &looking(3, Zxid(0), 1, 0));
    solo.hear(TWO, &looking(3, Zxid(0), 1, 0));
    assert_eq!(role(&solo), FOLLOWING_3);
    let mut solo = looker(disk(0, 0, &[]));
    solo.step(Input::Down { conn: TWO });
    solo.hear(THREE, &looking(3, Zxid(0), 1, 0));
    assert_eq!(role(&solo), FOLLOWING_3, "server 2 cannot be heard");
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(THREE, &looking(3, Zxid(0), 1, 0));
    assert_eq!(role(&solo), Role::Looking);
    solo.step(Input::Down { conn: TWO });
    assert_eq!(role(&solo), FOLLOWING_3, "server 2 can no longer be heard");
}

#[test]
fn a_better_vote_reopens_the_round() {
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(TWO, &looking(2, Zxid(0), 1, 0));
    solo.wait(150);
    let out = solo.hear(THREE, &looking(3, Zxid(0), 1, 0));
    let told: Vec<_> = notifications(&out).iter().map(|(conn, n)| (*conn, n.leader)).collect();
    assert_eq!(told, [(TWO.0, ServerId(3)), (THREE.0, ServerId(3))]);
    solo.wait(150);
    assert_eq!(role(&solo), Role::Looking);
    solo.wait(50);
    assert_eq!(role(&solo), FOLLOWING_3);
}

#[test]
fn votes_are_ordered_by_epoch_then_zxid_then_id() {
    let mine = disk(5, 5, &[zxid(5, 5)]);
    for (n, adopted) in [
        (looking(2, zxid(5, 5), 1, 5), true),
        (looking(2, zxid(5, 4), 1, 5), false),
        (looking(2, zxid(4, 1), 1, 6), true),
        (looking(2, zxid(9, 9), 1, 4), false),
    ] {
        let mut solo = looker(mine.clone());
        let out = solo.hear(TWO, &n);
        assert_eq!(!notifications(&out).is_empty(), adopted, "{n:?}");
    }
}

#[test]
fn rounds_are_joined_forwards_only() {
    let mut solo = looker(disk(0, 0, &[]));
    let out = solo.hear(TWO, &looking(2, Zxid(0), 7, 0));
    assert!(notifications(&out).iter().all(|(_, n)| n.round == 7 && n.leader == ServerId(2)));
    let out = solo.hear(THREE, &looking(3, Zxid(0), 6, 0));
    let answers = notifications(&out);
    assert_eq!(answers.len(), 1, "only the one who is behind hears of it");
    assert_eq!((answers[0].0, answers[0].1.round, answers[0].1.leader), (THREE.0, 7, ServerId(2)));
}

#[test]
fn a_round_of_the_last_stretch_is_joined_only_from_within() {
    const STRETCH: i64 = (1 << 62) - (1 << 20);
    for round in [1 << 62, (1 << 62) - 1, STRETCH] {
        let mut solo = looker(disk(0, 0, &[]));
        assert!(notifications(&solo.hear(TWO, &looking(2, Zxid(0), round, 0))).is_empty(), "{round}");
        assert_eq!(solo.zab.core.round, 1);
        // Nor is the leader that two say they have a reason to go there.
        let n = vote(State::Following, 3, Zxid(0), round, 4);
        solo.hear(TWO, &n);
        solo.hear(THREE, &Notification { state: State::Leading, ..n });
        assert_eq!((role(&solo), solo.zab.core.round), (FOLLOWING_3, 1));
    }
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(TWO, &looking(2, Zxid(0), STRETCH - 1, 0));
    assert_eq!(solo.zab.core.round, STRETCH - 1, "any other is believed");
    solo.zab.core.round = STRETCH;
    solo.hear(TWO, &looking(2, Zxid(0), STRETCH + 3, 0));
    assert_eq!(solo.zab.core.round, STRETCH + 3, "those who are there go on together");
    solo.hear(TWO, &looking(2, Zxid(0), 1 << 62, 0));
    assert_eq!(solo.zab.core.round, STRETCH + 3, "but nobody takes them to the end");
}

#[test]
fn a_forged_round_keeps_nobody_from_a_leader() {
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(TWO, &looking(2, Zxid(0), 1 << 62, 0));
    for conn in [TWO, THREE] {
        solo.hear(conn, &looking(3, Zxid(0), 1, 0));
    }
    assert_eq!(role(&solo), FOLLOWING_3);
}

#[test]
fn a_vote_is_repeated_at_growing_intervals() {
    let mut solo = looker(disk(0, 0, &[]));
    let mut times = Vec::new();
    while solo.now_ms < 2000 {
        if !notifications(&solo.wait(1)).is_empty() {
            times.push(solo.now_ms);
        }
    }
    assert_eq!(times, [20, 60, 140, 300, 620, 1260, 1900]);
}

#[test]
fn a_joiner_needs_a_quorum_and_the_leaders_own_word() {
    let following = vote(State::Following, 3, Zxid(0), 9, 4);
    let leading = Notification { state: State::Leading, ..following.clone() };
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(TWO, &following);
    assert_eq!(role(&solo), Role::Looking, "TRAP Q10");
    solo.hear(THREE, &leading);
    assert_eq!(role(&solo), FOLLOWING_3);
    // Zxid and round are not compared, the epoch is (ZOOKEEPER-1805).
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(TWO, &Notification { zxid: zxid(3, 3), round: 5, ..following.clone() });
    solo.hear(THREE, &leading);
    assert_eq!(role(&solo), FOLLOWING_3);
    let mut solo = looker(disk(0, 0, &[]));
    solo.hear(TWO, &Notification { peer_epoch: Epoch(3), ..following });
    solo.hear(THREE, &leading);
    assert_eq!(role(&solo), Role::Looking);
}

#[test]
fn a_server_whose_data_is_lost_neither_votes_nor_is_voted_for() {
    let mut solo = looker(Durable { last_zxid: Zxid::NONE, ..disk(0, 0, &[]) });
    for conn in [TWO, THREE] {
        solo.hear(conn, &looking(3, Zxid(0), 1, 0));
    }
    assert_eq!(role(&solo), Role::Looking);
    let mut solo = looker(disk(0, 0, &[]));
    let out = solo.hear(TWO, &looking(2, Zxid::NONE, 9, 9));
    assert!(notifications(&out).is_empty(), "{out:?}");
}

#[test]
fn a_settled_server_answers_with_its_vote_and_the_new_epoch() {
    let (mut solo, _, _) = follower(disk(1, 1, &[]));
    let ask = |solo: &mut Solo| {
        let out = solo.hear(LEADER_BALLOT, &looking(3, Zxid(0), 44, 9));
        let answers = notifications(&out);
        assert_eq!(answers.len(), 1);
        answers[0].1.clone()
    };
    let n = ask(&mut solo);
    assert_eq!((n.state, n.leader, n.peer_epoch, n.round), (State::Following, ServerId(3), Epoch(1), 1));
    let (mut solo, _) = serving_follower(disk(1, 1, &[]), 2);
    assert_eq!(ask(&mut solo).peer_epoch, Epoch(2), "§1.5 after sync");
    let config = ask(&mut solo).config.unwrap();
    assert_eq!(config, solo.zab.core.config.membership.in_force().to_string().as_bytes());
    let told = vote(State::Following, 3, Zxid(0), 1, 1);
    assert!(solo.hear(LEADER_BALLOT, &told).is_empty(), "only those who look are answered");
}

#[test]
fn a_stranger_is_answered_and_not_counted() {
    let mut solo = looker(disk(0, 0, &[]));
    let out = solo.accept_peer(ConnId(6), 77);
    assert!(!out.contains(&Output::Close { conn: ConnId(6) }));
    let out = solo.hear(ConnId(6), &looking(77, zxid(9, 9), 99, 9));
    let answers = notifications(&out);
    assert_eq!(answers.len(), 1, "TRAP Q11: {out:?}");
    assert_eq!((answers[0].0, answers[0].1.round), (6, 1));
    // Nor is a vote for a server that is no voter.
    assert!(notifications(&solo.hear(TWO, &looking(77, zxid(9, 9), 99, 9))).is_empty());
}

#[test]
fn a_server_outside_the_config_names_nobody() {
    let membership = Membership::parse(&member_list(3, 0)).unwrap();
    let config = test_config(ServerId(9), &membership);
    let zab = Zab::new(config, disk(3, 3, &[zxid(3, 1)]), 1, 0);
    let mut solo = Solo { zab, now_ms: 0, writes: Vec::new() };
    let start = solo.step(Input::Tick);
    let (three, out) = solo.reach_peer(&start, 3);
    let (two, _) = solo.reach_peer(&start, 2);
    let told = notifications(&out);
    assert!(!told.is_empty() && told.iter().all(|(_, n)| n.leader.0 == NO_VOTE && n.zxid.0 == NO_VOTE));
    solo.hear(three, &vote(State::Leading, 3, Zxid(0), 9, 4));
    let out = solo.hear(two, &vote(State::Following, 3, Zxid(0), 9, 4));
    assert!(has_role(&out, FOLLOWING_3), "it follows without a vote: {out:?}");
}

#[test]
fn malformed_notifications_are_dropped_and_the_connection_stays() {
    let mut solo = looker(disk(0, 0, &[]));
    for payload in [&b""[..], b"\0\0\0\x09 nonsense, but long enough to hold a vote ......", &[0xff; 40]] {
        let out = solo.step(Input::ElectionMessage { conn: TWO, payload: payload.to_vec().into() });
        assert_eq!(out, []);
    }
}

mod mesh {
    use super::*;

    fn dials(out: &[Output]) -> Vec<(i64, String, u16)> {
        out.iter()
            .filter_map(|o| match o {
                Output::DialElection { to, host, port, .. } => Some((to.0, host.clone(), *port)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_lower_server_says_hello_and_waits_to_be_dialled_back() {
        let mut solo = Solo::new(1, 2, 0, disk(0, 0, &[]));
        let out = solo.step(Input::Tick);
        assert_eq!(dials(&out), [(2, "n2".to_owned(), 3888)]);
        let (conn, out) = solo.reach_peer(&out, 2);
        let hello = Hello { sid: ServerId(1), addresses: vec![("n1".into(), 3888)] }.encode();
        assert_eq!(out, [Output::SendElection { conn, bytes: hello }, Output::Close { conn }]);
        assert!(dials(&solo.wait(1900)).is_empty());
        assert_eq!(dials(&solo.wait(200)).len(), 1, "it was not dialled back");
        let out = solo.accept_peer(TWO, 2);
        assert!(notifications(&out).iter().any(|(conn, n)| *conn == TWO.0 && n.leader == ServerId(1)));
        assert!(dials(&solo.wait(5000)).is_empty());
    }

    #[test]
    fn a_connection_lost_right_after_the_dial_back_is_dialled_again_soon() {
        // Found by the simulator: the wait for the dial back outlived the dial back.
        let mut solo = Solo::new(1, 2, 0, disk(0, 0, &[]));
        let out = solo.step(Input::Tick);
        solo.reach_peer(&out, 2);
        solo.accept_peer(TWO, 2);
        solo.step(Input::Down { conn: TWO });
        assert_eq!(dials(&solo.wait(50)).len(), 1);
    }

    #[test]
    fn a_member_is_dialled_back_where_the_config_says_whatever_its_hello_names() {
        let mut solo = Solo::new(3, 3, 0, disk(0, 0, &[]));
        let out = solo.step(Input::Tick);
        let (old, _) = solo.reach_peer(&out, 1);
        let hello = Hello { sid: ServerId(1), addresses: vec![("elsewhere".into(), 99)] };
        let out = solo.step(Input::ElectionHello { conn: TWO, hello });
        assert!(is_closed(&out, TWO) && is_closed(&out, old), "{out:?}");
        assert_eq!(dials(&out), [(1, "n1".to_owned(), 3888)], "E8");
        // While that dial is under way, another HELLO changes nothing.
        let hello = Hello { sid: ServerId(1), addresses: vec![] };
        let out = solo.step(Input::ElectionHello { conn: THREE, hello });
        assert_eq!(out, [Output::Close { conn: THREE }]);
    }

    #[test]
    fn a_member_at_another_port_or_at_the_address_it_calls_from_is_tried_there_once() {
        for there in [("n1".to_owned(), 4888), ("10.0.0.9".to_owned(), 3888)] {
            let mut solo = Solo::new(3, 3, 0, disk(0, 0, &[]));
            let out = solo.step(Input::Tick);
            let (old, _) = solo.reach_peer(&out, 1);
            solo.step(Input::Down { conn: old });
            let hello = Hello { sid: ServerId(1), addresses: vec![there.clone()] };
            let out = solo.step(Input::ElectionHello { conn: TWO, hello });
            assert!(is_closed(&out, TWO), "{out:?}");
            assert_eq!(dials(&out), [(1, there.0, there.1)]);
            let dialled = out.iter().find_map(|out| match out {
                Output::DialElection { conn, to: ServerId(1), .. } => Some(*conn),
                _ => None,
            });
            solo.step(Input::Down { conn: dialled.expect("it was dialled") });
            let to_it: BTreeSet<_> =
                dials(&solo.wait(1_000)).into_iter().filter(|dial| dial.0 == 1).collect();
            let configured = BTreeSet::from([(1, "n1".to_owned(), 3888)]);
            assert_eq!(to_it, configured, "then where the config has it");
        }
    }

    #[test]
    fn of_several_addresses_the_one_in_the_hello_is_dialled() {
        let list = "server.1=n1:1:11|m1:1:12\nserver.2=n2:1:21\nserver.3=n3:1:31\nversion=0";
        let membership = Membership::parse(list).unwrap();
        let zab = Zab::new(test_config(ServerId(3), &membership), disk(0, 0, &[]), 1, 0);
        let mut solo = Solo { zab, now_ms: 0, writes: Vec::new() };
        let out = solo.step(Input::Tick);
        assert!(dials(&out).contains(&(1, "n1".to_owned(), 11)));
        solo.reach_peer(&out, 1);
        let named = ["m1", "elsewhere"].map(|host| (host.to_owned(), 12)).to_vec();
        let out = solo
            .step(Input::ElectionHello { conn: TWO, hello: Hello { sid: ServerId(1), addresses: named } });
        assert_eq!(dials(&out), [(1, "m1".to_owned(), 12)]);
    }

    #[test]
    fn who_is_not_listed_is_never_dialled_and_costs_one_line() {
        let mut solo = Solo::new(3, 3, 0, disk(0, 0, &[]));
        solo.step(Input::Tick);
        let (mut lines, mut all) = (0, Vec::new());
        for i in 0..100 {
            let sid = [-7, 0, i64::MAX, 3][i as usize % 4];
            let out = solo.accept_peer(ConnId(100 + 2 * i), sid);
            assert!(is_closed(&out, ConnId(100 + 2 * i)));
            lines += out.iter().filter(|output| matches!(output, Output::Note(_))).count();
            all.extend(out);
        }
        assert_eq!((lines, dials(&all)), (1, vec![]));
        // A joiner with a higher id is answered over the connection that it opened, and not dialled when that ends.
        let (conn, joiner) = (ConnId(6), 77);
        assert!(!is_closed(&solo.accept_peer(conn, joiner), conn));
        let out = solo.hear(conn, &looking(joiner, zxid(9, 9), 99, 9));
        assert_eq!(notifications(&out).len(), 1, "{out:?}");
        solo.step(Input::Down { conn });
        assert!(dials(&solo.wait(500)).iter().all(|(sid, ..)| *sid != joiner));
    }

    #[test]
    fn a_new_connection_of_a_higher_server_replaces_the_old_one() {
        let mut solo = looker(disk(0, 0, &[]));
        let out = solo.accept_peer(ConnId(8), 3);
        assert!(is_closed(&out, THREE), "{out:?}");
        assert_eq!(notifications(&out).len(), 1, "it hears the present state at once");
        assert_eq!(solo.hear(THREE, &looking(3, Zxid(0), 9, 9)), [], "the old one is deaf");
    }

    #[test]
    fn dials_that_fail_are_repeated_at_growing_intervals_while_looking() {
        let mut solo = Solo::new(2, 2, 0, disk(0, 0, &[]));
        let mut out = solo.step(Input::Tick);
        let mut times = Vec::new();
        while times.len() < 8 {
            for output in &out {
                if let Output::DialElection { conn, .. } = output {
                    times.push(solo.now_ms);
                    solo.step(Input::Down { conn: *conn });
                }
            }
            out = solo.wait(1);
        }
        let gaps: Vec<u64> = times.windows(2).map(|t| t[1] - t[0]).collect();
        assert_eq!(gaps, [50, 100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn a_dial_that_hangs_is_given_up() {
        let mut solo = Solo::new(2, 2, 0, disk(0, 0, &[]));
        let out = solo.step(Input::Tick);
        let dialled = out.iter().find_map(|output| match output {
            Output::DialElection { conn, .. } => Some(*conn),
            _ => None,
        });
        let conn = dialled.expect("it dials");
        let out = solo.wait(100);
        assert!(is_closed(&out, conn), "{out:?}");
        assert_eq!(dials(&solo.wait(50)).len(), 1);
    }

    #[test]
    fn doubles_and_crowds_are_refused() {
        let mut solo = Solo::new(3, 3, 0, disk(0, 0, &[]));
        solo.step(Input::Tick);
        for (conn, sid) in [(2, 3), (4, i64::MAX)] {
            let out = solo.accept_peer(ConnId(conn), sid);
            assert!(is_closed(&out, ConnId(conn)), "{sid}: {out:?}");
        }
        let refused =
            (100..130).filter(|i| is_closed(&solo.accept_peer(ConnId(2 * i), *i as i64), ConnId(2 * i)));
        assert_eq!(refused.count(), 30 - 16);
    }
}

const TWO: ConnId = ConnId(2);
const THREE: ConnId = ConnId(4);

const FOLLOWING_3: Role = Role::Following { leader: ServerId(3), serving: false };
