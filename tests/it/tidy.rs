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

/// The wings and rooms of the package that is built for speed; everything else stands in `src/`.
const ENGINE: &[&str] = &["config", "ensemble", "formats", "server", "wire"];

/// The wings: folders whose rooms have rows of their own.
const WINGS: &[&str] = &["forensics", "operator", "server", "wire"];

/// Every room, the ones of wings and the ones beside them, and what its product code may import. `ids` is
/// everybody's.
const IMPORTS: &[(&str, &[&str])] = &[
    // Wire: bytes and words.
    ("ids", &[]),
    ("jute", &[]),
    ("proto", &["jute"]),
    // Rooms for both sides: what stands in files, who belongs to an ensemble, what zoo.cfg says.
    ("formats", &["jute"]),
    ("ensemble", &["formats"]),
    ("config", &["ensemble", "formats"]),
    // Faults that tests switch on; the shipped program has none.
    ("mutants", &[]),
    // Server core.
    ("zab", &["ensemble", "jute", "mutants"]),
    ("tree", &["jute", "mutants", "proto"]),
    ("replica", &["jute", "mutants", "proto", "tree", "zab"]),
    // Server shell.
    ("store", &["formats", "jute", "mutants", "tree", "zab"]),
    ("process", &["config", "ensemble", "jute", "proto", "replica", "store", "tree", "zab"]),
    // Client side.
    ("client", &["jute", "proto"]),
    ("shell", &["client", "proto"]),
    // Who looks at a server's files, long after.
    ("inquiry", &["formats", "jute", "proto", "tree"]),
    ("evidence", &["config", "formats", "inquiry", "jute", "store", "tree"]),
    // Operator core.
    ("inventory", &["formats"]),
    ("render", &["ensemble", "formats", "inventory"]),
    ("plan", &["config", "ensemble", "formats", "inventory"]),
    // Operator shell.
    ("transport", &[]),
    ("host", &["config", "formats"]),
    ("report", &[]),
    ("fleet", &["client", "formats", "host", "plan", "transport"]),
    ("observe", &["client", "fleet", "formats", "host", "plan", "proto"]),
    ("apply", &["fleet", "formats", "host", "observe", "plan", "report"]),
    (
        "operate",
        &[
            "apply",
            "config",
            "fleet",
            "formats",
            "host",
            "inventory",
            "observe",
            "plan",
            "render",
            "report",
            "transport",
        ],
    ),
    // Top.
    (
        "cli",
        &[
            "evidence",
            "host",
            "inquiry",
            "operate",
            "plan",
            "process",
            "report",
            "shell",
            "transport",
            "tree",
        ],
    ),
    ("main.rs", &["cli"]),
];

const WIRE: &[&str] = &["ids", "jute", "proto"];
const SERVER_SIDE: &[&str] = &["process", "replica", "store", "tree", "zab"];
const OPERATOR_SIDE: &[&str] =
    &["apply", "fleet", "host", "inventory", "observe", "operate", "plan", "render", "report", "transport"];

