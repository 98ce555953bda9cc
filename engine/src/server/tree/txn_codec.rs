//! Transactions ⇄ bytes: the data of PROPOSAL and INFORM, and the entries of the log
//! (quorum-protocol §3.3). What is read is written back byte for byte.

use bytes::Bytes;

use super::acl_index::Acls;
use super::digest;
use super::txn::{CreateTxn, CreatedNode, SubTxn, Txn, TxnBody, TxnDigest, TxnHeader};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Error, Reader, Result, Writer};
use crate::wire::proto::{Acl, OpCode};

/// Bytes of a header.
pub(super) const TXN_HEADER_LEN: usize = 32;
/// Bytes of a trailer.
pub(super) const DIGEST_LEN: usize = 12;

impl Txn {
    pub fn encode(&self) -> Bytes {
        let mut w = Writer::with_capacity(self.encoded_len());
        self.header.encode(&mut w);
        self.body.encode(&mut w);
        if let Some(digest) = self.digest {
            w.int(digest.version);
            w.long(digest.tree as i64);
        }
        w.finish()
    }

    /// Reads a whole transaction. Up to 11 bytes after it are ignored, as the reference does.
    ///
    /// # Errors
    /// Bytes that are no transaction, or one of an unknown kind.
    pub fn decode(bytes: Bytes) -> Result<Txn> {
        let mut r = Reader::new(bytes);
        let header = TxnHeader::decode(&mut r)?;
        let body = match OpCode::from_code(header.kind) {
            Some(OpCode::CloseSession) => decode_close_session(&mut r)?,
            Some(OpCode::Multi) => decode_multi(&mut r)?,
            _ => decode_plain(header.kind, &mut r)?,
        };
        let digest = if r.remaining() >= DIGEST_LEN {
            Some(TxnDigest { version: r.int()?, tree: r.long()? as u64 })
        } else {
            None
        };
        Ok(Txn { header, body, digest })
    }

    /// Bytes that [`Txn::encode`] makes.
    pub fn encoded_len(&self) -> usize {
        TXN_HEADER_LEN + self.body.encoded_len() + self.digest.map_or(0, |_| DIGEST_LEN)
    }
}

impl TxnHeader {
    pub fn decode(r: &mut Reader) -> Result<TxnHeader> {
        Ok(TxnHeader {
            session: SessionId(r.long()?),
            cxid: r.int()?,
            zxid: Zxid(r.long()?),
            time_ms: r.long()?,
            kind: r.int()?,
        })
    }

    fn encode(&self, w: &mut Writer) {
        w.long(self.session.0);
        w.int(self.cxid);
        w.long(self.zxid.0);
        w.long(self.time_ms);
        w.int(self.kind);
    }
}

impl TxnBody {
    fn encode(&self, w: &mut Writer) {
        match self {
            TxnBody::Create(create) => create.encode(w),
            TxnBody::Delete { path } => w.string(path),
            TxnBody::SetData { path, data, version } => {
                w.string(path);
                w.buffer(data.as_deref());
                w.int(*version);
            }
            TxnBody::SetAcl { path, acl, version } => {
                w.string(path);
                Acl::encode_list(w, acl.as_ref().map(|list| &***list));
                w.int(*version);
            }
            TxnBody::Check { path, version } => {
                w.string(path);
                w.int(*version);
            }
            TxnBody::CreateSession { timeout_ms } => w.int(*timeout_ms),
            TxnBody::CloseSession { paths: None } => {}
            TxnBody::CloseSession { paths: Some(paths) } => {
                w.count(paths.len());
                paths.iter().for_each(|path| w.string(path));
            }
            TxnBody::Multi(ops) => {
                w.count(ops.len());
                for op in ops {
                    w.int(op.kind);
                    w.int(i32::try_from(op.body.encoded_len()).expect("bounded by the frame limit"));
                    op.body.encode(w);
                }
            }
            TxnBody::Error(code) => w.int(*code),
        }
    }

    pub(super) fn encoded_len(&self) -> usize {
        match self {
            TxnBody::Create(create) => create.encoded_len(),
            TxnBody::Delete { path } => 4 + path.len(),
            TxnBody::SetData { path, data, .. } => 12 + path.len() + data.as_ref().map_or(0, Bytes::len),
            TxnBody::SetAcl { path, acl, .. } => 8 + path.len() + acl_len(acl.as_ref().map(|list| &***list)),
            TxnBody::Check { path, .. } => 8 + path.len(),
            TxnBody::CreateSession { .. } | TxnBody::Error(_) => 4,
            TxnBody::CloseSession { paths: None } => 0,
            TxnBody::CloseSession { paths: Some(paths) } => {
                4 + paths.iter().map(|path| 4 + path.len()).sum::<usize>()
            }
            TxnBody::Multi(ops) => {
                4 + ops.iter().map(|op| SUB_TXN_LEN_MIN + op.body.encoded_len()).sum::<usize>()
            }
        }
    }
}

