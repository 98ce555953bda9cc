//! The house rules that no compiler holds, held by reading the repository: who imports whom, which folder owns
//! a package, what never stands in the code, that what is shipped is used and what is documented exists.
//!
//! The rules are the tables below. A rule that is in the way is discussed and changed here, in the commit that
//! needs it. Every test shows all violations at once, as `file:line: rule: what to do`.

mod planted;
mod rules;
mod source;
mod suite;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use crate::run::{ZKOPS, run};
use rules::Pure;
use source::Source;

/// The wings of `src/`: folders whose rooms have rows of their own.
const WINGS: &[&str] = &["operator", "server", "wire"];

/// Every room, the ones of wings and the ones beside them, and what its product code may import. `ids` is
/// everybody's.
const IMPORTS: &[(&str, &[&str])] = &[
    // Wire: bytes and words.
    ("ids", &[]),
    ("jute", &[]),
    ("proto", &["jute"]),
    // Rooms for both sides: what stands in files, what zoo.cfg says.
    ("config", &["ensemble", "formats"]),
    ("ensemble", &["formats"]),
    ("formats", &["jute"]),
    // Faults that tests switch on; the shipped program has none.
    ("mutants", &[]),
    // Server core.
    ("zab", &["ensemble", "jute", "mutants"]),
    ("tree", &["jute", "mutants", "proto"]),
    ("replica", &["jute", "mutants", "proto", "tree", "zab"]),
    // Server shell.
    ("store", &["formats", "jute", "mutants", "proto", "tree", "zab"]),
    ("process", &["config", "ensemble", "jute", "proto", "replica", "store", "tree", "zab"]),
    // Client side.
    ("client", &["jute", "proto"]),
    ("shell", &["client", "jute", "proto"]),
    // Operator core.
    ("inventory", &[]),
    ("render", &["ensemble", "formats", "inventory"]),
    ("plan", &["ensemble", "formats", "inventory", "render"]),
    // Operator shell.
    ("transport", &[]),
    ("host", &["formats", "proto"]),
    ("report", &[]),
    ("observe", &["client", "host", "inventory", "plan", "proto", "transport"]),
    ("apply", &["client", "formats", "host", "observe", "plan", "proto", "report", "transport"]),
    // Top.
    (
        "cli",
        &[
            "apply",
            "client",
            "host",
            "inventory",
            "jute",
            "observe",
            "plan",
            "process",
            "proto",
            "render",
            "replica",
            "report",
            "shell",
            "store",
            "transport",
            "tree",
            "zab",
        ],
    ),
    ("main.rs", &["cli"]),
];

const WIRE: &[&str] = &["ids", "jute", "proto"];
const SERVER_SIDE: &[&str] = &["process", "replica", "store", "tree", "zab"];
const OPERATOR_SIDE: &[&str] =
    &["apply", "host", "inventory", "observe", "plan", "render", "report", "transport"];

/// Functions of (state, event, now): no socket, file, clock, thread, environment, randomness or hash order.
const PURE: &[&str] = &[
    "config",
    "ensemble",
    "formats",
    "ids",
    "inventory",
    "jute",
    "mutants",
    "plan",
    "proto",
    "render",
    "replica",
    "tree",
    "zab",
];

/// What waits, reads and writes: everything that is not pure.
const IMPURE: &[&str] =
    &["apply", "cli", "client", "host", "observe", "process", "shell", "store", "transport"];

/// Records, errors and encodings that any folder may use.
const ANYONE: &[&str] = &["*"];

