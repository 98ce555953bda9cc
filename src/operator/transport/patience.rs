//! One deadline for a wait that may contain a question to a human: the clock stands still
//! while somebody types a passphrase, for every host that waits meanwhile.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::Error;

/// How long humans have been asked things so far, shared by everything that waits.
#[derive(Debug)]
pub(super) struct HumanTime(watch::Sender<Asked>);

#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    since: Option<Instant>,
    spent: Duration,
}

impl HumanTime {
    pub(super) fn new() -> HumanTime {
        HumanTime(watch::Sender::new(Asked::default()))
    }

    /// Runs a question; deadlines stand still until it is answered. Questions come one at a
    /// time (the keyring's lock), so intervals never overlap.
    pub(super) async fn asking<T>(&self, question: impl Future<Output = T>) -> T {
        self.0.send_modify(|asked| asked.since = Some(Instant::now()));
        let ended = Ended(self);
        let answer = question.await;
        drop(ended);
        answer
    }

    pub(super) fn patience(&self, host: &str, deadline: Instant) -> Patience {
        let asked = self.0.subscribe();
        let before = asked.borrow().spent;
        Patience { host: host.to_string(), start: Instant::now(), deadline, asked, before }
    }
}

/// Ends the interval also when the question is abandoned.
struct Ended<'a>(&'a HumanTime);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|asked| {
            if let Some(since) = asked.since.take() {
                asked.spent += since.elapsed();
            }
        });
    }
}

/// The deadline of one host's wait.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    host: String,
    start: Instant,
    deadline: Instant,
    asked: watch::Receiver<Asked>,
    before: Duration,
}

impl Patience {
    /// Waits for `work`, or fails saying what was being done.
    pub(super) async fn bound<T>(&self, doing: &str, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            done = work => Ok(done),
            () = self.expired() => Err(Error::Timeout {
                host: self.host.clone(),
                doing: doing.to_string(),
                after: self.deadline.duration_since(self.start),
            }),
        }
    }

    /// Time left now; humans who answer later may add to it.
    pub(super) fn left(&self) -> Duration {
        self.moved().saturating_duration_since(Instant::now())
    }

    /// The deadline as it stands by now: of the same wait, for whoever takes an instant.
    pub(super) fn moved(&self) -> Instant {
        self.due(*self.asked.borrow())
    }

    fn due(&self, asked: Asked) -> Instant {
        self.deadline + asked.spent.saturating_sub(self.before)
    }

    async fn expired(&self) {
        let mut asked = self.asked.clone();
        loop {
            let now = *asked.borrow_and_update();
            let changed = asked.changed();
            if now.since.is_some() {
                if changed.await.is_err() {
                    return;
                }
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep_until(self.due(now)) => return,
                Ok(()) = changed => {}
            }
        }
    }
}

/// The plain case: no human involved.
pub(super) async fn bound<T>(
    host: &str,
    doing: &str,
    deadline: Instant,
    work: impl Future<Output = T>,
) -> Result<T, Error> {
    let start = Instant::now();
    tokio::time::timeout_at(deadline, work).await.map_err(|_| Error::Timeout {
        host: host.to_string(),
        doing: doing.to_string(),
        after: deadline.saturating_duration_since(start),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who takes that long for an answer.
    async fn thought(long: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < long {
            tokio::task::yield_now().await;
        }
    }

    /// What comes behind an answer has what it had before, also as another wait with the deadline as it stands then.
    #[tokio::test]
    async fn a_deadline_moves_by_the_time_that_answers_took() {
        let human = HumanTime::new();
        let (bound, thinking) = (Duration::from_secs(3_600), Duration::from_millis(20));
        let deadline = Instant::now() + bound;
        let patience = human.patience("node-1", deadline);
        for _ in 0..2 {
            let question = human.asking(thought(thinking));
            assert!(patience.bound("waiting for it", question).await.is_ok());
        }
        assert!(patience.moved() >= deadline + 2 * thinking);
        let later = human.patience("node-1", patience.moved());
        assert_eq!(later.moved(), patience.moved(), "no answer counts twice");
        human.asking(thought(thinking)).await;
        assert_eq!(later.moved(), patience.moved());
    }

    #[tokio::test]
    async fn a_deadline_that_is_over_says_no_nothing() {
        let never = std::future::pending::<()>();
        let late = bound("node-1", "looking up its name", Instant::now(), never).await.unwrap_err();
        assert!(late.to_string().starts_with("node-1: no answer in time while looking up"), "{late}");
    }
}
