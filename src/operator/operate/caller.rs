//! Who calls a use case, as far as one must know: whom to ask, whom to tell, how patient to be, and where this
//! machine's own records are.

use std::convert::Infallible;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::{Ask, Secrets};
use super::holder;
use crate::operator::apply::run::Run;
use crate::operator::fleet::stop::{Stop, Why};
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
    /// Whether the run is to end before it is done.
    pub stop: Stop,
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
    /// Members by name or id whose hosts are left out of the run.
    pub without: Vec<String>,
    /// The program that hosts get; `None`: this very one.
    pub program: Option<PathBuf>,
}

impl Caller {
    /// Of this run so far, in milliseconds.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends the run, as somebody wishes who sends this signal: at once where it only looks, after the step at hand
    /// where it changes something.
    pub fn interrupt(&self, signal: &str) {
        self.stop.ask(Why::Signal(signal.to_owned()));
    }

    /// No wait takes more than half of what is left for the whole run, so that there is time to say what came of it.
    pub(super) fn at_most(&self, patience: Duration) -> Duration {
        patience.min(self.until().saturating_duration_since(Instant::now()) / 2)
    }

    /// When everything must be over.
    fn until(&self) -> Instant {
        self.stop.begun_anew().unwrap_or(self.started) + self.terms.timeout
    }

    /// What `work` comes to; once the time allowed is over, the run is asked to stop.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> T {
        let over = async {
            // It may begin anew meanwhile.
            while Instant::now() < self.until() {
                tokio::time::sleep_until(self.until().into()).await;
            }
            self.stop.ask(Why::TimeUp);
            pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            result = work => result,
            never = over => match never {},
        }
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

    /// A command with what was laid down for the whole run.
    fn typed(&self, command: String) -> String {
        match self.terms.without.as_slice() {
            [] => command,
            names => format!("{command} --without {}", names.join(",")),
        }
    }

    /// What is about to change something; `command` is what resumes it.
    pub(super) fn run(&self, command: String) -> Run {
        let command = self.typed(command);
        Run {
            events: self.events.clone(),
            holder: holder::of_this_process(command.clone()),
            break_lock: self.terms.break_lock,
            again: command,
            stop: self.stop.clone(),
            since_ms: jiff::Timestamp::now().as_millisecond(),
            until: self.until(),
        }
    }
}
