//! Everything that reads what others wrote, given bytes that nobody would write: samples of `tests/data/fuzz`, changed a
//! little, or much, by a fixed seed. No input may cause a panic, and what is read must read the same once more.
//!
//! It has no feedback from the code: the samples stand for its branches. `ZKOPS_FUZZ_INPUTS` makes it go on for longer,
//! `ZKOPS_FUZZ_SEED` elsewhere.

mod readers;

use std::path::{Path, PathBuf};

use fastrand::Rng;

use readers::READERS;

/// Changed samples that each reader is given: a second or two of them all.
const INPUTS: usize = 20_000;
/// No changed sample is longer: what is long is for the tests of limits.
const LEN_MAX: usize = 64 * 1024;

#[test]
fn a_client_s_first_frame() {
    fuzz("connect");
}

#[test]
fn every_request() {
    fuzz("request");
}

#[test]
fn frames_and_words_of_clients() {
    fuzz("word");
}

#[test]
fn packets_and_snapshot_streams_of_peers() {
    fuzz("packet");
}

#[test]
fn notifications() {
    fuzz("notification");
}

#[test]
fn hellos() {
    fuzz("hello");
}

#[test]
fn zoo_cfg() {
    fuzz("zoo-cfg");
}

#[test]
fn logs() {
    fuzz("log");
}

#[test]
fn snapshots() {
    fuzz("snapshot");
}

#[test]
fn what_the_host_agent_is_asked() {
    fuzz("agent");
}

/// Gives a reader all samples of a kind as they are, and then changed.
fn fuzz(kind: &str) {
    let read = READERS.iter().find(|(name, _)| *name == kind).expect("a reader of that name").1;
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
