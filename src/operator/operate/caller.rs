//! Who calls a use case, as far as one must know: whom to ask, whom to tell, how patient to be, and where this
//! machine's own records are.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::{Ask, Secrets};
use super::holder;
use crate::operator::apply::run::Run;
use crate::operator::fleet::watch::{Doing, Watcher};
use crate::operator::transport::{Dialer, LocalBinary, Settings};
use crate::report::{Event, Exit, Failure, Sink};

/// One caller, for one run.
pub struct Caller {
    pub terms: Terms,
    pub ask: Arc<dyn Ask>,
    pub events: Sink,
    /// Where the record of the last deployment is kept.
    pub state_dir: PathBuf,
    /// When the run began: what `terms.timeout` counts from.
    pub started: Instant,
}

/// What the caller laid down for the whole run.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Everything must be over after this long.
    pub timeout: Duration,
    /// Host keys that are in no known_hosts file are recorded; changed ones always stop.
    pub accept_new_host_keys: bool,
    /// A lock that somebody else's run left behind is replaced.
    pub break_lock: bool,
    /// The program that hosts get; `None`: this very one.
    pub program: Option<PathBuf>,
}

impl Caller {
    /// Of this run so far, in milliseconds.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// No wait is longer than the whole run may take.
    pub(super) fn at_most(&self, patience: Duration) -> Duration {
        patience.min(self.terms.timeout)
    }

    /// The way to hosts: the user's ssh settings, questions to the caller.
    ///
    /// # Errors
    /// When ~/.ssh/config cannot be read.
    pub(super) fn dialer(&self) -> Result<Dialer, Failure> {
        let settings = Settings::of_this_user(Arc::new(Secrets(self.ask.clone())));
        Dialer::new(settings).map_err(|why| Failure::new(Exit::Usage, why.to_string()))
    }

    /// The program that hosts get.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn binary(&self) -> Result<Arc<LocalBinary>, Failure> {
        let binary = match &self.terms.program {
            Some(path) => LocalBinary::open(path).await,
            None => LocalBinary::current().await,
        };
        binary.map(Arc::new).map_err(|why| Failure::new(Exit::Failed, why.to_string()))
    }

    /// Tells what is done on each host while it is reached and looked at.
    pub(super) fn watcher(&self) -> Watcher {
        let events = self.events.clone();
        Arc::new(move |member, doing| {
            let member = member.to_owned();
            events.event(match doing {
                Doing::Connecting => Event::Host { member, doing: "connecting".to_owned() },
                Doing::Looking => Event::Host { member, doing: "looking".to_owned() },
                Doing::Pushing { sent, total } => Event::Upload { member, sent, total },
            });
        })
    }

    /// What is about to change something; `command` is what resumes it.
    pub(super) fn run(&self, command: String) -> Run {
        Run {
            events: self.events.clone(),
            holder: holder::of_this_process(command.clone()),
            break_lock: self.terms.break_lock,
            again: command,
            until: self.started + self.terms.timeout,
        }
    }
}
