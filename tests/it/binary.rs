//! The binary itself: one static file, small, that needs nothing around it.

use crate::run::{ZKOPS, run};

/// What a host must take (issue of the first release: 15 MB).
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
    // PT_INTERP would name a loader; a static program has none.
    assert!(!bytes.windows(12).any(|part| part == b"ld-linux-x86"), "the program asks for a loader");
    if cfg!(debug_assertions) {
        return; // only the profile that users get is held to the size
    }
    assert!(bytes.len() as u64 <= LEN_MAX, "{} bytes, at most {LEN_MAX}", bytes.len());
}
