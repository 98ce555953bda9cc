//! A host's answer as something seen, and the moment by this machine's clock: the one place where a
//! question that failed becomes [`Seen::Unseen`]. It asks nobody.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::operator::host::{CallError, Kind};
use crate::operator::plan::seen::Seen;

/// An answer; what is not there; or why there is no answer.
pub(super) fn seen<T>(answer: Result<T, CallError>) -> Seen<T> {
    match answer {
        Ok(answer) => Seen::Is(answer),
        Err(why) if why.kind() == Some(Kind::NotFound) => Seen::Absent,
        Err(why) => Seen::unseen(why.to_string(), wall_ms()),
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub(super) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
