//! How far what was read reaches: an answer is as good as the logs it was looked for in.

use serde::Serialize;

use super::text;
use crate::wire::ids::Zxid;

/// What was read.
#[derive(Debug, Default)]
pub struct Coverage {
    pub files: u64,
    pub txns: u64,
    pub damages: u64,
    /// Transactions of a kind that this version does not know.
    pub unknown: u64,
    first: Option<(Zxid, i64)>,
    last: Option<(Zxid, i64)>,
}

/// The same, for machines.
#[derive(Debug, Serialize)]
pub struct Covered {
    files: u64,
    txns: u64,
    damages: u64,
    unknown: u64,
    first_zxid: Option<String>,
    first_time: Option<String>,
    last_zxid: Option<String>,
    last_time: Option<String>,
}

impl Coverage {
    /// A transaction was read.
    pub fn txn(&mut self, zxid: Zxid, time_ms: i64) {
        self.txns += 1;
        if self.first.is_none_or(|(first, _)| zxid < first) {
            self.first = Some((zxid, time_ms));
        }
        if self.last.is_none_or(|(last, _)| last <= zxid) {
            self.last = Some((zxid, time_ms));
        }
    }

    /// The whole was read: nothing was damaged, nothing unknown.
    pub fn is_whole(&self) -> bool {
        self.damages == 0 && self.unknown == 0
    }

    pub fn document(&self) -> Covered {
        let zxid = |end: Option<(Zxid, i64)>| end.map(|(zxid, _)| zxid.to_string());
        let time = |end: Option<(Zxid, i64)>| end.map(|(_, ms)| text::time(ms));
        Covered {
            files: self.files,
            txns: self.txns,
            damages: self.damages,
            unknown: self.unknown,
            first_zxid: zxid(self.first),
            first_time: time(self.first),
            last_zxid: zxid(self.last),
            last_time: time(self.last),
        }
    }

    /// One line, for people.
    pub fn line(&self) -> String {
        let files = text::counted(self.files, "log file");
        let (Some((first, since)), Some((last, until))) = (self.first, self.last) else {
            return format!("{files} without a transaction");
        };
        let txns = text::counted(self.txns, "transaction");
        let (since, until) = (text::time(since), text::time(until));
        format!("{files}, {txns}: {first} to {last}, {since} to {until}")
    }
}
