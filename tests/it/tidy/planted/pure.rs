//! Faults for the rules about pure folders.

use super::{check, sources};
use crate::tidy::rules::pure::{self as rules, Pure};

#[test]
fn pure() {
    let deny = "#![deny(clippy::disallowed_methods, clippy::disallowed_types)]\n";
    let fields = "struct S { a: HashMap<K, HashMap<K, V, Fixed>>,\nb: HashMap<K, Vec<V>, Fixed> }";
    let sources = sources(&[
        ("src/a/mod.rs", &format!("{deny}use std::{{fmt, net::{{IpAddr,\nTcpStream}}}};")),
        ("src/b/mod.rs", fields),
        ("src/b/file.rs", "fn f() { std::fs::read(p) }\n#[cfg(test)]\nfn g() { std::fs::read(p) }"),
        ("src/shell/mod.rs", "use std::net::TcpStream;"),
    ]);
    let law = Pure {
        wings: &[],
        folders: &["a", "b"],
        paths: &["std::fs", "std::net::TcpStream"],
        hasher: "Fixed",
    };
    check(
        &rules::pure(&sources, &law),
        &["src/a/mod.rs:3", "src/b/mod.rs:1", "src/b/mod.rs:1", "src/b/file.rs:1"],
    );
}