impl CreateTxn {
    fn encode(&self, w: &mut Writer) {
        w.string(&self.path);
        w.buffer(self.data.as_deref());
        Acl::encode_list(w, self.acl.as_ref().map(|list| &***list));
        if let CreatedNode::Plain { ephemeral } = self.node {
            w.bool(ephemeral);
        }
        if let Some(parent_cversion) = self.parent_cversion {
            w.int(parent_cversion);
        }
        if let CreatedNode::Ttl { ms } = self.node {
            w.long(ms);
        }
    }

    fn encoded_len(&self) -> usize {
        let node = match self.node {
            CreatedNode::Plain { .. } => 1,
            CreatedNode::Container => 0,
            CreatedNode::Ttl { .. } => 8,
        };
        let data = self.data.as_ref().map_or(0, Bytes::len);
        8 + self.path.len()
            + data
            + acl_len(self.acl.as_ref().map(|list| &***list))
            + node
            + self.parent_cversion.map_or(0, |_| 4)
    }

    /// A plain create whose bytes end before the parent's cversion is of the old form.
    fn decode(op: OpCode, r: &mut Reader) -> Result<CreateTxn> {
        let path = r.text()?;
        let data = r.buffer()?;
        let acl = Acl::decode_list(r)?.map(Acls::shared);
        let (node, parent_cversion) = match op {
            OpCode::CreateContainer => (CreatedNode::Container, Some(r.int()?)),
            OpCode::CreateTtl => {
                let parent_cversion = r.int()?;
                (CreatedNode::Ttl { ms: r.long()? }, Some(parent_cversion))
            }
            _ => {
                let node = CreatedNode::Plain { ephemeral: r.bool()? };
                let is_old = op == OpCode::Create && r.remaining() < 4;
                (node, if is_old { None } else { Some(r.int()?) })
            }
        };
        Ok(CreateTxn { path, data, acl, node, parent_cversion })
    }
}

/// Every kind but multi and closeSession, whose bodies depend on what surrounds them.
fn decode_plain(kind: i32, r: &mut Reader) -> Result<TxnBody> {
    let unknown = Error::Value { what: "transaction type", value: kind.into() };
    Ok(match OpCode::from_code(kind).ok_or(unknown)? {
        op @ (OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
            TxnBody::Create(CreateTxn::decode(op, r)?)
        }
        OpCode::Delete | OpCode::DeleteContainer => TxnBody::Delete { path: r.text()? },
        OpCode::SetData | OpCode::Reconfig => {
            TxnBody::SetData { path: r.text()?, data: r.buffer()?, version: r.int()? }
        }
        OpCode::SetAcl => TxnBody::SetAcl {
            path: r.text()?,
            acl: Acl::decode_list(r)?.map(Acls::shared),
            version: r.int()?,
        },
        OpCode::Check => TxnBody::Check { path: r.text()?, version: r.int()? },
        OpCode::CreateSession => TxnBody::CreateSession { timeout_ms: r.int()? },
        OpCode::Error => TxnBody::Error(r.int()?),
        _ => return Err(unknown),
    })
}

fn decode_multi(r: &mut Reader) -> Result<TxnBody> {
    let at = r.position();
    let ops = r.vector(SUB_TXN_LEN_MIN, |r| {
        let kind = r.int()?;
        let at = r.position();
        let mut body = Reader::new(r.buffer()?.ok_or(Error::Null { at })?);
        match decode_plain(kind, &mut body)? {
            // Session changes, ACLs and other multis cannot be a part of a multi (§3.4).
            TxnBody::CreateSession { .. } | TxnBody::SetAcl { .. } => {
                Err(Error::Value { what: "transaction type in a multi", value: kind.into() })
            }
            body => Ok(SubTxn { kind, body }),
        }
    })?;
    Ok(TxnBody::Multi(ops.ok_or(Error::Null { at })?))
}

/// The body may be absent, and twelve bytes may be a list or a digest (§3.3, TRAP Q29).
fn decode_close_session(r: &mut Reader) -> Result<TxnBody> {
    let mut ahead = r.clone();
    let paths = ahead.vector(4, Reader::text);
    let is_digest_alone = r.remaining() == DIGEST_LEN
        && r.clone().int() == Ok(digest::VERSION)
        && (paths.is_err() || ahead.remaining() > 0);
    if r.remaining() == 0 || is_digest_alone {
        return Ok(TxnBody::CloseSession { paths: None });
    }
    let paths = paths?;
    *r = ahead;
    Ok(TxnBody::CloseSession { paths: Some(paths.unwrap_or_default()) })
}

fn acl_len(list: Option<&[Acl]>) -> usize {
    4 + list
        .map_or(0, |list| list.iter().map(|acl| Acl::LEN_MIN + acl.id.scheme.len() + acl.id.id.len()).sum())
}

/// The least bytes a sub-transaction takes: a kind and a length.
const SUB_TXN_LEN_MIN: usize = 8;
