//! Everything that reads what others wrote, given bytes that nobody would write: samples of `tests/data/fuzz`, changed a
//! little, or much, by a fixed seed. No input may cause a panic, and what is read must read the same once more.
//!
//! It has no feedback from the code: the samples stand for its branches. `ZKOPS_FUZZ_INPUTS` makes it go on for longer,
//! `ZKOPS_FUZZ_SEED` elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use zkops::config::ServerConfig;
use zkops::formats::log::{self, Spot, Step};
use zkops::formats::snapshot;
use zkops::operator::host::agent;
use zkops::server::process::stream::machine::client::{Openings, Requests};
use zkops::server::process::stream::machine::inbox::Framing;
use zkops::server::process::stream::machine::quorum::Packets;
use zkops::server::tree::snapshot::{Loader, Scanner};
use zkops::server::tree::{Settings, Txn};
use zkops::server::zab::{Hello, Notification, Packet};
use zkops::wire::ids::Zxid;
use zkops::wire::jute::{FIELD_LEN_MAX, Reader, Writer};
use zkops::wire::proto::{ConnectRequest, OpCode, Request, RequestHeader};

/// Changed samples that each reader is given: a second or two of them all.
const INPUTS: usize = 20_000;
/// No changed sample is longer: what is long is for the tests of limits.
const LEN_MAX: usize = 64 * 1024;

#[test]
fn a_client_s_first_frame() {
    fuzz("connect", |bytes| {
        if let Ok(request) = ConnectRequest::decode(Bytes::copy_from_slice(bytes)) {
            let mut w = Writer::new();
            request.encode(&mut w);
            assert_eq!(ConnectRequest::decode(w.finish()), Ok(request));
        }
    });
}

#[test]
fn every_request() {
    fuzz("request", |bytes| {
        let mut r = Reader::new(Bytes::copy_from_slice(bytes));
        let Ok(header) = RequestHeader::decode(&mut r) else { return };
        let Some(op) = OpCode::from_code(header.op) else { return };
        if let Ok(request) = Request::decode(op, &mut r) {
            let mut w = Writer::new();
            request.encode(&mut w);
            let again = Request::decode(op, &mut Reader::new(w.finish()));
            assert_eq!(format!("{again:?}"), format!("Ok({request:?})"));
        }
    });
}

#[test]
fn frames_and_words_of_clients() {
    let is_word = |bytes: &[u8]| bytes == b"ruok" || bytes == b"mntr";
    fuzz("word", |bytes| {
        drain(&mut Openings { is_word, len_max: 100 }, bytes, 1);
        drain(&mut Requests { len_max: 100 }, bytes, usize::MAX);
    });
}

#[test]
fn packets_and_snapshot_streams_of_peers() {
    fuzz("packet", |bytes| {
        drain(&mut Packets::new(FIELD_LEN_MAX), bytes, usize::MAX);
        if let Ok(packet) = Packet::read(&mut Reader::new(Bytes::copy_from_slice(bytes))) {
            assert_eq!(Packet::read(&mut Reader::new(packet.encode())), Ok(packet));
        }
    });
}

#[test]
fn notifications() {
    fuzz("notification", |bytes| {
        let mut buffer = BytesMut::from(bytes);
        while let Ok(Some(payload)) = Notification::take_payload(&mut buffer) {
            let Ok(said) = Notification::decode(payload) else { continue };
            let again = Notification::take_payload(&mut BytesMut::from(&said.encode()[..]));
            let again = again.expect("it is framed well").expect("it is whole");
            let again = Notification::decode(again).expect("what is said can be read");
            assert_eq!((again.state, again.leader, again.round), (said.state, said.leader, said.round));
        }
    });
}

#[test]
fn hellos() {
    fuzz("hello", |bytes| {
        if let Ok(Some(hello)) = Hello::take(&mut BytesMut::from(bytes)) {
            let again = Hello::take(&mut BytesMut::from(&hello.encode()[..]));
            assert_eq!(again.map(|again| again.map(|again| again.sid)), Ok(Some(hello.sid)));
        }
    });
}

#[test]
fn zoo_cfg() {
    let none = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    fuzz("zoo-cfg", |bytes| {
        let _ = ServerConfig::parse(Path::new("zoo.cfg"), bytes, &[], &none);
    });
}

