//! Faults for the rules about words.

use super::{check, sources};
use crate::tidy::rules::words as rules;

#[test]
fn forbidden() {
    let sources = sources(&[
        ("src/a.rs", "// todo!()\nlet todo = \"todo!()\";\ntodo!();"),
        ("src/b.rs", "unsafe {}"),
        ("src/c.rs", "#![allow(unsafe_code)]\nunsafe {}"),
        ("src/d.rs", "a.unwrap_or(b)\n.unwrap();\n#[cfg(test)]\nmod t { a.unwrap() }"),
        ("tests/e.rs", "a.unwrap();\n#[ignore = \"slow\"]\nfn f() {}"),
    ]);
    let words: [(&[&str], _, _); 3] =
        [(&["todo", "!"], None, ""), (&["#", "[", "ignore"], None, ""), (&["unsafe"], Some("src/b.rs"), "")];
    check(&rules::forbidden(&sources, &words), &["src/a.rs:3", "src/c.rs:2", "src/d.rs:2", "tests/e.rs:2"]);
}

#[test]
fn sleeps() {
    let sources = sources(&[
        ("src/a.rs", "fn product() { sleep(1) }"),
        ("tests/b.rs", "fn wait() { while !(|| { ready() })() {\nif x { sleep(1) }\n}\nsleep(2);\n}"),
        (
            "tests/c.rs",
            "fn wait() { loop { sleep(1) } }\nfn named() { sleep(1) }\nfn for_luck() {\nthread::sleep(2) }",
        ),
    ]);
    check(&rules::sleeps(&sources, &[("tests/c.rs", "named", "…")]), &["tests/b.rs:4", "tests/c.rs:4"]);
}

#[test]
fn times() {
    let sources = sources(&[
        ("src/a.rs", "fn product() { debug_assert!(since.elapsed() < MAX) }"),
        ("tests/b.rs", "fn b() {\nassert!(f(since.elapsed()) < MAX, \"took\");\nfigure(since.elapsed());\n}"),
        (
            "tests/c.rs",
            "fn c() {\nlet took = since.elapsed();\nassert_eq!(\n(run(), \"it took\"), ());\nassert_ne!(\nran.took, MAX);\n}",
        ),
    ]);
    check(&rules::times(&sources), &["tests/b.rs:2", "tests/c.rs:6"]);
}

#[test]
fn places() {
    let text = "/etc/hosts\nin /etc/\nbuild/etc/x\nexample.org/x\nhttps://example.org\n";
    check(&rules::places("f", text, &["/etc/", "https://example"]), &["f:1", "f:2", "f:5"]);
}

#[test]
fn vocabulary() {
    let texts = r#"fn f() {
say("a node is gone");
say("Peers, and one node");
say("`node` stands in `nodes:`; nodes: [1, 2]; node-1, znode, {node}");
say("node");
key("nodes");
}
#[cfg(test)]
mod tests { fn t() { say("a node") } }"#;
    let sources = sources(&[("src/operator/a.rs", texts), ("src/server/b.rs", "fn f() { say(\"a node\") }")]);
    let banned: &[(&str, &str)] = &[("node", "member"), ("nodes", "members"), ("peers", "members")];
    let violations = rules::vocabulary(&sources, &[("src/operator/", banned)], &[("nodes", "…")]);
    check(
        &violations,
        &["src/operator/a.rs:2", "src/operator/a.rs:3", "src/operator/a.rs:3", "src/operator/a.rs:5"],
    );
}
