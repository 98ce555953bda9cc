//! A replica that leads: the only voter, with observers that forward what their clients ask.

use bytes::Bytes;

use super::settings;
use crate::ensemble::Membership;
use crate::server::replica::{Input, Now, Output, Replica};
use crate::server::tree::{Tree, Txn, TxnBody};
use crate::server::zab::wire::Kind;
use crate::server::zab::{self, ConnId, Packet, Zab};
use crate::wire::ids::{Epoch, ServerId, SessionId, Zxid};
use crate::wire::jute::{self, Reader, Writer};
use crate::wire::proto::{Acl, CreateMode, CreateRequest, ErrorCode, OpCode, Perms, Request};

struct Leader {
    replica: Replica,
    now: Now,
}

impl Leader {
    fn new() -> Leader {
        let config = zab::Config {
            me: ServerId(1),
            membership: Membership::parse(MEMBERS).unwrap(),
            tick_ms: 1000,
            init_limit: 10,
            sync_limit: 5,
            connect_limit: 0,
            cnx_timeout_ms: 5000,
            notification_ms_min: 200,
            notification_ms_max: 10_000,
            committed_log_max: 500,
            committed_log_bytes_max: 1 << 20,
            txn_len_max: jute::FIELD_LEN_MAX,
            counter_max: zab::COUNTER_MAX,
            unlisted_learners: 0,
        };
        let durable = zab::Durable {
            accepted_epoch: Epoch(0),
            current_epoch: Epoch(0),
            last_zxid: Zxid::ZERO,
            tail: Vec::new(),
            wounded: false,
        };
        let now = Now { ms: 5, wall_ms: 1_700_000_000_000 };
        let replica = Replica::member(settings(0), Tree::new(), Zab::new(config, durable, 7, now.ms), now);
        let mut leader = Leader { replica, now };
        leader.step(Input::Tick);
        assert!(leader.replica.serving());
        for (conn, sid) in [(A, 2), (B, 3)] {
            leader.join(conn, sid);
        }
        leader
    }

    /// Every write is durable at once. What each learner was sent comes back.
    fn step(&mut self, input: Input) -> Vec<(ConnId, Packet)> {
        let (mut inputs, mut sent) = (vec![input], Vec::new());
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.replica.step(self.now, input, &mut out);
            for output in out {
                match output {
                    Output::Persist { id, .. } => inputs.insert(0, Input::Persisted { id }),
                    Output::Peer(zab::Output::Send { conn, bytes }) => {
                        let mut r = Reader::new(bytes);
                        while r.remaining() > 0 {
                            sent.push((conn, Packet::read(&mut r).unwrap()));
                        }
                    }
                    _ => {}
                }
            }
        }
        sent
    }

    fn packet(&mut self, conn: ConnId, packet: Packet) -> Vec<(ConnId, Packet)> {
        self.step(Input::Peer(zab::Input::Packet { conn, packet }))
    }

    fn join(&mut self, conn: ConnId, sid: i64) {
        self.step(Input::Peer(zab::Input::LearnerUp { conn }));
        let mut info = Writer::new();
        info.long(sid);
        info.int(0x10000);
        info.long(0);
        self.packet(conn, Packet::with_data(Kind::OBSERVERINFO, Zxid::ZERO, info.finish()));
        let epoch = Bytes::from_static(&[0; 4]);
        self.packet(conn, Packet::with_data(Kind::ACKEPOCH, Zxid::ZERO, epoch));
        let sent = self.packet(conn, Packet::new(Kind::ACK, Epoch(1).start()));
        assert!(sent.iter().any(|(to, packet)| *to == conn && packet.kind == Kind::UPTODATE), "{sent:?}");
    }

    /// A learner forwards a request; what it becomes is told to every observer.
    fn forward(&mut self, conn: ConnId, session: SessionId, op: OpCode, body: Bytes) -> TxnBody {
        let mut w = Writer::new();
        w.long(session.0);
        w.int(1);
        w.int(op.code());
        w.raw(&body);
        let sent = self.packet(conn, Packet::with_data(Kind::REQUEST, Zxid::NONE, w.finish()));
        let inform =
            sent.into_iter().find(|(_, packet)| packet.kind == Kind::INFORM).expect("it is committed");
        Txn::decode(inform.1.data.unwrap()).unwrap().body
    }
}

fn create(path: &str) -> Bytes {
    let acl = Some(vec![Acl::new(Perms::ALL, "world", "anyone")]);
    let flags = CreateMode::Persistent.flags();
    let mut w = Writer::new();
    Request::Create(CreateRequest { path: path.into(), data: None, acl, flags, ttl_ms: None }).encode(&mut w);
    w.finish()
}

/// Found by the simulator: when its server was gone a session belonged to nobody, and a request that was delayed on
/// an old way was taken behind newer ones.
#[test]
fn a_session_stays_with_its_server_until_another_takes_it_over() {
    let mut leader = Leader::new();
    let session = SessionId(0x0200_0000_0000_0001);
    let created = leader.forward(A, session, OpCode::CreateSession, Bytes::from_static(&[0, 0, 39, 16]));
    assert!(matches!(created, TxnBody::CreateSession { .. }), "{created:?}");
    leader.step(Input::Peer(zab::Input::Down { conn: A }));
    let moved = ErrorCode::SessionMoved.code();
    let refused = leader.forward(B, session, OpCode::Create, create("/a"));
    assert!(matches!(refused, TxnBody::Error(code) if code == moved), "{refused:?}");

    let mut ask = Writer::new();
    ask.long(session.0);
    ask.int(10_000);
    leader.packet(B, Packet::with_data(Kind::REVALIDATE, Zxid::NONE, ask.finish()));
    let taken = leader.forward(B, session, OpCode::Create, create("/a"));
    assert!(matches!(taken, TxnBody::Create(_)), "{taken:?}");
    // What the first server still had on its way comes too late.
    leader.join(ConnId(14), 2);
    let late = leader.forward(ConnId(14), session, OpCode::Create, create("/b"));
    assert!(matches!(late, TxnBody::Error(code) if code == moved), "{late:?}");
}

const A: ConnId = ConnId(10);
const B: ConnId = ConnId(12);
const MEMBERS: &str = "server.1=n1:2888:3888:participant\nserver.2=n2:2888:3888:observer\n\
                       server.3=n3:2888:3888:observer\nversion=0";
