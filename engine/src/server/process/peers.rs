//! Connections between servers: the election port and the quorum port, as the state thread holds them. What goes
//! over them is `zab`'s business (quorum §1.1, §2.1); their tasks are in `peer_link`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::peer_link::{self, Acceptor, Link, Nameless, Port, Silent};
use super::sockets::Door;
use crate::server::zab::{self, ConnId};

/// All connections to other servers, by the numbers `zab` and this module give them.
#[derive(Debug)]
pub(super) struct Peers {
    links: HashMap<ConnId, Link, FixedState>,
    /// The connection to the leader that was dialled last.
    leader: Option<ConnId>,
    /// Connections that the batch at hand has something for.
    dirty: Vec<ConnId>,
    /// Connections accepted by the listeners, not yet in `links`.
    accepted: mpsc::UnboundedReceiver<(ConnId, Link)>,
    acceptor: Acceptor,
    quorum: Door,
    quorum_listener: Option<JoinHandle<()>>,
    /// Where the connections' tasks run: not on the state thread.
    tasks: Handle,
}

impl Peers {
    /// Opens the election port, the first of both; the quorum port opens when this server leads.
    pub(super) fn start(
        [election, quorum]: [Door; 2],
        connect_timeout: Duration,
        inputs: mpsc::Sender<Vec<zab::Input>>,
        stop: watch::Receiver<bool>,
        (tasks, places): (Handle, [Arc<Semaphore>; 2]),
        txn_len_max: usize,
    ) -> Peers {
        let (sender, accepted) = mpsc::unbounded_channel();
        // Ids of accepted connections are even.
        let next = Arc::new(AtomicU64::new(2));
        let acceptor = Acceptor {
            inputs,
            accepted: sender,
            next,
            patience: connect_timeout,
            stop,
            silent: Silent::default(),
            places,
            nameless: Nameless::default(),
            txn_len_max,
        };
        tasks.spawn(open(election, Port::Election, acceptor.clone()));
        Peers {
            links: HashMap::default(),
            leader: None,
            dirty: Vec::new(),
            accepted,
            acceptor,
            quorum,
            quorum_listener: None,
            tasks,
        }
    }

    /// Does what `zab` wants done on the network.
    pub(super) fn act(&mut self, output: zab::Output) {
        self.take_accepted();
        match output {
            zab::Output::DialElection { conn, host, port, .. } => self.dial(conn, host, port, Port::Election),
            zab::Output::DialLeader { conn, host, port } => {
                self.leader = Some(conn);
                self.dial(conn, host, port, Port::Quorum);
            }
            zab::Output::ListenQuorum(listen) => self.listen_quorum(listen),
            zab::Output::Close { conn } => {
                if let Some(mut link) = self.links.remove(&conn) {
                    link.flush();
                    link.outlet.finish();
                }
            }
            zab::Output::SendElection { conn, bytes } | zab::Output::Send { conn, bytes } => {
                self.send(conn, bytes);
            }
            // Everything else is the replica's, which does not pass it on.
            _ => {}
        }
    }

    /// A connection has ended, by whomever, or never came up: nothing of it stays.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.take_accepted();
        self.links.remove(&conn);
    }

    /// Queues bytes until `flush`; a connection that is gone has said so already, or is about to.
    pub(super) fn send(&mut self, conn: ConnId, bytes: Bytes) {
        self.take_accepted();
        let Some(link) = self.links.get_mut(&conn) else { return };
        if link.queue(bytes) {
            self.dirty.push(conn);
        }
    }

    /// Writes a snapshot stream, in order with what is queued.
    pub(super) fn send_snapshot(&mut self, conn: ConnId, body: Bytes) {
        self.take_accepted();
        if let Some(link) = self.links.get_mut(&conn) {
            link.send_snapshot(body);
        }
    }

    /// The leader does not take what this server forwards: clients must wait, or their requests would fill the
    /// link and end it for all.
    pub(super) fn leader_is_behind(&self) -> bool {
        let link = self.leader.and_then(|conn| self.links.get(&conn));
        link.is_some_and(|link| link.outlet.held() > FORWARDED_LEN_PAUSE)
    }

    /// Writes everything queued, what belongs to one connection at once.
    pub(super) fn flush(&mut self) {
        for conn in self.dirty.drain(..) {
            if let Some(link) = self.links.get_mut(&conn) {
                link.flush();
            }
        }
    }

    fn take_accepted(&mut self) {
        while let Ok((conn, link)) = self.accepted.try_recv() {
            self.links.insert(conn, link);
        }
    }

    fn dial(&mut self, conn: ConnId, host: String, port: u16, kind: Port) {
        let link = Link::new(kind);
        self.tasks.spawn(peer_link::dial(conn, host, port, kind, link.outlet.clone(), self.acceptor.clone()));
        self.links.insert(conn, link);
    }

    /// Only the leader's quorum port is open: learners are refused elsewhere (quorum §0).
    fn listen_quorum(&mut self, listen_now: bool) {
        if let Some(listener) = self.quorum_listener.take() {
            listener.abort();
        }
        if !listen_now {
            return;
        }
        self.quorum_listener =
            Some(self.tasks.spawn(open(self.quorum.clone(), Port::Quorum, self.acceptor.clone())));
    }
}

async fn open(door: Door, port: Port, acceptor: Acceptor) {
    door.open(|listener| peer_link::listen(listener, port, acceptor.clone())).await;
}

/// What may wait for the leader before clients do: far below what ends the link, and a second of a slow one.
const FORWARDED_LEN_PAUSE: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    const CONN: ConnId = ConnId(1);

    #[tokio::test]
    async fn clients_wait_while_the_leader_does_not_read_and_a_connection_that_ended_is_forgotten() {
        let host = Some("127.0.0.1".to_owned());
        let doors =
            ["election", "quorum"].map(|what| Door { what, host: host.clone(), port: 0, backlog: None });
        let leader = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
        let port = leader.local_addr().expect("it is bound").port();
        let (inputs, mut events) = mpsc::channel(64);
        let (_running, stop) = watch::channel(false);
        let patience = Duration::from_secs(20);
        let mut peers = Peers::start(
            doors,
            patience,
            inputs,
            stop,
            (Handle::current(), [9, 9].map(|count| Arc::new(Semaphore::new(count)))),
            1 << 20,
        );
        peers.act(zab::Output::DialLeader { conn: CONN, host: "127.0.0.1".to_owned(), port });
        let (mut stream, _) = leader.accept().await.expect("it is dialled");
        let up = events.recv().await.expect("a report");
        assert!(matches!(up[..], [zab::Input::LeaderUp { conn: CONN }]), "{up:?}");

        // More than the sockets between take, too.
        let len = 100 * 1024 * 1024;
        peers.send(CONN, vec![0; len].into());
        peers.flush();
        assert!(peers.leader_is_behind());
        let read = tokio::spawn(async move {
            stream.read_exact(&mut vec![0; len]).await.expect("all of it comes");
        });
        while peers.leader_is_behind() {
            let moved = events.recv().await.expect("whoever waits is woken");
            assert!(matches!(moved[..], [zab::Input::Progress { conn: CONN }]), "{moved:?}");
        }
        read.await.expect("no panic");

        assert_eq!(peers.links.len(), 1);
        let down = loop {
            match &events.recv().await.expect("a report")[..] {
                [zab::Input::Down { conn }] => break *conn,
                other => assert!(matches!(other, [zab::Input::Progress { .. }]), "{other:?}"),
            }
        };
        peers.gone(down);
        assert!(peers.links.is_empty());
    }
}
