//! Transactions: several ops that happen together or not at all (client-protocol §2.7).

use bytes::Bytes;

use super::api::{ANY_VERSION, unexpected};
use super::session::Effect;
use super::{Client, Error, Result};
use crate::wire::jute::Str;
use crate::wire::proto::{Acl, CreateMode, ErrorCode, MultiResult, Request, Response};

/// One op of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiOp {
    Create { path: String, data: Option<Bytes>, acl: Vec<Acl>, mode: CreateMode },
    Delete { path: String, version: Option<i32> },
    Set { path: String, data: Option<Bytes>, version: Option<i32> },
    Check { path: String, version: i32 },
}

impl Client {
    /// All ops or none.
    ///
    /// # Errors
    /// [`Error::Multi`] names the op that failed.
    pub async fn multi(&self, ops: Vec<MultiOp>) -> Result<Vec<MultiResult>> {
        let paths: Vec<String> = ops.iter().map(|op| op.path().to_owned()).collect();
        let requests = ops.into_iter().map(|op| self.multi_request(op)).collect::<Result<Vec<_>>>()?;
        let mut results = match self.call("", Request::Multi(requests), Effect::None).await? {
            Response::Multi(results) => results,
            other => return Err(unexpected("", &other)),
        };
        if let Some(error) = multi_failure(&results, &paths) {
            return Err(error);
        }
        for result in &mut results {
            if let MultiResult::Create { path } | MultiResult::Create2 { path, .. } = result {
                *path = Str::from(self.client_path(path));
            }
        }
        Ok(results)
    }

    fn multi_request(&self, op: MultiOp) -> Result<Request> {
        Ok(match op {
            MultiOp::Create { path, data, acl, mode } => {
                Request::Create(self.create_request(&path, data, acl, mode)?)
            }
            MultiOp::Delete { path, version } => {
                Request::Delete { path: self.server_path(&path)?, version: version.unwrap_or(ANY_VERSION) }
            }
            MultiOp::Set { path, data, version } => Request::SetData {
                path: self.server_path(&path)?,
                data,
                version: version.unwrap_or(ANY_VERSION),
            },
            MultiOp::Check { path, version } => Request::Check { path: self.server_path(&path)?, version },
        })
    }
}

impl MultiOp {
    pub fn path(&self) -> &str {
        match self {
            MultiOp::Create { path, .. }
            | MultiOp::Delete { path, .. }
            | MultiOp::Set { path, .. }
            | MultiOp::Check { path, .. } => path,
        }
    }
}

/// The op that made a transaction fail: 0 stands before it, −2 after it (§2.7 TRAP).
fn multi_failure(results: &[MultiResult], paths: &[String]) -> Option<Error> {
    let inconsistent = ErrorCode::RuntimeInconsistency.code();
    let failed = |result: &MultiResult| match result {
        MultiResult::Error(code) if *code != 0 && *code != inconsistent => Some(*code),
        _ => None,
    };
    let (at, code) = results.iter().enumerate().find_map(|(at, result)| Some((at, failed(result)?)))?;
    let path = paths.get(at).cloned().unwrap_or_default();
    Some(match ErrorCode::from_code(code) {
        Some(code) => Error::Multi { at, code, path },
        None => Error::UnknownCode(code, path),
    })
}