/// Every package of Cargo.toml and the folders whose product code may name it.
const PACKAGES: &[(&str, &[&str])] = &[
    ("annotate-snippets", &["inventory"]),
    ("anyhow", &["apply", "cli", "observe"]),
    ("base64", &["host", "proto", "shell", "transport"]),
    ("bytes", ANYONE),
    ("clap", &["cli"]),
    ("comfy-table", &["report"]),
    ("crc32fast", &["tree"]),
    ("dialoguer", &["cli"]),
    ("flate2", &["formats", "transport"]),
    ("foldhash", &["replica", "process", "tree"]),
    ("futures-util", IMPURE),
    ("hashbrown", &["replica", "process", "tree"]),
    ("humantime", &["cli"]),
    ("indicatif", &["report"]),
    // Dates: of logs, locks and journals, of what Stat shows; `plan` formats one that it is given.
    ("jiff", &["apply", "host", "plan", "process", "shell"]),
    ("russh", &["transport"]),
    ("rustix", &["cli", "host", "process", "store", "transport"]),
    ("rustyline", &["shell"]),
    ("saphyr", &["inventory"]),
    ("serde", ANYONE),
    // The host protocol's frames, the journal, `--json`.
    ("serde_json", &["apply", "cli", "formats", "host", "observe", "report"]),
    ("serde_yaml", &["inventory"]),
    ("sha1", &["proto", "transport"]),
    // Fingerprints of plans and files; no secret depends on it outside `transport`.
    ("sha2", &["host", "plan", "transport"]),
    ("shlex", &["host", "transport"]),
    ("simd-adler32", &["formats"]),
    ("smallvec", &["replica", "tree"]),
    // `store` has a room of that name.
    ("snap", &["formats", "store"]),
    ("socket2", &["process"]),
    ("ssh2-config", &["transport"]),
    // The record of the last deployment is replaced whole or not at all.
    ("tempfile", &["cli"]),
    ("tera", &["render"]),
    ("thiserror", ANYONE),
    ("tokio", IMPURE),
    ("tracing", IMPURE),
    ("tracing-subscriber", &["cli"]),
    ("which", &["host", "transport"]),
    ("zeroize", &["transport"]),
    ("fastrand", &[]),
    ("proptest", &[]),
];

/// Paths that no pure folder may spell. `clippy.toml` has the longer list, which sees through names.
const IMPURE_PATHS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash::RandomState",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "jiff::tz::TimeZone::system",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "getrandom",
    "rand",
    "rustix",
    "tokio",
    "tracing",
];

/// Words that stand nowhere, tests included, except in one named file.
const FORBIDDEN: &[(&[&str], Option<&str>, &str)] = &[
    (&["todo", "!"], None, "finish it"),
    (&["unimplemented", "!"], None, "finish it"),
    (&["dbg", "!"], None, "take it out"),
    (&["#", "[", "ignore"], None, "a test that does not run protects nothing: make it pass or delete it"),
    (&["unsafe"], Some("src/name_service.rs"), "there is one reviewed exception; use a maintained package"),
];

/// Tests wait for conditions, in loops with a deadline; these sleeps are not for luck.
const SLEEPS: &[(&str, &str, &str)] = &[(
    "src/operator/transport/tests/local.rs",
    "deadlines_stand_still_while_a_human_is_asked",
    "the sleep is the human's time, which the test is about",
)];

const LINES_MAX: usize = 500;

/// Files longer than that, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// What is true on one machine or in one network alone.
const PLACES: &[&str] = &[
    "/work/",
    "/tmp/bash_jobs",
    "crates.io/api",
    "index.crates.io",
    "static.crates.io",
    "pypi.org",
    "files.pythonhosted.org",
    "deb.debian.org",
    "security.debian.org",
    "snapshot.debian.org",
    "archive.ubuntu.com",
    "archive.apache.org",
    "dlcdn.apache.org",
    "repo1.maven.org",
    "repo.maven.apache.org",
    "registry.npmjs.org",
    "proxy.golang.org",
];

/// The list itself, and what cargo writes.
const PLACES_MAY_STAND_IN: &[&str] = &["tests/it/tidy.rs", "Cargo.lock"];

#[test]
fn folders_import_only_what_the_table_allows() {
    let is_code = |name: &String| !["lib.rs", "mod.rs", "name_service.rs"].contains(&name.as_str());
    let (wings, beside): (Vec<String>, Vec<String>) =
        entries("src").into_iter().filter(is_code).partition(|name| WINGS.contains(&name.as_str()));
    let inside = wings.iter().flat_map(|wing| entries(format!("src/{wing}"))).filter(is_code);
    let rooms = beside.into_iter().chain(inside).collect();
    let mut violations = rules::rows("IMPORTS", IMPORTS.iter().map(|(room, _)| *room), &rooms);
    violations.extend(rules::imports(&SOURCES, WINGS, IMPORTS));
    verdict(violations);
}

