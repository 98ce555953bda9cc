//! Whether a server's logs are whole: within each file and from one to the next, as a server would judge them at its
//! start (disk-format §2.4), but for all files, and with everything that is wrong instead of the first.

use std::collections::BTreeSet;

use serde::Serialize;

use super::seen::{Damage, Read, Seen};
use super::text;
use crate::formats::log::Tail;
use crate::wire::ids::Zxid;

/// The judgement of one server's logs, file after file.
#[derive(Debug)]
pub struct Audit {
    /// The snapshots beside the logs; `None`: not known.
    snapshots: Option<BTreeSet<Zxid>>,
    last: Option<Zxid>,
    /// The end of an earlier file that is legal only where nothing follows it.
    unwritten: Option<Finding>,
    /// What follows damage is not at its place anyway.
    is_behind_damage: bool,
    pub files: Vec<File>,
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub more: u64,
}

/// What a file comes to.
#[derive(Debug, Serialize)]
pub struct File {
    pub file: String,
    pub txns: u64,
    pub first_zxid: Option<String>,
    pub first_time: Option<String>,
    pub last_zxid: Option<String>,
    pub last_time: Option<String>,
    /// Up to the end of the last transaction.
    pub bytes: u64,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Whole,
    /// Its last write was cut short: nobody was told of that.
    Torn,
    /// Not even a header, or nothing behind it.
    Empty,
    /// It vanished while the others were read.
    Gone,
    Damaged,
}

/// Something to know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub file: String,
    pub offset: Option<u64>,
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It does no harm.
    Note,
    /// What was written is not all there.
    Damage,
}

impl Audit {
    pub fn new(snapshots: Option<BTreeSet<Zxid>>) -> Audit {
        Audit {
            snapshots,
            last: None,
            unwritten: None,
            is_behind_damage: false,
            files: Vec::new(),
            findings: Vec::new(),
            more: 0,
        }
    }

    /// The next file; `named` is the zxid of its name.
    pub fn begin(&mut self, file: &str) {
        self.files.push(File {
            file: file.to_owned(),
            txns: 0,
            first_zxid: None,
            first_time: None,
            last_zxid: None,
            last_time: None,
            bytes: 0,
            state: State::Whole,
        });
    }

    pub fn hear(&mut self, seen: &Seen, named: Option<Zxid>) {
        match seen {
            Seen::Txn { offset, txn } => match Read::of(txn) {
                Read::Txn(txn) => self.txn(*offset, txn.header.zxid, txn.header.time_ms, named),
                Read::Unknown { header, why } => {
                    self.txn(*offset, header.zxid, header.time_ms, named);
                    self.damage(Some(*offset), format!("{} cannot be read: {why}", header.zxid));
                }
                Read::Nothing => {
                    self.damage(Some(*offset), "the entry is too short for a transaction".to_owned());
                }
            },
            Seen::Damage(Damage { offset, after, what, goes_on }) => {
                let behind = match goes_on {
                    Some(next) => format!("whole transactions follow {} bytes further", next - offset),
                    None => "nothing that can be read follows in this file".to_owned(),
                };
                self.damage(Some(*offset), format!("after {after}: {what}; {behind}"));
                self.is_behind_damage = true;
            }
            Seen::End { at, tail, .. } => self.end(*at, tail),
            Seen::Gone => {
                self.state(State::Gone);
                self.note(None, "gone since the directory was listed: somebody purged it".to_owned());
            }
        }
    }

