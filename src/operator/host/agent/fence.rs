//! What changes something is looked at only under the lock as it stands: the one place where every request passes. It
//! does not take locks.

use std::sync::{Mutex, PoisonError};

use super::protocol::{Ask, Response};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::machine::blocking::blocking;
use crate::operator::host::runs::LockToken;
use crate::operator::host::runs::lock::{self, AtHand};

/// The fence of one serving process.
#[derive(Default)]
pub(super) struct Fence {
    /// The lock whose own directory a step of its holder removed through us: what is left of that removal may go on,
    /// as long as nobody made a new one.
    removed: Mutex<Option<LockToken>>,
}

/// What a request may do.
pub(super) enum Pass {
    /// Go on; a step goes on under its lock.
    Go(Option<Step>),
    /// Not looked at: this is the answer.
    Refused(Result<Response, Failure>),
}

/// One step under a lock, for as long as it lasts.
pub(super) struct Step {
    token: LockToken,
    _at_hand: AtHand,
}

impl Fence {
    pub(super) async fn pass(&self, ask: &Ask) -> Pass {
        if !ask.request.mutates() {
            return Pass::Go(None);
        }
        let Some(token) = ask.lock.clone() else {
            let why = "it changes something and names no lock that it is sent under";
            return Pass::Refused(Err(Failure::new("answer", "the request", Kind::Refused, why)));
        };
        if self.removed().as_ref() == Some(&token) && !token.path.exists() {
            return Pass::Go(None);
        }
        let asked = token.clone();
        match blocking(move || lock::at_hand(&asked)).await {
            Ok(Ok(at_hand)) => Pass::Go(Some(Step { token, _at_hand: at_hand })),
            Ok(Err(stale)) => Pass::Refused(Ok(Response::StaleLock(stale))),
            Err(failure) => Pass::Refused(Err(failure)),
        }
    }

    /// The step has ended.
    pub(super) fn done(&self, step: Step) {
        // Its holder held it to the end, so nobody but this step removed it.
        if !step.token.path.exists() {
            *self.removed() = Some(step.token);
        }
    }

    fn removed(&self) -> std::sync::MutexGuard<'_, Option<LockToken>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