/// Functions of (state, event, now): no socket, file, clock, thread, environment, randomness or hash order.
const PURE: &[&str] = &[
    "config",
    "ensemble",
    "formats",
    "ids",
    "inquiry",
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
const IMPURE: &[&str] = &[
    "apply",
    "cli",
    "client",
    "evidence",
    "fleet",
    "host",
    "observe",
    "operate",
    "process",
    "shell",
    "store",
    "transport",
];

/// Records, errors and encodings that any folder may use.
const ANYONE: &[&str] = &["*"];

/// Every package of Cargo.toml and the folders whose product code may name it.
const PACKAGES: &[(&str, &[&str])] = &[
    ("annotate-snippets", &["inventory"]),
    ("anyhow", &["apply", "fleet", "operate"]),
    ("base64", &["host", "inquiry", "proto", "shell"]),
    ("bytes", ANYONE),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("comfy-table", &["report"]),
    ("crc32fast", &["tree"]),
    ("dialoguer", &["cli"]),
    ("flate2", &["formats", "transport"]),
    ("foldhash", &["replica", "process", "tree"]),
    ("futures-util", IMPURE),
    ("hashbrown", &["replica", "process", "tree"]),
    ("indicatif", &["report"]),
    // Dates: of logs, locks and journals, of what Stat shows; `plan` formats one that it is given. Durations typed.
    ("jiff", &["apply", "cli", "host", "inquiry", "operate", "plan", "process", "shell"]),
    ("russh", &["transport"]),
    ("rustix", &["cli", "host", "operate", "process", "store", "transport"]),
    ("rustyline", &["shell"]),
    ("saphyr", &["inventory"]),
    ("serde", ANYONE),
    // The host protocol's frames, the journal, `--json`.
    ("serde_json", &["fleet", "formats", "host", "inventory", "operate", "report"]),
    ("serde_yaml", &["inventory"]),
    ("sha1", &["proto", "transport"]),
    // Fingerprints of plans, files and znodes; no secret depends on it outside `transport`.
    ("sha2", &["host", "inquiry", "plan", "transport"]),
    ("shlex", &["host", "transport"]),
    ("simd-adler32", &["formats"]),
    ("smallvec", &["replica", "tree"]),
    // `store` has a room of that name.
    ("snap", &["formats", "store"]),
    ("socket2", &["process"]),
    ("ssh2-config", &["transport"]),
    // The record of the last deployment, and the copy of a log's beginning: there whole or not at all.
    ("tempfile", &["evidence", "operate"]),
    ("tera", &["render"]),
    ("thiserror", ANYONE),
    ("tokio", IMPURE),
    ("tracing", IMPURE),
    ("tracing-subscriber", &["cli"]),
    ("which", &["host"]),
    ("zeroize", &["transport"]),
    // Handed on under the names of its wings.
    ("zkops-engine", &["lib.rs"]),
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
const SLEEPS: &[(&str, &str, &str)] = &[
    (
        "src/operator/transport/tests/local.rs",
        "deadlines_stand_still_while_a_human_is_asked",
        "the sleep is the human's time, which the test is about",
    ),
    (
        "tests/it/setup.rs",
        "somebody_looks_the_password_up",
        "the sleep is the human's time, which the test is about",
    ),
];

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

/// Wings and rooms beside them from the lowest up: product code imports nothing that stands later.
const ORDER: &[&str] = &[
    "wire",
    "formats",
    "ensemble",
    "config",
    "report",
    "server",
    "client",
    "shell",
    "forensics",
    "operator",
    "cli",
    "main.rs",
];

const FUNCTION_LINES_MAX: usize = 70;

/// Modules of faults that tests plant, and the room that has them.
const HOOKS: &[&str] = &["bent", "mutants"];
const HOOKS_HOME: &str = "engine/src/server/mutants/";

/// Folders whose public structs are what a file says, key by key.
const SETTINGS: &[&str] = &["engine/src/config"];

/// The enum of requests, by folder and name, and those that nobody sends yet, with who will.
const REQUESTS: (&str, &str) = ("src/operator/host", "Request");
const REQUESTS_LATER: &[(&str, &str)] =
    &[("FileSha256", "upgrades compare what is there with what is pushed")];

/// Words that a wing does not say, and what it says instead: ARCHITECTURE.md has the list.
const VOCABULARY: &[(&str, &[(&str, &str)])] = &[
    ("src/operator/", OPERATORS_WORDS),
    ("src/forensics/", OPERATORS_WORDS),
    ("src/cli/", OPERATORS_WORDS),
    ("src/report/", OPERATORS_WORDS),
];
const OPERATORS_WORDS: &[(&str, &str)] = &[
    ("node", "`member` (a line of the inventory), `host` (a machine) or `znode`"),
    ("nodes", "`members`, `hosts` or `znodes`"),
    ("participant", "`voter`"),
    ("participants", "`voters`"),
    ("peer", "`member`"),
    ("peers", "`members`, or \"the others\""),
];

/// Texts that are keys of what people and programs write, each with its place.
const VOCABULARY_KEYS: &[(&str, &str)] =
    &[("nodes", "the inventory and `--json`"), ("participant", "the inventory's `role:`")];

/// What breaks a rule for a while: the rule, where, and who mends it or why not. A row that covers nothing any more
/// is a violation.
const KNOWN: &[(&str, &str, &str)] = &[
    ("hooks", "engine/src/server/zab/broadcast.rs", "a commit asks two rules, each on one line"),
    ("hooks", "engine/src/server/zab/learner.rs", "two rules of one table of stages, each on one line"),
    (
        "hooks",
        "engine/src/server/zab/sync.rs",
        "what is sent and behind what it is held back: two rules, each on one line",
    ),
    ("public", "engine/src/server/process/stream/machine/", "public for the simulator, which is to run it"),
    (
        "public",
        "engine/src/server/zab/membership.rs",
        "static for now: reconfiguration will propose and activate",
    ),
];