#[test]
fn logs() {
    fuzz("log", |bytes| {
        log::beginning(bytes);
        let mut spot = Spot { offset: 16, after: Zxid::ZERO, txn_len_max: 4096 };
        let mut ahead = bytes.get(16..).unwrap_or_default();
        while let Step::Entry(entry) = log::entry(ahead, true, spot) {
            let _ = (entry.is_sound(), entry.mismatch(spot.offset));
            if let Ok(txn) = Txn::decode(Bytes::copy_from_slice(entry.txn())) {
                Txn::decode(txn.encode()).expect("what is written can be read");
            }
            spot.offset += entry.size() as u64;
            spot.after = log::zxid_of(entry.txn()).unwrap_or(spot.after);
            ahead = &ahead[entry.size()..];
        }
    });
}

#[test]
fn snapshots() {
    fuzz("snapshot", |bytes| {
        let (mut loader, mut scanner) = (Loader::new(Settings::default()), Scanner::new(0));
        let walked = snapshot::read(bytes, &mut |piece| scanner.feed(piece));
        let loaded = snapshot::read(bytes, &mut |piece| loader.feed(piece));
        assert!(walked.is_ok() || loaded.is_err(), "a tree that has no end");
    });
}

#[test]
fn what_the_host_agent_is_asked() {
    fuzz("agent", |bytes| {
        if let Ok(request) = serde_json::from_slice::<agent::Request>(bytes) {
            serde_json::to_vec(&request).expect("what was read can be written");
        }
    });
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

/// Gives a reader all samples of a kind as they are, and then changed.
fn fuzz(kind: &str, read: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let samples = samples(kind);
    assert!(!samples.is_empty(), "there is no sample of a {kind}");
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let inputs = number("ZKOPS_FUZZ_INPUTS").map_or(INPUTS, |inputs| inputs as usize);
    let mut rng = Rng::with_seed(number("ZKOPS_FUZZ_SEED").unwrap_or(0));
    let as_they_are = samples.clone();
    let changed = std::iter::repeat_with(|| changed(&mut rng, &samples)).take(inputs);
    for bytes in as_they_are.into_iter().chain(changed) {
        if std::panic::catch_unwind(|| read(&bytes)).is_err() {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            panic!("the reader of a {kind} panics; keep this as a sample: {hex}");
        }
    }
}

fn samples(kind: &str) -> Vec<Vec<u8>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let in_dir = |dir: PathBuf, prefix: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        entries
            .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix)))
            .collect()
    };
    let mut paths = in_dir(data.join("fuzz").join(kind), "");
    // Files of the reference are samples, too.
    let apache = data.join("apache-3.8/version-2");
    paths.extend(match kind {
        "log" => in_dir(apache, "log."),
        "snapshot" => vec![apache.join("snapshot.0")],
        _ => Vec::new(),
    });
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a sample can be read")).collect()
}

/// One of the samples, or two halves of two, changed in a few places.
fn changed(rng: &mut Rng, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = samples[rng.usize(0..samples.len())].clone();
    if rng.u8(0..8) == 0 {
        let other = &samples[rng.usize(0..samples.len())];
        bytes.truncate(rng.usize(0..=bytes.len()));
        bytes.extend_from_slice(&other[rng.usize(0..=other.len())..]);
    }
    for _ in 0..1 << rng.u32(0..5) {
        change(rng, &mut bytes);
    }
    bytes.truncate(LEN_MAX);
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = rng.usize(0..=bytes.len());
    let to = (at + rng.usize(0..=16)).min(bytes.len());
    match rng.u8(0..9) {
        0..=1 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(0..8),
        2 if at < bytes.len() => bytes[at] = rng.u8(..),
        // Lengths, counts and codes are four bytes; ids are eight.
        3..=5 if at + 4 <= bytes.len() => {
            let values = [0, -1, 1, i32::MAX, i32::MIN, bytes.len() as i32, rng.i32(-20..200), 0x10_0000];
            bytes[at..at + 4].copy_from_slice(&values[rng.usize(0..values.len())].to_be_bytes());
        }
        6 => drop(bytes.drain(at..to)),
        7 => {
            let piece = bytes[at..to].to_vec();
            bytes.splice(at..at, piece);
        }
        8 => bytes.truncate(at),
        _ => bytes.insert(at, rng.u8(..)),
    }
}