#[test]
fn the_table_keeps_the_layers_apart() {
    let may = |folders: &[&str], forbidden: &dyn Fn(&str) -> bool| {
        let rows = IMPORTS.iter().filter(|(folder, _)| folders.contains(folder));
        rows.flat_map(|(folder, allowed)| allowed.iter().map(move |other| (*folder, *other)))
            .filter(|(_, other)| forbidden(other))
            .collect::<Vec<_>>()
    };
    assert_eq!(may(WIRE, &|other| !WIRE.contains(&other)), [], "wire imports nothing above it");
    assert_eq!(may(PURE, &|other| !PURE.contains(&other)), [], "pure folders import only pure folders");
    assert_eq!(may(SERVER_SIDE, &|other| OPERATOR_SIDE.contains(&other)), [], "the server knows no operator");
    assert_eq!(
        may(OPERATOR_SIDE, &|other| SERVER_SIDE.contains(&other)),
        [],
        "the operator talks to servers as any client would"
    );
}

#[test]
fn every_package_has_its_owner_and_is_used() {
    let manifest = text("Cargo.toml");
    let packages = rules::dependencies(&manifest);
    let mut violations = rules::rows("PACKAGES", PACKAGES.iter().map(|(package, _)| *package), &packages);
    violations.extend(rules::packages(&SOURCES, WINGS, PACKAGES));
    verdict(violations);
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    verdict(rules::files(&SOURCES, LINES_MAX, LONG));
}

#[test]
fn nothing_unfinished_and_no_panic_for_want_of_a_reason() {
    verdict(rules::forbidden(&SOURCES, FORBIDDEN));
}

#[test]
fn tests_wait_for_conditions_and_not_for_luck() {
    verdict(rules::sleeps(&SOURCES, SLEEPS));
}

#[test]
fn pure_folders_are_functions_of_their_arguments() {
    verdict(rules::pure(
        &SOURCES,
        &Pure { wings: WINGS, folders: PURE, paths: IMPURE_PATHS, hasher: "FixedState" },
    ));
}

#[test]
fn every_template_is_built_in_and_every_inventory_is_tested() {
    let mut violations = rules::included(&SOURCES, &below("templates"), false);
    violations.extend(rules::included(&SOURCES, &below("inventories"), true));
    verdict(violations);
}

#[test]
fn every_command_of_the_readme_exists() {
    let help = run(ZKOPS, &["--help"], &[]).ok().stdout;
    let documents = below("docs").into_iter().filter(|path| path.ends_with(".md"));
    let violations = documents
        .chain(["README.md".to_owned()])
        .flat_map(|path| rules::commands(&path, &text(&path), &rules::verbs(&help)))
        .collect();
    verdict(violations);
}

#[test]
fn nothing_depends_on_one_machine_or_one_registry() {
    let texts = below("")
        .into_iter()
        .filter(|path| !PLACES_MAY_STAND_IN.contains(&path.as_str()))
        .filter_map(|path| Some((fs::read_to_string(root().join(&path)).ok()?, path)));
    verdict(texts.flat_map(|(text, path)| rules::places(&path, &text, PLACES)).collect());
}

#[track_caller]
fn verdict(violations: Vec<String>) {
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let files = ["src", "tests", "benches", "fuzz"].into_iter().flat_map(below);
    source::read(files.filter(|path| path.ends_with(".rs")).map(|path| (path.clone(), text(&path))).collect())
});

#[track_caller]
fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder, as paths from the root; none when there is no such folder.
fn below(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for name in entries(&folder).into_iter().filter(|name| name != ".git" && name != "target") {
            let path = folder.join(name);
            match root().join(&path).is_dir() {
                true => folders.push(path),
                false => files.push(path.to_str().expect("names are UTF-8").to_owned()),
            }
        }
    }
    files.sort();
    files
}

fn entries(folder: impl AsRef<Path>) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
    entries
        .map(|entry| entry.expect("a folder can be read").file_name().into_string().expect("names are UTF-8"))
        .collect()
}