    /// What was found beside the files themselves.
    pub fn also(&mut self, level: Level, file: String, what: String) {
        self.add(Finding { level, file, offset: None, what });
    }

    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.level == Level::Note)
    }

    fn txn(&mut self, offset: u64, zxid: Zxid, time_ms: i64, named: Option<Zxid>) {
        if let Some(finding) = self.unwritten.take() {
            // A server that had lost a write here would not have gone on behind it.
            self.add(Finding { level: Level::Damage, ..finding });
        }
        let is_first = self.files.last().is_some_and(|file| file.txns == 0);
        if is_first && named.is_some_and(|named| named != zxid) {
            let what =
                format!("it begins with {zxid}, which is not what its name says: servers find logs by name");
            self.damage(Some(offset), what);
        }
        self.order(offset, zxid);
        self.is_behind_damage = false;
        self.last = self.last.max(Some(zxid));
        let Some(file) = self.files.last_mut() else { return };
        file.txns += 1;
        let (zxid, time) = (Some(zxid.to_string()), Some(text::time(time_ms)));
        if file.first_zxid.is_none() {
            (file.first_zxid, file.first_time) = (zxid.clone(), time.clone());
        }
        (file.last_zxid, file.last_time) = (zxid, time);
    }

    /// Whether a transaction may stand behind the last one.
    fn order(&mut self, offset: u64, zxid: Zxid) {
        let Some(last) = self.last else {
            return self.beginning(offset, zxid);
        };
        if self.is_behind_damage || last.is_followed_by(zxid) {
            return;
        }
        if zxid <= last {
            let again = if zxid == last { "again" } else { "after a later one" };
            return self.note(Some(offset), format!("{zxid} stands here {again}: servers pass over it"));
        }
        let missing = match last.epoch() == zxid.epoch() {
            true => text::counted((zxid.0 - last.0 - 1).unsigned_abs(), "transaction"),
            false => "the end of one epoch, or the beginning of the next".to_owned(),
        };
        let gap = format!("after {last} comes {zxid}: {missing} missing");
        let bridged = self.snapshots.as_ref().and_then(|all| all.iter().find(|at| bridges(**at, last, zxid)));
        match bridged {
            Some(snapshot) => {
                self.note(Some(offset), format!("{gap}, which snapshot {snapshot} has: a leader sent it"));
            }
            None => self.damage(Some(offset), gap),
        }
    }

    /// The oldest log goes on where a snapshot ends, or begins with the first transaction of all.
    fn beginning(&mut self, offset: u64, zxid: Zxid) {
        let Some(snapshots) = &self.snapshots else { return };
        let reaches = |at: &Zxid| *at >= zxid || at.is_followed_by(zxid);
        if zxid.0 > 1 && !snapshots.iter().any(reaches) {
            let what = format!("the logs begin with {zxid}, and no snapshot reaches that far");
            self.damage(Some(offset), what);
        }
    }

    fn end(&mut self, at: u64, tail: &Tail) {
        if let Some(file) = self.files.last_mut() {
            file.bytes = at;
        }
        let cut = "the last write was cut short by a crash; nobody was told of it";
        match tail {
            Tail::Clean => {
                if self.files.last().is_some_and(|file| file.txns == 0) {
                    self.state(State::Empty);
                }
            }
            Tail::Torn => {
                self.state(State::Torn);
                self.note(Some(at), cut.to_owned());
            }
            Tail::Mismatch { .. } => {
                self.state(State::Torn);
                let what = "the last entry lacks a sector that never reached the disk".to_owned();
                let file = self.files.last().map(|file| file.file.clone()).unwrap_or_default();
                self.unwritten = Some(Finding { level: Level::Note, file, offset: Some(at), what });
            }
            Tail::NoHeader => {
                self.state(State::Empty);
                let what = "not even a whole header: its making was cut short, or it is being made just now";
                self.note(None, what.to_owned());
            }
        }
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        if let Some(finding) = self.unwritten.take() {
            self.add(finding);
        }
    }

    fn state(&mut self, state: State) {
        if let Some(file) = self.files.last_mut() {
            file.state = file.state.max(state);
        }
    }

    fn note(&mut self, offset: Option<u64>, what: String) {
        self.found(Level::Note, offset, what);
    }

    fn damage(&mut self, offset: Option<u64>, what: String) {
        self.state(State::Damaged);
        self.found(Level::Damage, offset, what);
    }

    fn found(&mut self, level: Level, offset: Option<u64>, what: String) {
        let file = self.files.last().map(|file| file.file.clone()).unwrap_or_default();
        self.add(Finding { level, file, offset, what });
    }

    fn add(&mut self, finding: Finding) {
        // Damage is never crowded out by notes.
        let notes = self.findings.len() >= FINDINGS_MAX;
        let is_kept = !notes || (finding.level == Level::Damage && self.findings.len() < 2 * FINDINGS_MAX);
        match is_kept {
            true => self.findings.push(finding),
            false => self.more += 1,
        }
    }
}

impl Finding {
    /// One line, without its end.
    pub fn line(&self) -> String {
        let place = self.offset.map(|offset| format!(", byte {offset}")).unwrap_or_default();
        let level = if self.level == Level::Damage { "DAMAGED" } else { "note" };
        format!("{level}: {}{place}: {}", text::plain(&self.file), self.what)
    }
}

/// A snapshot that has everything between two transactions.
fn bridges(snapshot: Zxid, last: Zxid, next: Zxid) -> bool {
    last < snapshot && (next <= snapshot || snapshot.is_followed_by(next))
}

/// As many as anybody reads.
const FINDINGS_MAX: usize = 500;
