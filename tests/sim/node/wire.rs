//! What a simulated server sends to its peers and gets from them and from clients: frames and packets cut as the
//! driver cuts them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use zkops::server::replica::{ClientId, Input};
use zkops::server::tree::{self, snapshot};
use zkops::server::zab::wire::Kind;
use zkops::server::zab::{self, ConnId};
use zkops::wire::ids::Zxid;
use zkops::wire::jute::{FIELD_LEN_MAX, Reader};

use super::{Inbound, Served};
use crate::net::{Host, Item, LinkId, Port};
use crate::world::World;

impl World {
    pub(super) fn peer_output(&mut self, i: usize, output: zab::Output) {
        match output {
            zab::Output::DialElection { conn, host, .. } => self.dial(i, conn, &host, Port::Election),
            zab::Output::DialLeader { conn, host, .. } => self.dial(i, conn, &host, Port::Quorum),
            zab::Output::ListenQuorum(on) => {
                if let Some(process) = &mut self.nodes[i].process {
                    process.listening = on;
                }
            }
            zab::Output::Close { conn } => {
                let Some(process) = &mut self.nodes[i].process else { return };
                if let Some((link, side)) = process.conns.remove(&conn) {
                    self.close(link, side);
                }
            }
            zab::Output::SendElection { conn, bytes } => self.send_peer(i, conn, Item::Bytes(bytes)),
            zab::Output::Send { conn, bytes } => {
                if bytes.len() >= 12 {
                    let kind = i32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
                    let zxid = i64::from_be_bytes(bytes[4..12].try_into().expect("eight bytes"));
                    self.checks.promises(i, kind, Zxid(zxid));
                }
                self.answers_foreigners(i, conn, &bytes);
                self.send_peer(i, conn, Item::Bytes(bytes));
            }
            other => panic!("{other:?} is not the driver's to do"),
        }
    }

    pub(super) fn send_snapshot(&mut self, i: usize, conn: ConnId, body: Bytes) {
        let last = self.nodes[i].process.as_ref().map_or(Zxid::ZERO, |process| process.replica.last_zxid());
        let history = self.checks.history(i, last);
        // The reference's closing words are the framing's business.
        let signature = 4 + zab::wire::SNAPSHOT_SIGNATURE.len();
        let body = body.slice(..body.len() - signature);
        self.send_peer(i, conn, Item::Snapshot(body, history));
    }

    pub(super) fn send_peer(&mut self, i: usize, conn: ConnId, item: Item) {
        let at = self.nodes[i].process.as_ref().and_then(|process| process.conns.get(&conn)).copied();
        if let Some((link, side)) = at {
            self.send(link, side, item);
        }
    }

    /// A connection's other end has let something arrive here.
    pub(crate) fn node_receives(&mut self, i: usize, link: LinkId, side: usize, item: Item) {
        let (port, life, conn) = {
            let end = &self.net.links[link].ends[side];
            (self.net.links[link].port, end.life, end.conn)
        };
        let node = &self.nodes[i];
        if node.process.is_none() || node.life != life {
            if node.powered {
                self.close(link, side);
            }
            return;
        }
        match (port, item) {
            (Port::Client, Item::Fin) => {
                self.net.links[link].ends[side].open = false;
                let client = ClientId(conn);
                if let Some(process) = &mut self.nodes[i].process {
                    process.clients.remove(&client);
                }
                self.put_in(i, Inbound::Input(Input::ClientDown { client }));
            }
            (_, Item::Fin) => {
                self.net.links[link].ends[side].open = false;
                let conn = ConnId(conn);
                if let Some(process) = &mut self.nodes[i].process {
                    process.conns.remove(&conn);
                }
                self.peer_input(i, zab::Input::Down { conn });
            }
            (Port::Client, Item::Bytes(bytes)) => {
                let mut r = Reader::new(bytes);
                while let Ok(Some(frame)) = r.buffer() {
                    self.put_in(i, Inbound::Input(Input::ClientFrame { client: ClientId(conn), frame }));
                }
            }
            (_, Item::Bytes(bytes)) => {
                self.net.links[link].ends[side].buffer.extend_from_slice(&bytes);
                while let Some(input) = self.take_peer_input(link, side) {
                    let input = self.as_heard(i, input);
                    self.peer_input(i, input);
                }
            }
            (_, Item::Snapshot(body, history)) => {
                let end = &mut self.net.links[link].ends[side];
                assert!(std::mem::take(&mut end.snapshot), "a snapshot stream without SNAP");
                self.checks.nodes[i].incoming = Some(history);
                let conn = ConnId(conn);
                self.peer_input(i, zab::Input::Progress { conn });
                let tree = snapshot::decode(body.clone(), tree::Settings::default());
                let config = tree.expect("our servers send whole trees").config();
                let input = self.as_heard(i, zab::Input::SnapshotReceived { conn, body, config });
                self.peer_input(i, input);
            }
        }
    }

