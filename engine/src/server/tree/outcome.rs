//! What a client is told of its write, once it is applied. It does not encode: that is `proto`.

use bytes::Bytes;

use crate::wire::jute::Str;
use crate::wire::proto::{ErrorCode, MultiResult, Request, Response, Stat};

/// The result of applying a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// delete, check, createSession, closeSession.
    Done,
    /// The whole create family; the path has its sequence number.
    Created { path: Str, stat: Stat },
    /// setData, setACL: the node after it.
    Stat(Stat),
    /// reconfig.
    Data { data: Option<Bytes>, stat: Stat },
    /// One per op. When one failed all are errors: 0 before it, its code, −2 after it (§2.7).
    Multi(Vec<Outcome>),
    /// A code of client-protocol §3, as the leader sent it.
    Error(i32),
}

impl Outcome {
    /// The answer to `request`, which this outcome belongs to.
    ///
    /// # Errors
    /// The code for the reply's header. A failed multi is no error there.
    pub fn response(&self, request: &Request) -> Result<Response, i32> {
        Ok(match (self, request) {
            (Outcome::Error(code), _) => return Err(*code),
            (Outcome::Multi(outcomes), Request::Multi(requests)) => Response::Multi(
                outcomes.iter().zip(requests).map(|(outcome, op)| outcome.multi_result(op)).collect(),
            ),
            (Outcome::Created { path, .. }, Request::Create(_)) => Response::Create { path: path.clone() },
            (Outcome::Created { path, stat }, _) => Response::Create2 { path: path.clone(), stat: *stat },
            (Outcome::Stat(stat), _) => Response::Stat(*stat),
            (Outcome::Data { data, stat }, _) => Response::Data { data: data.clone(), stat: *stat },
            (Outcome::Done, _) => Response::Empty,
            // The transaction is not the one that this request became: the log is not ours.
            (Outcome::Multi(_), _) => return Err(ErrorCode::MarshallingError.code()),
        })
    }

    fn multi_result(&self, request: &Request) -> MultiResult {
        match (self, request) {
            (Outcome::Created { path, .. }, Request::Create(_)) => MultiResult::Create { path: path.clone() },
            (Outcome::Created { path, stat }, _) => MultiResult::Create2 { path: path.clone(), stat: *stat },
            (Outcome::Stat(stat), _) => MultiResult::SetData(*stat),
            (Outcome::Done, Request::Check { .. }) => MultiResult::Check,
            (Outcome::Done, _) => MultiResult::Delete,
            (Outcome::Error(code), _) => MultiResult::Error(*code),
            (Outcome::Data { .. } | Outcome::Multi(_), _) => {
                MultiResult::Error(ErrorCode::MarshallingError.code())
            }
        }
    }
}
