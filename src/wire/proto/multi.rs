//! Framing of multi and multiRead (§2.7, §2.8): each op behind a 9-byte header, closed by an empty one.

use bytes::Bytes;

use super::{CreateMode, CreateRequest, OpCode, Request, Stat};
use crate::wire::jute::{Error, Reader, Result, Str, Writer};

/// Bytes of one `MultiHeader{type, done, err}`.
pub const MULTI_HEADER_LEN: usize = 9;

/// One op's part of a multi or multiRead answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiResult {
    Create {
        path: Str,
    },
    /// Answers create2, createContainer and createTTL alike.
    Create2 {
        path: Str,
        stat: Stat,
    },
    Delete,
    SetData(Stat),
    Check,
    Data {
        data: Option<Bytes>,
        stat: Stat,
    },
    Children(Vec<Str>),
    /// 0 before the failing op, its code, −2 after it.
    Error(i32),
}

pub(super) fn decode_multi(r: &mut Reader, op: OpCode) -> Result<Vec<Request>> {
    let mut requests = Vec::new();
    loop {
        let kind = r.int()?;
        let done = r.bool()?;
        r.int()?;
        if done {
            return Ok(requests);
        }
        let refused = Error::Value { what: "op in a multi", value: kind.into() };
        requests.push(match (op, OpCode::from_code(kind)) {
            (OpCode::Multi, Some(OpCode::Create)) => plain_create(r, Request::Create)?,
            (OpCode::Multi, Some(OpCode::Create2)) => plain_create(r, Request::Create2)?,
            (OpCode::Multi, Some(OpCode::CreateContainer)) => plain_create(r, Request::CreateContainer)?,
            (OpCode::Multi, Some(OpCode::CreateTtl)) => ttl_create(r)?,
            (OpCode::Multi, Some(op @ (OpCode::Delete | OpCode::SetData | OpCode::Check))) => {
                Request::decode(op, r)?
            }
            (OpCode::MultiRead, Some(op @ (OpCode::GetData | OpCode::GetChildren))) => {
                Request::decode(op, r)?
            }
            _ => return Err(refused),
        });
    }
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
        header(w, request.op().code(), false, -1);
        request.encode(w);
    }
    header(w, -1, true, -1);
}

/// Writes the body of a multi's answer.
pub fn encode_multi_response(results: &[MultiResult], w: &mut Writer) {
    for result in results {
        match result {
            MultiResult::Create { path } => {
                header(w, OpCode::Create.code(), false, 0);
                w.string(path);
            }
            MultiResult::Create2 { path, stat } => {
                header(w, OpCode::Create2.code(), false, 0);
                w.string(path);
                stat.encode(w);
            }
            MultiResult::Delete => header(w, OpCode::Delete.code(), false, 0),
            MultiResult::SetData(stat) => {
                header(w, OpCode::SetData.code(), false, 0);
                stat.encode(w);
            }
            MultiResult::Check => header(w, OpCode::Check.code(), false, 0),
            MultiResult::Data { data, stat } => {
                header(w, OpCode::GetData.code(), false, 0);
                w.buffer(data.as_deref());
                stat.encode(w);
            }
            MultiResult::Children(names) => {
                header(w, OpCode::GetChildren.code(), false, 0);
                w.count(names.len());
                names.iter().for_each(|name| w.string(name));
            }
            MultiResult::Error(code) => {
                header(w, -1, false, *code);
                w.int(*code);
            }
        }
    }
    header(w, -1, true, -1);
}

/// Reads the body of a multi's answer.
///
/// # Errors
/// Bytes that are no such answer.
pub fn decode_multi_response(r: &mut Reader) -> Result<Vec<MultiResult>> {
    let mut results = Vec::new();
    loop {
        let kind = r.int()?;
        let done = r.bool()?;
        r.int()?;
        if done {
            return Ok(results);
        }
        results.push(match OpCode::from_code(kind) {
            Some(OpCode::Create) => MultiResult::Create { path: r.text()? },
            Some(OpCode::Create2) => MultiResult::Create2 { path: r.text()?, stat: Stat::decode(r)? },
            Some(OpCode::Delete) => MultiResult::Delete,
            Some(OpCode::SetData) => MultiResult::SetData(Stat::decode(r)?),
            Some(OpCode::Check) => MultiResult::Check,
            Some(OpCode::GetData) => MultiResult::Data { data: r.buffer()?, stat: Stat::decode(r)? },
            Some(OpCode::GetChildren) => {
                MultiResult::Children(r.vector(4, Reader::text)?.unwrap_or_default())
            }
            Some(OpCode::Error) => MultiResult::Error(r.int()?),
            _ => return Err(Error::Value { what: "result in a multi", value: kind.into() }),
        });
    }
}

fn header(w: &mut Writer, kind: i32, done: bool, err: i32) {
    w.int(kind);
    w.bool(done);
    w.int(err);
}
