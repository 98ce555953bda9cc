//! A run: who carries out what, how patiently, and what came of it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::operator::fleet::stop::Stop;
use crate::operator::host::runs::Holder;
use crate::report::Sink;

/// Who runs what, how patiently.
pub struct Run {
    pub events: Sink,
    /// What the locks and journals on the hosts name.
    pub holder: Holder,
    /// Replace a lock that somebody else holds.
    pub break_lock: bool,
    /// The command that resumes this run, as one would type it.
    pub again: String,
    /// Looked at before every step, and while a gate is waited at.
    pub stop: Stop,
    /// When it began, by this machine's clock, milliseconds since 1970: what logs say before is not its story.
    pub since_ms: i64,
    /// Everything must be over by then.
    pub until: Instant,
}

impl Run {
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// A holder that can do nothing any more: a process of this machine that is gone.
    pub(super) fn is_dead(&self, holder: &Holder) -> bool {
        let machine = |id: &str| id.split_once('-').map(|(machine, _)| machine.to_owned());
        holder.who == self.holder.who
            && machine(&holder.id).is_some_and(|id| Some(id) == machine(&self.holder.id))
            && holder.pid != self.holder.pid
            && !Path::new(&format!("/proc/{}", holder.pid)).exists()
    }
}

/// What a finished run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub changed: usize,
    pub unchanged: usize,
}
