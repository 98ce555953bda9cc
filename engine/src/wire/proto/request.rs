//! Requests: the header and one record per op (§2.1), both directions.

use bytes::Bytes;

use super::{Acl, CreateMode, OpCode, multi};
use crate::wire::ids::Zxid;
use crate::wire::jute::{Error, Reader, Result, Str, Writer};

/// What stands before every request but the first. `op` may be no op at all: see [`OpCode::from_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    pub xid: i32,
    pub op: i32,
}

impl RequestHeader {
    pub fn decode(r: &mut Reader) -> Result<RequestHeader> {
        Ok(RequestHeader { xid: r.int()?, op: r.int()? })
    }

    pub fn encode(self, w: &mut Writer) {
        w.int(self.xid);
        w.int(self.op);
    }
}

/// The body of the create family. `ttl_ms` stands on the wire for `createTTL` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    pub path: Str,
    pub data: Option<Bytes>,
    pub acl: Option<Vec<Acl>>,
    /// Unchecked: see [`CreateMode::from_flags`].
    pub flags: i32,
    pub ttl_ms: Option<i64>,
}

/// The watches a client restores after a reconnect; `None` lists were null (→ −5, §5.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetWatches {
    pub relative_zxid: Zxid,
    pub data: Vec<Str>,
    pub exist: Vec<Str>,
    pub child: Vec<Str>,
    pub persistent: Vec<Str>,
    pub persistent_recursive: Vec<Str>,
}

/// A decoded request. Paths and data share the frame's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Create(CreateRequest),
    Create2(CreateRequest),
    CreateContainer(CreateRequest),
    CreateTtl(CreateRequest),
    Delete { path: Str, version: i32 },
    DeleteContainer { path: Str },
    Exists { path: Str, watch: bool },
    GetData { path: Str, watch: bool },
    SetData { path: Str, data: Option<Bytes>, version: i32 },
    GetAcl { path: Str },
    SetAcl { path: Str, acl: Option<Vec<Acl>>, version: i32 },
    GetChildren { path: Str, watch: bool },
    GetChildren2 { path: Str, watch: bool },
    Sync { path: Str },
    Ping,
    Check { path: Str, version: i32 },
    Multi(Vec<Request>),
    MultiRead(Vec<Request>),
    Reconfig { joining: Option<Str>, leaving: Option<Str>, members: Option<Str>, config_id: i64 },
    CheckWatches { path: Str, kind: i32 },
    RemoveWatches { path: Str, kind: i32 },
    AddWatch { path: Str, mode: i32 },
    SetWatches(SetWatches),
    SetWatches2(SetWatches),
    Auth { scheme: Str, auth: Option<Bytes> },
    Sasl { token: Option<Bytes> },
    GetEphemerals { prefix: Option<Str> },
    GetAllChildrenNumber { path: Str },
    WhoAmI,
    CreateSession { timeout_ms: i32 },
    CloseSession,
}

impl Request {
    /// Reads the body of `op`. Trailing bytes are ignored, as the reference does.
    ///
    /// # Errors
    /// Anything the record cannot be; the server answers −5 (MARSHALLINGERROR).
    pub fn decode(op: OpCode, r: &mut Reader) -> Result<Request> {
        Ok(match op {
            OpCode::Create => Request::Create(CreateRequest::decode(r, false)?),
            OpCode::Create2 => Request::Create2(CreateRequest::decode(r, false)?),
            OpCode::CreateContainer => Request::CreateContainer(CreateRequest::decode(r, false)?),
            OpCode::CreateTtl => Request::CreateTtl(CreateRequest::decode(r, true)?),
            OpCode::Delete => Request::Delete { path: r.text()?, version: r.int()? },
            OpCode::DeleteContainer => Request::DeleteContainer { path: r.text()? },
            OpCode::Exists => Request::Exists { path: r.text()?, watch: r.bool()? },
            OpCode::GetData => Request::GetData { path: r.text()?, watch: r.bool()? },
            OpCode::SetData => Request::SetData { path: r.text()?, data: r.buffer()?, version: r.int()? },
            OpCode::GetAcl => Request::GetAcl { path: r.text()? },
            OpCode::SetAcl => {
                Request::SetAcl { path: r.text()?, acl: Acl::decode_list(r)?, version: r.int()? }
            }
            OpCode::GetChildren => Request::GetChildren { path: r.text()?, watch: r.bool()? },
            OpCode::GetChildren2 => Request::GetChildren2 { path: r.text()?, watch: r.bool()? },
            OpCode::Sync => Request::Sync { path: r.text()? },
            OpCode::Ping => Request::Ping,
            OpCode::Check => Request::Check { path: r.text()?, version: r.int()? },
            OpCode::Multi => Request::Multi(decode_multi(r, op)?),
            OpCode::MultiRead => Request::MultiRead(decode_multi(r, op)?),
            OpCode::Reconfig => Request::Reconfig {
                joining: r.text_or_null()?,
                leaving: r.text_or_null()?,
                members: r.text_or_null()?,
                config_id: r.long()?,
            },
            OpCode::CheckWatches => Request::CheckWatches { path: r.text()?, kind: r.int()? },
            OpCode::RemoveWatches => Request::RemoveWatches { path: r.text()?, kind: r.int()? },
            OpCode::AddWatch => Request::AddWatch { path: r.text()?, mode: r.int()? },
            OpCode::SetWatches => Request::SetWatches(SetWatches::decode(r, false)?),
            OpCode::SetWatches2 => Request::SetWatches2(SetWatches::decode(r, true)?),
            OpCode::Auth => {
                r.int()?;
                Request::Auth { scheme: r.text()?, auth: r.buffer()? }
            }
            OpCode::Sasl => Request::Sasl { token: r.buffer()? },
            OpCode::GetEphemerals => Request::GetEphemerals { prefix: r.text_or_null()? },
            OpCode::GetAllChildrenNumber => Request::GetAllChildrenNumber { path: r.text()? },
            OpCode::WhoAmI => Request::WhoAmI,
            OpCode::CreateSession => Request::CreateSession { timeout_ms: r.int()? },
            OpCode::CloseSession => Request::CloseSession,
            OpCode::Error => return Err(Error::Value { what: "request op", value: op.code().into() }),
        })
    }

