//! What reads what others wrote: each reader takes any bytes, may not panic, and what it read must read the same once more.
//! `tests/it/fuzz` gives them changed samples, the targets of `fuzz/` whatever leads to code that was not run yet.

use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use zkops::config::ServerConfig;
use zkops::forensics::inquiry::audit::Audit;
use zkops::forensics::inquiry::census::Census;
use zkops::forensics::inquiry::entry::Place;
use zkops::forensics::inquiry::life::Life;
use zkops::forensics::inquiry::line;
use zkops::forensics::inquiry::question::Question;
use zkops::forensics::inquiry::seen::{Read, Seen};
use zkops::forensics::inquiry::sizes::Sizes;
use zkops::forensics::inquiry::znode::{self, Lists};
use zkops::formats::log::{self, Spot, Step};
use zkops::formats::snapshot;
use zkops::operator::host::agent;
use zkops::server::process::stream::machine::client::{Openings, Requests};
use zkops::server::process::stream::machine::inbox::Framing;
use zkops::server::process::stream::machine::quorum::Packets;
use zkops::server::tree::snapshot::{Item, Loader, Scanner};
use zkops::server::tree::{Settings, Txn};
use zkops::server::zab::{Hello, Notification, Packet};
use zkops::wire::ids::Zxid;
use zkops::wire::jute::{self, FIELD_LEN_MAX, Writer};
use zkops::wire::proto::{ConnectRequest, OpCode, Request, RequestHeader};

/// A reader by the name of its samples' directory.
pub(crate) type Reader = (&'static str, fn(&[u8]));

pub(crate) const READERS: [Reader; 10] = [
    ("connect", connect),
    ("request", request),
    ("word", word),
    ("packet", packet),
    ("notification", notification),
    ("hello", hello),
    ("zoo-cfg", zoo_cfg),
    ("log", log),
    ("snapshot", snapshot),
    ("agent", agent),
];

fn connect(bytes: &[u8]) {
    if let Ok(request) = ConnectRequest::decode(Bytes::copy_from_slice(bytes)) {
        let mut w = Writer::new();
        request.encode(&mut w);
        assert_eq!(ConnectRequest::decode(w.finish()), Ok(request));
    }
}

fn request(bytes: &[u8]) {
    let mut r = jute::Reader::new(Bytes::copy_from_slice(bytes));
    let Ok(header) = RequestHeader::decode(&mut r) else { return };
    let Some(op) = OpCode::from_code(header.op) else { return };
    if let Ok(request) = Request::decode(op, &mut r) {
        let mut w = Writer::new();
        request.encode(&mut w);
        let again = Request::decode(op, &mut jute::Reader::new(w.finish()));
        assert_eq!(format!("{again:?}"), format!("Ok({request:?})"));
    }
}

fn word(bytes: &[u8]) {
    let is_word = |bytes: &[u8]| bytes == b"ruok" || bytes == b"mntr";
    drain(&mut Openings { is_word, len_max: 100 }, bytes, 1);
    drain(&mut Requests { len_max: 100 }, bytes, usize::MAX);
}

fn packet(bytes: &[u8]) {
    drain(&mut Packets::new(FIELD_LEN_MAX), bytes, usize::MAX);
    if let Ok(packet) = Packet::read(&mut jute::Reader::new(Bytes::copy_from_slice(bytes))) {
        assert_eq!(Packet::read(&mut jute::Reader::new(packet.encode())), Ok(packet));
    }
}

fn notification(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(payload)) = Notification::take_payload(&mut buffer) {
        let Ok(said) = Notification::decode(payload) else { continue };
        let again = Notification::take_payload(&mut BytesMut::from(&said.encode()[..]));
        let again = again.expect("it is framed well").expect("it is whole");
        let again = Notification::decode(again).expect("what is said can be read");
        assert_eq!((again.state, again.leader, again.round), (said.state, said.leader, said.round));
    }
}

