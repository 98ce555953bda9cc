//! What `tests/run` says at its end is what its parts said, and a day without a failure is a good one.

use super::repository::root;
use crate::run::run;

/// Runs `parts` as `tests/run` does, strict shell and all: the closing line and the exit code.
fn closing(parts: &str) -> (String, i32) {
    let (lines, code) = whole(parts);
    (lines.last().cloned().unwrap_or_default(), code)
}

/// As [`closing`], with every line.
fn whole(parts: &str) -> (Vec<String>, i32) {
    let script =
        format!("set -euo pipefail; . tests/parts.sh; trap 'rm -f \"$output\"' EXIT\n{parts}\nfinish");
    let root = root().to_str().expect("names are UTF-8");
    let ended = run("env", &["-C", root, "bash", "-c", &script], &[]);
    (ended.stdout.lines().map(str::to_owned).collect(), ended.code)
}

#[test]
fn parts_that_failed_nothing_are_counted_and_end_well() {
    let nextest = "part tests echo '     Summary [ 282.1s] 800 tests run: 800 passed (2 slow), 5 skipped'";
    let simulator =
        "part simulator echo '5000 passed, 0 failed'\npart mutants echo 'mutants: 63 passed, 0 failed'";
    assert_eq!(closing(nextest), ("=== ok: 800 passed, 0 failed".to_owned(), 0));
    let whole = format!("{nextest}\n{simulator}");
    assert_eq!(closing(&whole), ("=== ok: 5863 passed, 0 failed".to_owned(), 0));
    // One line for each binary of cargo test; a doc test without tests counts for nothing.
    let cargo = "part tests printf 'test result: ok. %d passed; 0 failed; 1 ignored\\n' 700 71 0";
    assert_eq!(closing(cargo), ("=== ok: 771 passed, 0 failed".to_owned(), 0));
}

#[test]
fn a_part_that_failed_or_broke_or_ran_nothing_is_no_success() {
    let says = |text: &str, code: u8| {
        closing(&format!("part a sh -c \"echo '{text}'; exit {code}\"\npart b echo '5 passed, 0 failed'"))
    };
    let failed = |passed: u32, failed: u32| (format!("=== FAILED: {passed} passed, {failed} failed"), 1);
    let nextest = "9 tests run: 3 passed, 1 failed, 2 timed out, 3 exec failed, 0 skipped";
    assert_eq!(says(nextest, 100), failed(8, 6));
    assert_eq!(says("test result: FAILED. 6 passed; 1 failed; 0 ignored", 101), failed(11, 1));
    // A crash after the count, one before it, and a filter that matched nothing.
    assert_eq!(says("6 passed, 0 failed", 134), failed(11, 0));
    assert_eq!(says("error: could not compile", 101), failed(5, 0));
    assert_eq!(says("0 tests run: 0 passed, 800 skipped", 0), failed(5, 0));
}

/// A log of thousands of lines is often kept by its end alone.
#[test]
fn what_failed_is_told_again_at_the_end() {
    let cargo = "part tests sh -c 'echo \"test a::b ... FAILED\"; echo; echo failures:; echo; \
                 echo \"---- a::b stdout ----\"; echo \"panicked: left is not right\"; echo; echo failures:; \
                 echo \"    a::b\"; echo \"test result: FAILED. 6 passed; 1 failed\"; exit 101'";
    let simulator = "part simulator sh -c 'seq 1 3000; echo \"seed 7: FAILED durability: lost\"; echo 5 passed, 1 failed'";
    let (lines, code) = whole(&format!("{cargo}\n{simulator}"));
    let from = lines.iter().position(|line| line == "=== what failed").expect("what failed is told");
    let want = [
        "=== what failed",
        "test a::b ... FAILED",
        "    ---- a::b stdout ----",
        "    panicked: left is not right",
        "    ",
        "seed 7: FAILED durability: lost",
        "=== FAILED: 11 passed, 2 failed",
    ];
    assert_eq!((&lines[from..], code), (want.map(str::to_owned).as_slice(), 1));
}