    /// Writes the body, without a header.
    pub fn encode(&self, w: &mut Writer) {
        match self {
            Request::Create(create)
            | Request::Create2(create)
            | Request::CreateContainer(create)
            | Request::CreateTtl(create) => create.encode(w, matches!(self, Request::CreateTtl(_))),
            Request::Delete { path, version } | Request::Check { path, version } => {
                w.string(path);
                w.int(*version);
            }
            Request::DeleteContainer { path }
            | Request::GetAcl { path }
            | Request::Sync { path }
            | Request::GetAllChildrenNumber { path } => w.string(path),
            Request::Exists { path, watch }
            | Request::GetData { path, watch }
            | Request::GetChildren { path, watch }
            | Request::GetChildren2 { path, watch } => {
                w.string(path);
                w.bool(*watch);
            }
            Request::SetData { path, data, version } => {
                w.string(path);
                w.buffer(data.as_deref());
                w.int(*version);
            }
            Request::SetAcl { path, acl, version } => {
                w.string(path);
                Acl::encode_list(w, acl.as_deref());
                w.int(*version);
            }
            Request::Ping | Request::WhoAmI | Request::CloseSession => {}
            Request::Multi(ops) | Request::MultiRead(ops) => encode_multi(ops, w),
            Request::Reconfig { joining, leaving, members, config_id } => {
                w.string_or_null(joining.as_deref());
                w.string_or_null(leaving.as_deref());
                w.string_or_null(members.as_deref());
                w.long(*config_id);
            }
            Request::CheckWatches { path, kind } | Request::RemoveWatches { path, kind } => {
                w.string(path);
                w.int(*kind);
            }
            Request::AddWatch { path, mode } => {
                w.string(path);
                w.int(*mode);
            }
            Request::SetWatches(watches) => watches.encode(w, false),
            Request::SetWatches2(watches) => watches.encode(w, true),
            Request::Auth { scheme, auth } => {
                w.int(0);
                w.string(scheme);
                w.buffer(auth.as_deref());
            }
            Request::Sasl { token } => w.buffer(token.as_deref()),
            Request::GetEphemerals { prefix } => w.string_or_null(prefix.as_deref()),
            Request::CreateSession { timeout_ms } => w.int(*timeout_ms),
        }
    }

    pub fn op(&self) -> OpCode {
        match self {
            Request::Create(_) => OpCode::Create,
            Request::Create2(_) => OpCode::Create2,
            Request::CreateContainer(_) => OpCode::CreateContainer,
            Request::CreateTtl(_) => OpCode::CreateTtl,
            Request::Delete { .. } => OpCode::Delete,
            Request::DeleteContainer { .. } => OpCode::DeleteContainer,
            Request::Exists { .. } => OpCode::Exists,
            Request::GetData { .. } => OpCode::GetData,
            Request::SetData { .. } => OpCode::SetData,
            Request::GetAcl { .. } => OpCode::GetAcl,
            Request::SetAcl { .. } => OpCode::SetAcl,
            Request::GetChildren { .. } => OpCode::GetChildren,
            Request::GetChildren2 { .. } => OpCode::GetChildren2,
            Request::Sync { .. } => OpCode::Sync,
            Request::Ping => OpCode::Ping,
            Request::Check { .. } => OpCode::Check,
            Request::Multi(_) => OpCode::Multi,
            Request::MultiRead(_) => OpCode::MultiRead,
            Request::Reconfig { .. } => OpCode::Reconfig,
            Request::CheckWatches { .. } => OpCode::CheckWatches,
            Request::RemoveWatches { .. } => OpCode::RemoveWatches,
            Request::AddWatch { .. } => OpCode::AddWatch,
            Request::SetWatches(_) => OpCode::SetWatches,
            Request::SetWatches2(_) => OpCode::SetWatches2,
            Request::Auth { .. } => OpCode::Auth,
            Request::Sasl { .. } => OpCode::Sasl,
            Request::GetEphemerals { .. } => OpCode::GetEphemerals,
            Request::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
            Request::WhoAmI => OpCode::WhoAmI,
            Request::CreateSession { .. } => OpCode::CreateSession,
            Request::CloseSession => OpCode::CloseSession,
        }
    }
}