fn hello(bytes: &[u8]) {
    if let Ok(Some(hello)) = Hello::take(&mut BytesMut::from(bytes)) {
        let again = Hello::take(&mut BytesMut::from(&hello.encode()[..]));
        assert_eq!(again.map(|again| again.map(|again| again.sid)), Ok(Some(hello.sid)));
    }
}

fn zoo_cfg(bytes: &[u8]) {
    let none = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let _ = ServerConfig::parse(Path::new("zoo.cfg"), bytes, &[], &none);
}

fn log(bytes: &[u8]) {
    log::beginning(bytes);
    let mut spot = Spot { offset: 16, after: Zxid::ZERO, txn_len_max: 4096 };
    let mut ahead = bytes.get(16..).unwrap_or_default();
    let (mut life, mut audit, question) = (Life::new("/orders"), Audit::new(None), Question::default());
    audit.begin("log.1");
    while let Step::Entry(entry) = log::entry(ahead, true, spot) {
        let _ = (entry.is_sound(), entry.mismatch(spot.offset));
        let txn = Bytes::copy_from_slice(entry.txn());
        audit.hear(&Seen::Txn { offset: spot.offset, txn: txn.clone() }, Some(Zxid(1)));
        if let Read::Txn(txn) = Read::of(&txn) {
            let answer = question.answer(&txn, &[]).expect("all is asked for");
            let shown = line::of(&txn, &question, &answer, true);
            assert!(!shown.contains(['\u{1b}', '\r', '\0']), "it would steer a terminal: {shown:?}");
            life.hear(Place { file: "log.1", offset: spot.offset }, &txn);
        }
        if let Ok(txn) = Txn::decode(Bytes::copy_from_slice(entry.txn())) {
            Txn::decode(txn.encode()).expect("what is written can be read");
        }
        spot.offset += entry.size() as u64;
        spot.after = log::zxid_of(entry.txn()).unwrap_or(spot.after);
        ahead = &ahead[entry.size()..];
    }
}

fn snapshot(bytes: &[u8]) {
    let (mut loader, mut scanner) = (Loader::new(Settings::default()), Scanner::new(0));
    let (mut census, mut sizes, mut lists) = (Census::default(), Sizes::new(3), Lists::default());
    let walked = snapshot::read(bytes, &mut |piece| {
        scanner.walk(piece, |item| {
            match &item {
                Item::Node(node) => {
                    sizes.hear(node);
                    let shown = znode::line(node, &lists, znode::Shown { stat: true, acl: true, data: true });
                    assert!(!shown.contains(['\u{1b}', '\r', '\0']), "it would steer a terminal: {shown:?}");
                }
                Item::Acl { id, list } => lists.define(*id, list),
                Item::Session { .. } => {}
            }
            census.hear(item);
            Ok(())
        })
    });
    if let Ok(trailer) = &walked {
        census.finish(trailer, None);
        assert!(loads(bytes) || !census.faults.is_empty(), "no server loads it, and nothing is said");
    }
    sizes.finish();
    let loaded = snapshot::read(bytes, &mut |piece| loader.feed(piece));
    assert!(walked.is_ok() || loaded.is_err(), "a tree that has no end");
}

/// Whether a tree can be made of it.
fn loads(bytes: &[u8]) -> bool {
    let mut loader = Loader::new(Settings::default());
    snapshot::read(bytes, &mut |piece| loader.feed(piece)).is_ok() && loader.finish().is_ok()
}

fn agent(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<agent::Request>(bytes) {
        serde_json::to_vec(&request).expect("what was read can be written");
    }
}

/// Takes frames off as a connection does, until there is no more to take.
fn drain<F: Framing>(framing: &mut F, bytes: &[u8], most: usize) {
    let mut buffer = BytesMut::from(bytes);
    for _ in 0..most.min(1 + bytes.len()) {
        match framing.take(&mut buffer) {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}
