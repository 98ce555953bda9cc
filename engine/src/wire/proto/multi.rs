//! Framing of multi and multiRead (§2.7, §2.8): each op behind a 9-byte header, closed by an empty one.

use bytes::Bytes;

use super::{OpCode, Stat};
use crate::wire::jute::{Error, Reader, Result, Str, Writer};

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

/// Writes the body of a multi's answer.
pub(super) fn encode_response(results: &[MultiResult], w: &mut Writer) {
    for result in results {
        match result {
            MultiResult::Create { path } => {
                header(w, OpCode::Create.code(), 0);
                w.string(path);
            }
            MultiResult::Create2 { path, stat } => {
                header(w, OpCode::Create2.code(), 0);
                w.string(path);
                stat.encode(w);
            }
            MultiResult::Delete => header(w, OpCode::Delete.code(), 0),
            MultiResult::SetData(stat) => {
                header(w, OpCode::SetData.code(), 0);
                stat.encode(w);
            }
            MultiResult::Check => header(w, OpCode::Check.code(), 0),
            MultiResult::Data { data, stat } => {
                header(w, OpCode::GetData.code(), 0);
                w.buffer(data.as_deref());
                stat.encode(w);
            }
            MultiResult::Children(names) => {
                header(w, OpCode::GetChildren.code(), 0);
                w.count(names.len());
                names.iter().for_each(|name| w.string(name));
            }
            MultiResult::Error(code) => {
                header(w, -1, *code);
                w.int(*code);
            }
        }
    }
    end(w);
}

/// Reads the body of a multi's answer.
///
/// # Errors
/// Bytes that are no such answer.
pub(super) fn decode_response(r: &mut Reader) -> Result<Vec<MultiResult>> {
    decode(r, |kind, r| match OpCode::from_code(kind) {
        Some(OpCode::Create) => Ok(MultiResult::Create { path: r.text()? }),
        Some(OpCode::Create2) => Ok(MultiResult::Create2 { path: r.text()?, stat: Stat::decode(r)? }),
        Some(OpCode::Delete) => Ok(MultiResult::Delete),
        Some(OpCode::SetData) => Ok(MultiResult::SetData(Stat::decode(r)?)),
        Some(OpCode::Check) => Ok(MultiResult::Check),
        Some(OpCode::GetData) => Ok(MultiResult::Data { data: r.buffer()?, stat: Stat::decode(r)? }),
        Some(OpCode::GetChildren) => {
            Ok(MultiResult::Children(r.vector(4, Reader::text)?.unwrap_or_default()))
        }
        Some(OpCode::Error) => Ok(MultiResult::Error(r.int()?)),
        _ => Err(Error::Value { what: "result in a multi", value: kind.into() }),
    })
}

/// Reads what stands behind each header, with the op's code, up to the empty header that ends the list.
pub(super) fn decode<T>(
    r: &mut Reader,
    mut each: impl FnMut(i32, &mut Reader) -> Result<T>,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    loop {
        let kind = r.int()?;
        let done = r.bool()?;
        r.int()?;
        if done {
            return Ok(all);
        }
        all.push(each(kind, r)?);
    }
}

/// What stands before each op or result.
pub(super) fn header(w: &mut Writer, kind: i32, err: i32) {
    w.int(kind);
    w.bool(false);
    w.int(err);
}

/// The empty header that ends the list.
pub(super) fn end(w: &mut Writer) {
    w.int(-1);
    w.bool(true);
    w.int(-1);
}
