//! The session that did it: when it was opened, through which server, and how it ended.

use serde::Serialize;

use super::{entry, text};
use crate::server::tree::{Txn, TxnBody};
use crate::wire::ids::{SessionId, Zxid};

/// A session, as far as the logs tell.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    opened: Option<(Zxid, i64, i32)>,
    ended: Option<(Zxid, i64, &'static str)>,
    changes: u64,
}

/// The same, for machines.
#[derive(Debug, Serialize)]
pub struct Told {
    session: String,
    server: i64,
    opened_zxid: Option<String>,
    opened_time: Option<String>,
    timeout_ms: Option<i32>,
    changes: u64,
    ended: Option<&'static str>,
    ended_zxid: Option<String>,
    ended_time: Option<String>,
}

impl Session {
    pub fn new(id: SessionId) -> Session {
        Session { id, opened: None, ended: None, changes: 0 }
    }

    pub fn hear(&mut self, txn: &Txn) {
        let header = &txn.header;
        if header.session != self.id {
            return;
        }
        match &txn.body {
            TxnBody::CreateSession { timeout_ms } => {
                self.opened = Some((header.zxid, header.time_ms, *timeout_ms));
            }
            TxnBody::CloseSession { .. } => {
                self.ended = Some((header.zxid, header.time_ms, entry::ended(header.cxid)));
            }
            TxnBody::Error(_) => {}
            _ => self.changes += 1,
        }
    }

    /// It ended, and these logs tell when.
    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The server that gave it its number stands in the highest byte.
    fn server(&self) -> i64 {
        (self.id.0 >> 56) & 0xff
    }

    /// One line, for people.
    pub fn line(&self) -> String {
        let opened = match &self.opened {
            Some((zxid, ms, timeout_ms)) => {
                let server = self.server();
                format!("opened at server {server} {} ({zxid}), timeout {timeout_ms} ms", text::time(*ms))
            }
            None => format!("opened at server {} before these logs", self.server()),
        };
        let ended = match &self.ended {
            Some((zxid, ms, "expired")) => format!("expired {} ({zxid})", text::time(*ms)),
            Some((zxid, ms, _)) => format!("closed by its client {} ({zxid})", text::time(*ms)),
            None => "not ended in these logs".to_owned(),
        };
        let changes = text::counted(self.changes, "change");
        format!("session {}: {opened}; {changes}; {ended}", self.id)
    }

    pub fn document(&self) -> Told {
        Told {
            session: self.id.to_string(),
            server: self.server(),
            opened_zxid: self.opened.map(|(zxid, ..)| zxid.to_string()),
            opened_time: self.opened.map(|(_, ms, _)| text::time(ms)),
            timeout_ms: self.opened.map(|(_, _, timeout_ms)| timeout_ms),
            changes: self.changes,
            ended: self.ended.map(|(_, _, how)| how),
            ended_zxid: self.ended.map(|(zxid, ..)| zxid.to_string()),
            ended_time: self.ended.map(|(_, ms, _)| text::time(ms)),
        }
    }
}
