//! What became of one znode: who made it, who took it away, in which transaction, for which cause.

use serde::Serialize;

use super::entry::{self, Place};
use super::owners::Owners;
use super::question::{self, Znode};
use super::text;
use crate::server::tree::{CreatedNode, Txn, TxnBody};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::OpCode;

/// A znode's life, as far as the logs tell.
#[derive(Debug)]
pub struct Life {
    znode: String,
    owners: Owners,
    /// How it was made, while it is there.
    mode: Option<CreatedNode>,
    /// It is there, or gone; `None`: nothing was heard of it.
    pub exists: Option<bool>,
    /// The newest of each.
    pub created: Option<Moment>,
    pub deleted: Option<Moment>,
    /// Its data or its ACL.
    pub changed: Option<Moment>,
}

/// One thing that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    pub what: What,
    pub how: How,
    pub zxid: Zxid,
    pub time_ms: i64,
    pub session: SessionId,
    pub cxid: i32,
    pub file: String,
    pub offset: u64,
    data_len: Option<usize>,
    mode: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Created,
    Deleted,
    DataSet,
    AclSet,
}

/// By whose hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// A client's own request.
    Client,
    /// The same, one op of several.
    Multi,
    /// An ephemeral whose session was not heard of for too long.
    SessionExpired,
    /// An ephemeral whose session was closed by its client.
    SessionClosed,
    /// The leader removed a container that had no children any more.
    ContainerEmpty,
    /// The leader removed a znode whose time to live was over.
    TtlOver,
    /// One of these two; the log does not reach back to its create.
    ContainerOrTtl,
    /// What a leader writes of the ensemble's members.
    Reconfig,
}

/// A moment for machines, on a line of its own and within an answer.
#[derive(Debug, Serialize)]
pub struct Told {
    what: What,
    how: How,
    zxid: String,
    time: String,
    session: String,
    cxid: i32,
    file: String,
    offset: u64,
    data_len: Option<usize>,
    mode: Option<&'static str>,
}

impl Life {
    pub fn new(znode: &str) -> Life {
        let asked = Znode { path: znode.to_owned(), below: false };
        Life {
            znode: znode.to_owned(),
            owners: Owners::new(Some(asked)),
            mode: None,
            exists: None,
            created: None,
            deleted: None,
            changed: None,
        }
    }

    /// What this transaction did to it, in order.
    pub fn hear(&mut self, place: Place, txn: &Txn) -> Vec<Moment> {
        let ended = self.owners.hear(txn);
        let mut moments = Vec::new();
        match &txn.body {
            TxnBody::CloseSession { paths } => {
                let is_listed = paths.iter().flatten().any(|path| *path == self.znode.as_str());
                if is_listed || !ended.is_empty() {
                    let is_expired = entry::ended(txn.header.cxid) == "expired";
                    let how = if is_expired { How::SessionExpired } else { How::SessionClosed };
                    let mode = self.mode.take();
                    moments.push(Moment::new(place, txn, (What::Deleted, how), None, mode));
                }
            }
            TxnBody::Multi(_) if entry::failed(&txn.body).is_some() => {}
            TxnBody::Multi(ops) => {
                for op in ops {
                    moments.extend(self.act(place, txn, (op.kind, &op.body), How::Multi));
                }
            }
            body => moments.extend(self.act(place, txn, (txn.header.kind, body), How::Client)),
        }
        moments.iter().for_each(|moment| self.keep(moment));
        moments
    }

    /// Sessions ended of which these logs tell neither their ephemerals nor what they had created.
    pub fn unlisted(&self) -> u64 {
        self.owners.unlisted
    }

    fn act(&mut self, place: Place, txn: &Txn, op: (i32, &TxnBody), by: How) -> Option<Moment> {
        let (kind, body) = op;
        if question::path(body) != Some(self.znode.as_str()) {
            return None;
        }
        let kind = OpCode::from_code(kind);
        let data = question::data(body);
        let (did, mode) = match body {
            TxnBody::Create(create) => {
                self.mode = Some(create.node);
                ((What::Created, by), self.mode)
            }
            TxnBody::Delete { .. } => {
                let mode = self.mode.take();
                let how = match mode {
                    _ if kind != Some(OpCode::DeleteContainer) => by,
                    Some(CreatedNode::Container) => How::ContainerEmpty,
                    Some(CreatedNode::Ttl { .. }) => How::TtlOver,
                    _ => How::ContainerOrTtl,
                };
                ((What::Deleted, how), mode)
            }
            TxnBody::SetData { .. } if kind == Some(OpCode::Reconfig) => {
                ((What::DataSet, How::Reconfig), None)
            }
            TxnBody::SetData { .. } => ((What::DataSet, by), None),
            TxnBody::SetAcl { .. } => ((What::AclSet, by), None),
            _ => return None,
        };
        Some(Moment::new(place, txn, did, data, mode))
    }

    fn keep(&mut self, moment: &Moment) {
        self.exists = Some(moment.what != What::Deleted);
        match moment.what {
            What::Created => self.created = Some(moment.clone()),
            What::Deleted => self.deleted = Some(moment.clone()),
            What::DataSet | What::AclSet => self.changed = Some(moment.clone()),
        }
    }
}

impl Moment {
    fn new(
        place: Place,
        txn: &Txn,
        (what, how): (What, How),
        data: Option<&[u8]>,
        mode: Option<CreatedNode>,
    ) -> Moment {
        Moment {
            what,
            how,
            zxid: txn.header.zxid,
            time_ms: txn.header.time_ms,
            session: txn.header.session,
            cxid: txn.header.cxid,
            file: place.file.to_owned(),
            offset: place.offset,
            data_len: data.map(<[u8]>::len),
            mode: mode.map(entry::mode),
        }
    }

    /// One line, without its end.
    pub fn line(&self) -> String {
        let what = match self.what {
            What::Created => "created",
            What::Deleted => "deleted",
            What::DataSet => "data set",
            What::AclSet => "ACL set",
        };
        let mut details = vec![self.cause()];
        details.extend(self.mode.filter(|mode| *mode != "persistent").map(str::to_owned));
        details.extend(self.data_len.map(text::bytes));
        let zxid = self.zxid.to_string();
        format!("{}  {zxid:<12}  {what:<8}  {}", text::time(self.time_ms), details.join(", "))
    }

    /// By whom, in words that follow a verb.
    pub fn cause(&self) -> String {
        let session = self.session;
        match self.how {
            How::Client => format!("by session {session}"),
            How::Multi => format!("by session {session}, in a multi"),
            How::SessionExpired => format!("with session {session}, which expired"),
            How::SessionClosed => format!("with session {session}, which its client closed"),
            How::ContainerEmpty => "by the leader: a container without children".to_owned(),
            How::TtlOver => "by the leader: its time to live was over".to_owned(),
            How::ContainerOrTtl => {
                "by the leader: a container without children, or its time to live was over".to_owned()
            }
            How::Reconfig => format!("by a reconfiguration of session {session}"),
        }
    }

    /// A session had to do with it.
    pub fn has_session(&self) -> bool {
        self.session != SessionId::NONE
    }

    pub fn document(&self) -> Told {
        Told {
            what: self.what,
            how: self.how,
            zxid: self.zxid.to_string(),
            time: text::time(self.time_ms),
            session: self.session.to_string(),
            cxid: self.cxid,
            file: self.file.clone(),
            offset: self.offset,
            data_len: self.data_len,
            mode: self.mode,
        }
    }
}
