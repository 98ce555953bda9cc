//! Faults for the rule about the style of imports.

use super::{check, sources};
use crate::tidy::rules::uses as rules;

#[test]
fn uses() {
    let good = "//! A.\nmod part;\n\nuse std::fmt::{self, Debug};\nuse std::io;\n\nuse bytes::Bytes;\n\nuse crate::b::C;\n\
        pub use part::D;\nuse part::E as F;\nuse super::g;\n";
    let sources = sources(&[
        ("src/good.rs", good),
        ("src/nested.rs", "use std::{\nfmt::Debug,\nio,\n};\nfn f() { use crate::{a::{B, C}, d}; }"),
        ("src/order.rs", "use crate::a;\n\nuse std::io;\n\nuse bytes::Bytes;"),
        ("src/joined.rs", "use std::io;\nuse bytes::Bytes;\nuse crate::a;"),
        ("src/torn.rs", "use std::io;\n\nuse std::fmt;"),
        ("src/inner.rs", "use std::io;\n#[cfg(test)]\nmod tests {\n    use std::io;\n    use super::f;\n}"),
        ("src/own.rs", "mod part;\nuse bytes::Bytes;\nuse part::A;"),
        ("tests/it/a.rs", "use zkops::b;\nuse std::io;"),
    ]);
    check(
        &rules::uses(&sources),
        &[
            "src/nested.rs:2",
            "src/nested.rs:5",
            "src/order.rs:3",
            "src/joined.rs:2",
            "src/joined.rs:3",
            "src/torn.rs:3",
            "src/inner.rs:5",
            "src/own.rs:3",
            "tests/it/a.rs:2",
        ],
    );
}
