//! Replies: the header and one record per op (§1.2, §2.1), both directions.

use bytes::Bytes;

use super::{Acl, MultiResult, OpCode, Stat, multi};
use crate::wire::ids::Zxid;
use crate::wire::jute::{Error, Reader, Result, Str, Writer};

/// What stands before every reply and notification. `err` may be a code we do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader {
    pub xid: i32,
    pub zxid: Zxid,
    pub err: i32,
}

impl ReplyHeader {
    pub fn decode(r: &mut Reader) -> Result<ReplyHeader> {
        Ok(ReplyHeader { xid: r.int()?, zxid: Zxid(r.long()?), err: r.int()? })
    }

    pub fn encode(self, w: &mut Writer) {
        w.int(self.xid);
        w.long(self.zxid.0);
        w.int(self.err);
    }
}

/// The record of a successful reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// delete, ping, auth, setWatches, closeSession …: a header only.
    Empty,
    Create {
        path: Str,
    },
    /// create2, createContainer, createTTL.
    Create2 {
        path: Str,
        stat: Stat,
    },
    /// exists, setData, setACL.
    Stat(Stat),
    /// getData, reconfig.
    Data {
        data: Option<Bytes>,
        stat: Stat,
    },
    Acl {
        acl: Vec<Acl>,
        stat: Stat,
    },
    /// getChildren, getEphemerals.
    Names(Vec<Str>),
    Children2 {
        names: Vec<Str>,
        stat: Stat,
    },
    /// sync.
    Path(Str),
    Multi(Vec<MultiResult>),
    /// getAllChildrenNumber; addWatch answers 0.
    Number(i32),
    /// whoAmI: scheme and user.
    WhoAmI(Vec<(Str, Str)>),
    Token(Option<Bytes>),
}

impl Response {
    pub fn encode(&self, w: &mut Writer) {
        match self {
            Response::Empty => {}
            Response::Create { path } | Response::Path(path) => w.string(path),
            Response::Create2 { path, stat } => {
                w.string(path);
                stat.encode(w);
            }
            Response::Stat(stat) => stat.encode(w),
            Response::Data { data, stat } => {
                w.buffer(data.as_deref());
                stat.encode(w);
            }
            Response::Acl { acl, stat } => {
                Acl::encode_list(w, Some(acl));
                stat.encode(w);
            }
            Response::Names(names) => encode_names(names, w),
            Response::Children2 { names, stat } => {
                encode_names(names, w);
                stat.encode(w);
            }
            Response::Multi(results) => multi::encode_response(results, w),
            Response::Number(number) => w.int(*number),
            Response::WhoAmI(users) => {
                w.count(users.len());
                for (scheme, user) in users {
                    w.string(scheme);
                    w.string(user);
                }
            }
            Response::Token(token) => w.buffer(token.as_deref()),
        }
    }

    /// Reads the record that answers `op`; call it only when the header's `err` is 0.
    ///
    /// # Errors
    /// Bytes that are no such record, or an op that has no answer.
    pub fn decode(op: OpCode, r: &mut Reader) -> Result<Response> {
        Ok(match op {
            OpCode::Create => Response::Create { path: r.text()? },
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Response::Create2 { path: r.text()?, stat: Stat::decode(r)? }
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Response::Stat(Stat::decode(r)?),
            OpCode::GetData | OpCode::Reconfig => {
                Response::Data { data: r.buffer()?, stat: Stat::decode(r)? }
            }
            OpCode::GetAcl => {
                Response::Acl { acl: Acl::decode_list(r)?.unwrap_or_default(), stat: Stat::decode(r)? }
            }
            OpCode::GetChildren | OpCode::GetEphemerals => Response::Names(decode_names(r)?),
            OpCode::GetChildren2 => Response::Children2 { names: decode_names(r)?, stat: Stat::decode(r)? },
            OpCode::Sync => Response::Path(r.text()?),
            OpCode::Multi | OpCode::MultiRead => Response::Multi(multi::decode_response(r)?),
            OpCode::GetAllChildrenNumber | OpCode::AddWatch => Response::Number(r.int()?),
            OpCode::WhoAmI => {
                Response::WhoAmI(r.vector(8, |r| Ok((r.text()?, r.text()?)))?.unwrap_or_default())
            }
            OpCode::Sasl => Response::Token(r.buffer()?),
            OpCode::Delete
            | OpCode::DeleteContainer
            | OpCode::Ping
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::CloseSession => Response::Empty,
            OpCode::Error | OpCode::CreateSession | OpCode::Check => {
                return Err(Error::Value { what: "reply of op", value: op.code().into() });
            }
        })
    }
}

fn encode_names(names: &[Str], w: &mut Writer) {
    w.count(names.len());
    names.iter().for_each(|name| w.string(name));
}

fn decode_names(r: &mut Reader) -> Result<Vec<Str>> {
    Ok(r.vector(4, Reader::text)?.unwrap_or_default())
}