    pub(crate) fn client_input_of(&mut self, i: usize, input: Input) {
        self.put_in(i, Inbound::Input(input));
    }

    pub(super) fn peer_input(&mut self, i: usize, input: zab::Input) {
        self.put_in(i, Inbound::Input(Input::Peer(input)));
    }

    /// The next whole message of a connection between servers.
    pub(super) fn take_peer_input(&mut self, link: LinkId, side: usize) -> Option<zab::Input> {
        let port = self.net.links[link].port;
        let end = &mut self.net.links[link].ends[side];
        let conn = ConnId(end.conn);
        if port == Port::Quorum {
            let packet =
                zab::wire::take_packet(&mut end.buffer, FIELD_LEN_MAX).expect("our servers frame well")?;
            end.snapshot = packet.kind == Kind::SNAP;
            return Some(zab::Input::Packet { conn, packet });
        }
        if end.hello {
            let hello = zab::Hello::take(&mut end.buffer).expect("our servers frame well")?;
            end.hello = false;
            return Some(zab::Input::ElectionHello { conn, hello });
        }
        let payload = zab::Notification::take_payload(&mut end.buffer).expect("our servers frame well")?;
        Some(zab::Input::ElectionMessage { conn, payload })
    }

    /// A dial has come through: is there somebody to take it?
    pub(crate) fn accept(&mut self, link: LinkId, j: usize) -> bool {
        let port = self.net.links[link].port;
        let node = &mut self.nodes[j];
        let Some(process) = &mut node.process else { return false };
        if port == Port::Quorum && !process.listening {
            return false;
        }
        let end = &mut self.net.links[link].ends[1];
        end.life = node.life;
        match port {
            Port::Client => {
                process.next_client += 1;
                end.conn = process.next_client;
                let client = ClientId(process.next_client);
                process.clients.insert(client, Served { link, open: false });
                let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
                self.put_in(j, Inbound::Input(Input::ClientUp { client, addr }));
            }
            Port::Election | Port::Quorum => {
                process.next_accepted += 2;
                let conn = ConnId(process.next_accepted);
                end.conn = conn.0;
                end.hello = port == Port::Election;
                process.conns.insert(conn, (link, 1));
                if port == Port::Quorum {
                    self.peer_input(j, zab::Input::LearnerUp { conn });
                }
            }
        }
        true
    }

    /// A dial of a server's has succeeded or not.
    pub(crate) fn node_dialled(&mut self, i: usize, link: LinkId, is_up: bool) {
        let end = &self.net.links[link].ends[0];
        let (life, conn) = (end.life, ConnId(end.conn));
        let node = &mut self.nodes[i];
        let Some(process) = node.process.as_mut().filter(|_| node.life == life) else { return };
        if !process.conns.contains_key(&conn) {
            return;
        }
        if !is_up {
            process.conns.remove(&conn);
        }
        let input = match (is_up, self.net.links[link].port) {
            (false, _) => zab::Input::Down { conn },
            (true, Port::Election) => zab::Input::ElectionUp { conn },
            (true, _) => zab::Input::LeaderUp { conn },
        };
        self.peer_input(i, input);
    }

    pub(super) fn dial(&mut self, i: usize, conn: ConnId, host: &str, port: Port) {
        let Some(to) = host.strip_prefix('n').and_then(|n| n.parse::<usize>().ok()?.checked_sub(1)) else {
            return self.checks.fail("strangers: not dialled", format!("n{} dials {host}", i + 1));
        };
        let life = self.nodes[i].life;
        let link = self.open(Host::Node(i), life, conn.0, Host::Node(to), port);
        if let Some(process) = &mut self.nodes[i].process {
            process.conns.insert(conn, (link, 0));
        }
    }
}
