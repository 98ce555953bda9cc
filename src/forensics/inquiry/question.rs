//! Which transactions somebody asks for: everything that is said must hold at once, and for a multi of one and the
//! same op.

use super::op::Wanted;
use crate::server::tree::{Txn, TxnBody};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::Str;
use crate::wire::proto::path;

/// What is asked; nothing said: every transaction.
#[derive(Debug, Clone, Default)]
pub struct Question {
    pub znode: Option<Znode>,
    pub session: Option<SessionId>,
    /// One of these; none: any.
    pub ops: Vec<Wanted>,
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    pub from: Option<Zxid>,
    pub to: Option<Zxid>,
    /// Stands in a path or in data.
    pub text: Option<String>,
}

/// A znode, and perhaps everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Znode {
    pub path: String,
    pub below: bool,
}

impl Znode {
    /// As it is typed; a slash at its end does no harm.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn typed(path: &str, below: bool) -> Result<Znode, String> {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        path::validate(path).map_err(|why| why.to_string())?;
        Ok(Znode { path: path.to_owned(), below })
    }

    pub(super) fn covers(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(self.path.trim_end_matches('/')) else { return false };
        path == self.path || self.below && (rest.is_empty() || rest.starts_with('/'))
    }
}

/// What of a transaction answers the question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Ops of a multi by their places in it.
    pub ops: Vec<usize>,
    /// Ephemerals that end with their session.
    pub deletes: Vec<String>,
    /// The log does not list them: they are known from the creates before.
    pub is_inferred: bool,
}

impl Question {
    /// `None`: it is not asked for. `ended`: ephemerals that a closing which lists none takes along.
    pub fn answer(&self, txn: &Txn, ended: &[String]) -> Option<Answer> {
        if !self.is_in_range(txn.header.zxid, txn.header.time_ms, txn.header.session) {
            return None;
        }
        match &txn.body {
            TxnBody::Multi(parts) => {
                let is_multi = self.ops.iter().any(|op| op.takes(txn.header.kind));
                let is_asked = |kind| is_multi || self.is_kind(kind);
                let ops =
                    (0..).zip(parts).filter(|(_, part)| is_asked(part.kind) && self.is_about(&part.body));
                let ops = ops.map(|(place, _)| place).collect::<Vec<usize>>();
                let is_all = self.asks_for_no_content() && self.is_kind(txn.header.kind);
                (is_all || !ops.is_empty()).then(|| Answer { ops, ..Answer::default() })
            }
            TxnBody::CloseSession { paths } => self.ending(txn.header.kind, paths.as_deref(), ended),
            body => (self.is_kind(txn.header.kind) && self.is_about(body)).then(Answer::default),
        }
    }

    /// Of what stands in every header, whatever follows it.
    pub fn is_in_range(&self, zxid: Zxid, time_ms: i64, session: SessionId) -> bool {
        self.session.is_none_or(|wanted| wanted == session)
            && self.since_ms.is_none_or(|since| since <= time_ms)
            && self.until_ms.is_none_or(|until| time_ms <= until)
            && self.from.is_none_or(|from| from <= zxid)
            && self.to.is_none_or(|to| zxid <= to)
    }

    /// Nothing is asked of what a transaction does.
    pub fn asks_for_no_content(&self) -> bool {
        self.znode.is_none() && self.text.is_none()
    }

    fn is_kind(&self, kind: i32) -> bool {
        self.ops.is_empty() || self.ops.iter().any(|op| op.takes(kind))
    }

    fn ending(&self, kind: i32, listed: Option<&[Str]>, ended: &[String]) -> Option<Answer> {
        let is_inferred = listed.is_none() && !ended.is_empty();
        let listed = listed.unwrap_or_default().iter().map(Str::as_str);
        let all = listed.chain(ended.iter().map(String::as_str));
        let is_asked = |path: &&str| self.is_named(path) && self.says(path.as_bytes());
        let deletes = all.filter(is_asked).map(str::to_owned).collect::<Vec<_>>();
        let takes_some = !deletes.is_empty();
        let is_kind = self.is_kind(kind) || (self.ops.contains(&Wanted::Deletes) && takes_some);
        (is_kind && (takes_some || self.asks_for_no_content())).then_some(Answer {
            ops: Vec::new(),
            deletes,
            is_inferred,
        })
    }

    fn is_about(&self, body: &TxnBody) -> bool {
        if self.asks_for_no_content() {
            return true;
        }
        let Some(path) = path(body) else { return false };
        let says = || self.says(path.as_bytes()) || data(body).is_some_and(|data| self.says(data));
        self.is_named(path) && says()
    }

    fn is_named(&self, path: &str) -> bool {
        self.znode.as_ref().is_none_or(|znode| znode.covers(path))
    }

    fn says(&self, bytes: &[u8]) -> bool {
        self.text.as_ref().is_none_or(|text| holds(bytes, text.as_bytes()))
    }
}

/// Whether `part` stands somewhere in `bytes`.
pub fn holds(bytes: &[u8], part: &[u8]) -> bool {
    let Some((first, rest)) = part.split_first() else { return true };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.into_iter().any(|(at, _)| bytes[at + 1..].starts_with(rest))
}

/// The znode that a transaction, or an op of a multi, is about.
pub(super) fn path(body: &TxnBody) -> Option<&str> {
    match body {
        TxnBody::Create(create) => Some(&create.path),
        TxnBody::Delete { path }
        | TxnBody::SetData { path, .. }
        | TxnBody::SetAcl { path, .. }
        | TxnBody::Check { path, .. } => Some(path),
        TxnBody::CreateSession { .. }
        | TxnBody::CloseSession { .. }
        | TxnBody::Multi(_)
        | TxnBody::Error(_) => None,
    }
}

/// The data that it writes.
pub(super) fn data(body: &TxnBody) -> Option<&[u8]> {
    match body {
        TxnBody::Create(create) => create.data.as_deref(),
        TxnBody::SetData { data, .. } => data.as_deref(),
        _ => None,
    }
}
