//! The house rules that no compiler holds, held by reading the repository: who imports whom, which folder owns
//! a package, what never stands in the code, that what is shipped is used and what is documented exists.
//!
//! The rules are the tables below. A rule that is in the way is discussed and changed here, in the commit that
//! needs it. `held` holds the repository to them: every test shows all violations at once, as
//! `file:line: rule: what to do`.

mod held;
mod items;
mod planted;
mod repository;
mod rules;
mod source;
mod suite;

/// The wings of `src/`: folders whose rooms have rows of their own.
const WINGS: &[&str] = &["operator", "server", "wire"];

/// Every room, the ones of wings and the ones beside them, and what its product code may import. `ids` is
/// everybody's.
const IMPORTS: &[(&str, &[&str])] = &[
    // Wire: bytes and words.
    ("ids", &[]),
    ("jute", &[]),
    ("proto", &["jute"]),
    // Faults that tests switch on; the shipped program has none.
    ("mutants", &[]),
    // Server core.
    ("zab", &["jute", "mutants"]),
    ("tree", &["jute", "mutants", "proto"]),
    ("replica", &["jute", "mutants", "proto", "tree", "zab"]),
    // Server shell.
    ("store", &["jute", "mutants", "proto", "tree", "zab"]),
    ("process", &["jute", "proto", "replica", "store", "tree", "zab"]),
    // Client side.
    ("client", &["jute", "proto"]),
    ("shell", &["client", "jute", "proto"]),
    // Operator core.
    ("inventory", &[]),
    ("render", &["inventory"]),
    ("plan", &["inventory", "render"]),
    // Operator shell.
    ("transport", &[]),
    ("host", &["proto"]),
    ("report", &[]),
    ("observe", &["client", "host", "inventory", "plan", "proto", "transport"]),
    ("apply", &["client", "host", "observe", "plan", "proto", "report", "transport"]),
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
const PURE: &[&str] =
    &["ids", "inventory", "jute", "mutants", "plan", "proto", "render", "replica", "tree", "zab"];

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
    ("flate2", &["store", "transport"]),
    ("foldhash", &["replica", "process", "tree"]),
    ("futures-util", IMPURE),
    ("hashbrown", &["replica", "process", "tree"]),
    ("indicatif", &["report"]),
    // Dates: of logs, locks and journals, of what Stat shows; `plan` formats one that it is given. Durations typed.
    ("jiff", &["apply", "cli", "host", "plan", "process", "shell"]),
    ("russh", &["transport"]),
    ("rustix", &["cli", "host", "process", "store", "transport"]),
    ("rustyline", &["shell"]),
    ("saphyr", &["inventory"]),
    ("serde", ANYONE),
    // The host protocol's frames, the journal, `--json`.
    ("serde_json", &["apply", "cli", "host", "observe", "report"]),
    ("serde_yaml", &["inventory"]),
    ("sha1", &["proto", "transport"]),
    // Fingerprints of plans and files; no secret depends on it outside `transport`.
    ("sha2", &["host", "plan", "transport"]),
    ("shlex", &["host", "transport"]),
    ("simd-adler32", &["store"]),
    ("smallvec", &["replica", "tree"]),
    ("snap", &["store"]),
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
