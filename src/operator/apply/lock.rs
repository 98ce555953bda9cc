//! One operator at a time: the lock is taken on every host of a run before the first step, kept
//! alive while it lasts and given back at its end. A lock whose holder is a dead process of this
//! very machine is taken over; any other is shown and left alone.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;

use super::run::Run;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::unit;
use crate::operator::host::runs::{Held, TakeLock, Taken};
use crate::operator::host::{CallError, Link};
use crate::report::{Exit, Failure};

/// The locks of a run.
pub(super) struct Locks {
    hosts: Vec<(String, String, Link)>,
}

impl Locks {
    /// Takes the lock on every host of the fleet, or on none.
    ///
    /// # Errors
    /// Exit code 6 with the holder, when somebody else has one; 5 when a host does not answer.
    pub(super) async fn take(fleet: &Fleet, run: &Run) -> Result<Locks, Failure> {
        let hosts = fleet
            .hosts()
            .map(|(member, host)| (member.name.clone(), unit::lock_path(member), host.link.clone()))
            .collect();
        let locks = Locks { hosts };
        let answers = join_all(locks.hosts.iter().map(|(_, path, link)| take(path, link, run))).await;
        let mut failure = None;
        for ((name, _, _), answer) in locks.hosts.iter().zip(answers) {
            match answer {
                Ok(None) => {}
                Ok(Some(held)) => failure = Some(locked(name, &held, run)),
                Err(why) => {
                    failure.get_or_insert_with(|| {
                        Failure::new(Exit::Halfway, format!("{name}: the lock could not be taken: {why}"))
                            .state("nothing was changed")
                            .next(run.again.clone())
                    });
                }
            }
        }
        match failure {
            None => Ok(locks),
            Some(failure) => {
                locks.give_back(run).await;
                Err(failure)
            }
        }
    }

    /// Renews the locks for as long as it is polled.
    pub(super) async fn keep(&self, run: &Run) -> Infallible {
        loop {
            tokio::time::sleep(TTL / 3).await;
            join_all(self.hosts.iter().map(|(_, path, link)| request(path, link, run, None))).await;
        }
    }

    pub(super) async fn give_back(&self, run: &Run) {
        let released = self.hosts.iter().map(|(_, path, link)| async move {
            link.within(PATIENCE).release_lock(path.into(), run.holder.id.clone()).await
        });
        // A lock that cannot be given back runs out by itself.
        join_all(released).await;
    }
}

/// `None`: it is ours.
async fn take(path: &str, link: &Link, run: &Run) -> Result<Option<Held>, CallError> {
    let Taken::HeldBy(held) = request(path, link, run, None).await? else { return Ok(None) };
    if !run.break_lock && !run.is_dead(&held.holder) {
        return Ok(Some(held));
    }
    match request(path, link, run, Some(held.holder.id)).await? {
        Taken::Taken { .. } => Ok(None),
        Taken::HeldBy(held) => Ok(Some(held)),
    }
}

async fn request(path: &str, link: &Link, run: &Run, over: Option<String>) -> Result<Taken, CallError> {
    let ttl_ms = u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX);
    let request = TakeLock { path: path.into(), holder: run.holder.clone(), ttl_ms, over };
    link.within(PATIENCE).take_lock(request).await
}

fn locked(name: &str, held: &Held, run: &Run) -> Failure {
    let holder = &held.holder;
    Failure::new(
        Exit::Locked,
        format!("{name} is locked by {} (pid {}): {}", holder.who, holder.pid, holder.command),
    )
    .evidence(
        format!("{name}: the lock"),
        vec![format!("since {}, until {} unless renewed", time(held.since_ms), time(held.until_ms))],
    )
    .state("nothing was changed")
    .next(format!("wait for {} to finish, then: {}", holder.who, run.again))
    .next(format!("if that run is dead for certain: {} --break-lock", run.again))
}

fn time(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms).map_or_else(|_| wall_ms.to_string(), |time| time.to_string())
}

/// A dead operator's lock runs out after this long.
const TTL: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
