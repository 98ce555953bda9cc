//! The kinds of transactions by the names that people know them by.

use crate::wire::proto::OpCode;

/// Which kinds somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever makes a znode.
    Creates,
    /// Whatever takes one away, ends of sessions that had ephemerals included.
    Deletes,
    Only(OpCode),
}

impl Wanted {
    /// `None`: it is none of [`NAMES`], in whatever case.
    pub fn named(name: &str) -> Option<Wanted> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match () {
            () if is("create") => Some(Wanted::Creates),
            () if is("delete") => Some(Wanted::Deletes),
            () => KINDS.iter().find(|(other, _)| is(other)).map(|(_, kind)| Wanted::Only(*kind)),
        }
    }

    /// Whether a transaction of this kind, or one op of a multi, is meant.
    pub(super) fn takes(self, kind: i32) -> bool {
        let kind = OpCode::from_code(kind);
        match self {
            Wanted::Creates => matches!(
                kind,
                Some(OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl)
            ),
            Wanted::Deletes => matches!(kind, Some(OpCode::Delete | OpCode::DeleteContainer)),
            Wanted::Only(wanted) => kind == Some(wanted),
        }
    }
}

/// A transaction's kind in a word.
pub(super) fn name(kind: i32) -> String {
    let known = OpCode::from_code(kind).and_then(|op| KINDS.iter().find(|(_, kind)| *kind == op));
    known.map_or_else(|| format!("type {kind}"), |(name, _)| (*name).to_owned())
}

/// What can be asked for: `create` and `delete` are families, the others are themselves alone.
pub const NAMES: [&str; 14] = [
    "create",
    "delete",
    "setData",
    "setACL",
    "multi",
    "check",
    "createSession",
    "closeSession",
    "create2",
    "createContainer",
    "createTTL",
    "deleteContainer",
    "reconfig",
    "error",
];

const KINDS: [(&str, OpCode); 14] = [
    ("create", OpCode::Create),
    ("delete", OpCode::Delete),
    ("setData", OpCode::SetData),
    ("setACL", OpCode::SetAcl),
    ("multi", OpCode::Multi),
    ("check", OpCode::Check),
    ("createSession", OpCode::CreateSession),
    ("closeSession", OpCode::CloseSession),
    ("create2", OpCode::Create2),
    ("createContainer", OpCode::CreateContainer),
    ("createTTL", OpCode::CreateTtl),
    ("deleteContainer", OpCode::DeleteContainer),
    ("reconfig", OpCode::Reconfig),
    ("error", OpCode::Error),
];
