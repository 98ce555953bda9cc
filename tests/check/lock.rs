//! Model: a lock that sessions hold. The end of a session releases it: recorded as [`Call::End`], answered when
//! the end was confirmed, of unknown outcome since the last proof of life when the session may have expired.

use super::history::Op;
use super::linear::Model;

pub(crate) struct Lock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// By this session; the answer is whether it got it.
    Acquire(u64),
    /// By this session; the answer is whether it held it.
    Release(u64),
    /// Of this session; the answer is `true`.
    End(u64),
}

pub(crate) type LockOp = Op<Call, bool>;

impl Model for Lock {
    /// The holder.
    type State = Option<u64>;
    type Call = Call;
    type Reply = bool;

    fn step(holder: &Option<u64>, call: &Call, reply: Option<&bool>) -> Option<Option<u64>> {
        let (next, answer) = match *call {
            Call::Acquire(session) if holder.is_none() => (Some(session), true),
            Call::Acquire(_) => (*holder, false),
            Call::Release(session) if *holder == Some(session) => (None, true),
            Call::Release(_) => (*holder, false),
            Call::End(session) => (holder.filter(|holder| *holder != session), true),
        };
        reply.is_none_or(|reply| *reply == answer).then_some(next)
    }
}
