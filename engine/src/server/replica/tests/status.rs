//! What a replica says of itself: figures always, lists when they are wanted.

use super::{NOW, Server, create, exists};
use crate::server::replica::{ModeWord, Sessions, Wanted, Watched};
use crate::server::tree::Tree;
use crate::wire::proto::CreateMode;

fn busy() -> Server {
    let mut server = Server::new(Tree::new(), 0);
    server.connect(1);
    server.connect(2);
    server.ask(1, 1, &create("/e", CreateMode::Ephemeral));
    server.flush();
    server.ask(2, 1, &exists("/e", true));
    server.sent();
    server
}

#[test]
fn figures_come_with_every_question_and_no_list_does() {
    let mut server = busy();
    server.ask(2, 2, &create("/waits", CreateMode::Persistent));
    let status = server.replica.status(NOW, Wanted::default());
    assert_eq!((status.mode, status.role), (Some(ModeWord::Standalone), None));
    assert_eq!((status.connections, status.sessions, status.ephemerals), (2, 2, 1));
    assert_eq!((status.watches, status.watched), (1, Watched { connections: 1, paths: 1, watches: 1 }));
    assert_eq!((status.last_zxid, status.stats.traffic.outstanding), (server.replica.last_zxid(), 1));
    assert_eq!((status.znodes, status.learners.len()), (server.replica.tree().node_count(), 0));
    assert!(status.lists.connections.is_empty() && status.lists.ephemerals.is_empty());
    assert_eq!(status.lists.sessions, None);
}

#[test]
fn lists_are_those_that_are_wanted() {
    let server = busy();
    let all = Wanted { connections: true, sessions: true, ephemerals: true };
    let lists = server.replica.status(NOW, all).lists;
    let [first, second] = &lists.connections[..] else { panic!("{lists:?}") };
    assert_eq!((first.queued, first.timeout_ms), (0, 4000));
    assert_eq!(lists.ephemerals, [(first.session, vec!["/e".to_owned()])]);
    assert_eq!(lists.sessions, Some(Sessions::Expiring(vec![(5000, vec![first.session, second.session])])));
    let some = server.replica.status(NOW, Wanted { ephemerals: true, ..Wanted::default() }).lists;
    assert!(some.connections.is_empty() && some.sessions.is_none() && some.ephemerals.len() == 1);
}
