//! The binary itself: one static file, small, that needs nothing around it.

use zkops::server::mutants::Mutant;

use crate::run::{ZKOPS, run};

/// The kind of program header that names a loader; a static program has none.
const PT_INTERP: u32 = 3;

/// What a host must take (docs/performance.md): it is sent to every one.
const LEN_MAX: u64 = 15_000_000;

#[test]
fn it_runs_in_an_empty_root_directory() {
    let root = tempfile::tempdir().expect("a temporary directory");
    std::fs::copy(ZKOPS, root.path().join("zkops")).expect("the program is built");
    let root = root.path().display().to_string();
    run("chroot", &[&root, "/zkops", "--version"], &[]).ok().says("zkops");
    // Also what needs entropy, a clock and the name service: a server that finds no zoo.cfg says so.
    run("chroot", &[&root, "/zkops", "server", "/zoo.cfg"], &[]).expect(2).says("/zoo.cfg");
}

#[test]
fn it_is_static_and_small_enough() {
    let bytes = std::fs::read(ZKOPS).expect("the program is built");
    assert!(!program_headers(&bytes).contains(&PT_INTERP), "the program asks for a loader");
    if cfg!(debug_assertions) {
        return; // only the profile that users get is held to the size
    }
    assert!(bytes.len() as u64 <= LEN_MAX, "{} bytes, at most {LEN_MAX}", bytes.len());
}

/// What the simulator's faults are called stands only in a program that could make them.
#[test]
fn no_mutant_is_built_in() {
    let bytes = std::fs::read(ZKOPS).expect("the program is built");
    let stands = |name: &str| bytes.windows(name.len()).any(|found| found == name.as_bytes());
    let built_in: Vec<&str> = Mutant::NAMES.into_iter().filter(|name| stands(name)).collect();
    assert!(built_in.is_empty(), "the program can be made to misbehave: {built_in:?}");
}

/// The kinds of a 64-bit little-endian ELF file's program headers.
fn program_headers(elf: &[u8]) -> Vec<u32> {
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "a 64-bit little-endian program");
    let number = |at: usize, len: usize| {
        elf[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)) as usize
    };
    let (table, len, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).map(|at| number(table + at * len, 4) as u32).collect()
}
