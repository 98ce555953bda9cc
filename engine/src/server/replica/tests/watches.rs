//! Watches alone: who is told of a change, and what stays.

use crate::server::replica::event::ClientId;
use crate::server::replica::watches::{Firing, Kind, Modes, Watched, Watches};
use crate::wire::proto::{EventType, WatcherType};

fn told(firing: &Firing) -> Vec<u64> {
    firing.clients.iter().map(|id| id.0).collect()
}

#[test]
fn a_one_shot_watch_fires_once_and_a_persistent_one_every_time() {
    let mut watches = Watches::default();
    watches.add(Kind::Data, "/a", B, Modes::PERSISTENT);
    watches.add(Kind::Data, "/a", A, Modes::STANDARD);
    watches.add(Kind::Data, "/a", A, Modes::STANDARD);
    assert_eq!(watches.count(), 2);
    assert_eq!(told(&watches.data_changed("/a")), [1, 2], "in the order of the connections");
    assert_eq!(told(&watches.data_changed("/a")), [2]);
    assert_eq!(watches.summary(), Watched { connections: 1, paths: 1, watches: 1 });
}

#[test]
fn what_a_connection_watches_is_bounded_and_given_back() {
    let mut watches = Watches::default();
    let long = "x".repeat(10_000);
    let mut count = 0;
    while !watches.is_greedy(A) {
        watches.add(Kind::Data, &format!("/{long}/{count}"), A, Modes::STANDARD);
        count += 1;
    }
    assert!((6_000..7_000).contains(&count), "64 MiB: {count}");
    watches.add(Kind::Child, "/a", B, Modes::STANDARD);
    assert!(!watches.is_greedy(B), "another one's watches count against nobody");
    watches.remove(&format!("/{long}/0"), A, WatcherType::Any);
    assert!(!watches.is_greedy(A));
    watches.add(Kind::Data, &format!("/{long}/0"), A, Modes::STANDARD);
    assert!(watches.is_greedy(A));
    watches.data_changed(&format!("/{long}/7"));
    assert!(!watches.is_greedy(A));
    watches.drop_client(A);
    assert!(!watches.is_greedy(A) && watches.count() == 1);
}

#[test]
fn a_recursive_watch_hears_of_all_below_and_of_its_own_once() {
    let mut watches = Watches::default();
    watches.add(Kind::Data, "/a", C, Modes::RECURSIVE);
    watches.add(Kind::Data, "/a/b/c", B, Modes::STANDARD);
    watches.add(Kind::Data, "/", A, Modes::RECURSIVE);
    assert_eq!(told(&watches.data_changed("/a/b/c")), [1, 2, 3]);
    let [node, siblings] = watches.created("/a/b", "/a");
    assert_eq!((told(&node), told(&siblings)), (vec![1, 3], vec![]));
    assert_eq!(told(&watches.data_changed("/ab")), [1], "no child of /a");
}

#[test]
fn a_deleted_node_is_told_once_to_who_watches_it_in_both_tables() {
    let mut watches = Watches::default();
    watches.add(Kind::Data, "/a/b", A, Modes::STANDARD);
    watches.add(Kind::Child, "/a/b", A, Modes::STANDARD);
    watches.add(Kind::Child, "/a/b", B, Modes::STANDARD);
    watches.add(Kind::Child, "/a", C, Modes::STANDARD);
    let [data, child, siblings] = watches.deleted("/a/b", "/a");
    assert_eq!((told(&data), told(&child), told(&siblings)), (vec![1], vec![2], vec![3]));
    assert_eq!(siblings.event, EventType::NodeChildrenChanged);
    assert_eq!(watches.count(), 0);
}

#[test]
fn removing_takes_the_kind_that_was_named_and_nothing_else() {
    let mut watches = Watches::default();
    watches.add(Kind::Data, "/a", A, Modes::STANDARD);
    watches.add(Kind::Data, "/a", A, Modes::PERSISTENT);
    watches.add(Kind::Child, "/a", A, Modes::PERSISTENT);
    assert!(!watches.remove("/a", A, WatcherType::Children));
    assert!(watches.remove("/a", A, WatcherType::Data));
    assert!(watches.has("/a", A, WatcherType::Persistent) && !watches.has("/a", A, WatcherType::Data));
    assert!(watches.remove("/a", A, WatcherType::Any) && !watches.has("/a", A, WatcherType::Any));
    assert_eq!(watches.summary(), Watched { connections: 0, paths: 0, watches: 0 });
}

#[test]
fn watches_end_with_their_connection() {
    let mut watches = Watches::default();
    watches.add(Kind::Data, "/a", A, Modes::RECURSIVE);
    watches.add(Kind::Data, "/a", B, Modes::STANDARD);
    watches.add(Kind::Child, "/b", A, Modes::STANDARD);
    watches.drop_client(A);
    assert_eq!(watches.count(), 1);
    assert_eq!(told(&watches.data_changed("/a/b")), [0_u64; 0]);
    assert_eq!(told(&watches.data_changed("/a")), [2]);
}

const A: ClientId = ClientId(1);
const B: ClientId = ClientId(2);
const C: ClientId = ClientId(3);