impl CreateRequest {
    pub(super) fn decode(r: &mut Reader, with_ttl: bool) -> Result<CreateRequest> {
        Ok(CreateRequest {
            path: r.text()?,
            data: r.buffer()?,
            acl: Acl::decode_list(r)?,
            flags: r.int()?,
            ttl_ms: if with_ttl { Some(r.long()?) } else { None },
        })
    }

    pub(super) fn encode(&self, w: &mut Writer, with_ttl: bool) {
        w.string(&self.path);
        w.buffer(self.data.as_deref());
        Acl::encode_list(w, self.acl.as_deref());
        w.int(self.flags);
        if with_ttl {
            w.long(self.ttl_ms.unwrap_or(-1));
        }
    }
}

impl SetWatches {
    fn decode(r: &mut Reader, second: bool) -> Result<SetWatches> {
        let relative_zxid = Zxid(r.long()?);
        let mut list = || {
            let at = r.position();
            r.vector(4, Reader::text)?.ok_or(Error::Null { at })
        };
        let (data, exist, child) = (list()?, list()?, list()?);
        let (persistent, persistent_recursive) =
            if second { (list()?, list()?) } else { (Vec::new(), Vec::new()) };
        Ok(SetWatches { relative_zxid, data, exist, child, persistent, persistent_recursive })
    }

    fn encode(&self, w: &mut Writer, second: bool) {
        w.long(self.relative_zxid.0);
        let lists = [&self.data, &self.exist, &self.child, &self.persistent, &self.persistent_recursive];
        for list in &lists[..if second { 5 } else { 3 }] {
            w.count(list.len());
            list.iter().for_each(|path| w.string(path));
        }
    }
}

/// The ops of a multi or multiRead, each behind its header (§2.7, §2.8).
fn decode_multi(r: &mut Reader, multi: OpCode) -> Result<Vec<Request>> {
    multi::decode(r, |kind, r| match (multi, OpCode::from_code(kind)) {
        (OpCode::Multi, Some(OpCode::Create)) => plain_create(r, Request::Create),
        (OpCode::Multi, Some(OpCode::Create2)) => plain_create(r, Request::Create2),
        (OpCode::Multi, Some(OpCode::CreateContainer)) => plain_create(r, Request::CreateContainer),
        (OpCode::Multi, Some(OpCode::CreateTtl)) => ttl_create(r),
        (OpCode::Multi, Some(op @ (OpCode::Delete | OpCode::SetData | OpCode::Check)))
        | (OpCode::MultiRead, Some(op @ (OpCode::GetData | OpCode::GetChildren))) => Request::decode(op, r),
        _ => Err(Error::Value { what: "op in a multi", value: kind.into() }),
    })
}

/// Types 1, 15 and 19 in a multi: flags must be 0–4, and 4 makes a container (§2.7).
fn plain_create(r: &mut Reader, kind: fn(CreateRequest) -> Request) -> Result<Request> {
    let create = CreateRequest::decode(r, false)?;
    match CreateMode::from_flags(create.flags) {
        Some(CreateMode::Container) => Ok(Request::CreateContainer(create)),
        Some(mode) if !mode.is_ttl() => Ok(kind(create)),
        _ => Err(Error::Value { what: "create flags in a multi", value: create.flags.into() }),
    }
}

/// Type 21 with other than TTL flags becomes a plain create (or container), its ttl dropped (§2.7).
fn ttl_create(r: &mut Reader) -> Result<Request> {
    let create = CreateRequest::decode(r, true)?;
    match CreateMode::from_flags(create.flags) {
        Some(mode) if mode.is_ttl() => Ok(Request::CreateTtl(create)),
        Some(CreateMode::Container) => Ok(Request::CreateContainer(CreateRequest { ttl_ms: None, ..create })),
        Some(_) => Ok(Request::Create(CreateRequest { ttl_ms: None, ..create })),
        None => Err(Error::Value { what: "create flags in a multi", value: create.flags.into() }),
    }
}

pub(super) fn encode_multi(requests: &[Request], w: &mut Writer) {
    for request in requests {
        multi::header(w, request.op().code(), -1);
        request.encode(w);
    }
    multi::end(w);
}
