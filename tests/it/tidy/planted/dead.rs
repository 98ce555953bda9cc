//! Faults for the rules about what nobody uses.

use super::{check, sources};
use crate::tidy::rules::dead as rules;

#[test]
fn settings() {
    let config = "pub struct Settings {\n    pub used: u8,\n    pub asked: u8,\n    pub written: u8,\n    pub checked: u8,\n    \
        pub tested: u8,\n    own: u8,\n    pub taken: u8,\n}\nimpl Settings {\n    pub fn question(&self) -> u8 { self.asked }\n    \
        fn check(&self) -> bool { self.checked == 1 && self.own == 2 }\n}";
    let user = "fn f(s: &mut Settings) {\n    if s.used == 1 { s.question() }\n    s.written = 1;\n    let Settings { taken, .. } = s;\n}\n\
        #[cfg(test)]\nmod tests { fn t() { s.tested == 1 } }";
    let sources = sources(&[
        ("src/config/mod.rs", config),
        ("src/server/a.rs", user),
        ("tests/it/b.rs", "fn t() { s.tested == 1 }"),
    ]);
    check(
        &rules::settings(&sources, &["src/config", "src/gone"]),
        &["src/config/mod.rs:4", "src/config/mod.rs:5", "src/config/mod.rs:6", "src/gone:1"],
    );
}

#[test]
fn requests() {
    let protocol = "pub enum Request {\n    Facts,\n    ReadLock(Lock),\n    Later { a: A },\n    NoLonger,\n    Dead,\n    Tested,\n}\n\
        pub enum Response { Dead }";
    let sources = sources(&[
        ("src/host/agent/protocol.rs", protocol),
        ("src/host/calls.rs", "fn facts() { Request::Facts; Request::Dead }\nfn dead() { link.dead() }"),
        (
            "src/a.rs",
            "fn f() { link.facts(); Request::ReadLock(lock); link.no_longer() }\n#[cfg(test)]\nmod tests { fn t() { link.tested() } }",
        ),
        ("tests/it/b.rs", "fn t() { link.tested() }"),
    ]);
    let later = [("Later", "…"), ("NoLonger", "…"), ("Gone", "…")];
    check(
        &rules::requests(&sources, "src/host", "Request", &later),
        &[
            "src/host/agent/protocol.rs:5",
            "src/host/agent/protocol.rs:6",
            "src/host/agent/protocol.rs:7",
            "src/host:1",
        ],
    );
    check(&rules::requests(&sources, "src/host", "Question", &[]), &["src/host:1"]);
}

#[test]
fn public() {
    let room = "pub fn used() -> Answer {}\npub struct Answer { pub part: Part }\npub struct Part;\npub fn dead(a: Lonely) {}\n\
        pub struct Lonely;\npub(crate) fn own() {}\nimpl Answer {\n    pub const ONE: u8 = 1;\n    pub const TWO: u8 = 2;\n    \
        pub fn nobody(&self) {}\n}\nimpl Iterator for Answer { type Item = Yield; }\npub struct Yield;\n\
        pub const SIM: u8 = 1;\n#[cfg(test)]\npub fn for_tests() {}";
    let sources = sources(&[
        ("src/wing/room/mod.rs", room),
        ("src/wing/room/part.rs", "fn f() { dead(); nobody() }"),
        ("src/wing/other.rs", "use super::room;\nfn f() { room::used(); Answer::ONE }"),
        ("tests/sim/a.rs", "use zkops::wing::room::SIM;"),
    ]);
    check(
        &rules::public(&sources, &["wing"]),
        &["src/wing/room/mod.rs:4", "src/wing/room/mod.rs:5", "src/wing/room/mod.rs:10"],
    );
}

#[test]
fn shown() {
    let sources = sources(&[
        (
            "src/a/one.rs",
            "pub(super) fn used() -> Answer {}\npub(super) struct Answer;\npub(crate) fn alone() {}\npub fn seen() {}\nfn own() {}",
        ),
        ("src/a/two.rs", "use super::one::{seen, used};"),
    ]);
    check(&rules::shown(&sources), &["src/a/one.rs:3"]);
}
