//! One operator at a time: the lock is taken on every host of a run before the first step, kept alive while it lasts and
//! given back at its end; every request that changes something is sent under it. A lock whose holder is a dead process
//! of this very machine is taken over; any other is shown and left alone. A run whose lock was taken over ends before
//! its next step.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;

use super::run::Run;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::stop::Why;
use crate::operator::fleet::unit;
use crate::operator::host::runs::{Held, RenewLock, TakeLock, Taken};
use crate::operator::host::{CallError, Link};
use crate::report::{Exit, Failure};

/// The locks of a run.
pub(super) struct Locks {
    hosts: Vec<Lock>,
}

/// One host's.
struct Lock {
    member: String,
    path: String,
    link: Link,
}

impl Locks {
    /// Takes the lock on every host of the fleet, or on none.
    ///
    /// # Errors
    /// Exit code 6 with the holder, when somebody else has one; 5 when a host does not answer.
    pub(super) async fn take(fleet: &Fleet, run: &Run) -> Result<Locks, Failure> {
        let hosts = fleet.all().map(|(member, host)| Lock {
            member: member.name.clone(),
            path: unit::lock_path(member),
            link: host.link.clone(),
        });
        let locks = Locks { hosts: hosts.collect() };
        let answers = join_all(locks.hosts.iter().map(|lock| lock.take(run))).await;
        let mut failure = None;
        for (lock, answer) in locks.hosts.iter().zip(answers) {
            match answer {
                Ok(None) => {}
                Ok(Some(held)) => failure = Some(locked(&lock.member, &held, run)),
                Err(why) => {
                    failure.get_or_insert_with(|| {
                        let what = format!("{}: the lock could not be taken: {why}", lock.member);
                        Failure::new(Exit::Halfway, what).state("nothing was changed").next(run.again.clone())
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

    /// Renews the locks for as long as it is polled; a lock that somebody else has now ends the run.
    pub(super) async fn keep(&self, run: &Run) -> Infallible {
        loop {
            tokio::time::sleep(TTL / 3).await;
            join_all(self.hosts.iter().map(|lock| lock.renew(run))).await;
        }
    }

    pub(super) async fn give_back(&self, run: &Run) {
        let released = self.hosts.iter().map(|lock| async move {
            let id = run.holder.id.clone();
            lock.link.hold(None);
            lock.link.within(GOODBYE).release_lock((&lock.path).into(), id).await
        });
        // A lock that cannot be given back runs out by itself.
        join_all(released).await;
    }
}

/// That nobody else changes anything on these hosts just now. It takes no lock: what begins a moment later is not seen.
///
/// # Errors
/// Exit code 6 with the holder; 7 where a host that was reached does not say.
pub async fn nobody_at_work(fleet: &Fleet, run: &Run) -> Result<(), Failure> {
    let asked = fleet.all().map(|(member, host)| async move {
        let held = host.link.within(PATIENCE).read_lock(unit::lock_path(member).into()).await;
        (&member.name, held)
    });
    for (name, held) in join_all(asked).await {
        match held {
            Ok(Some(held)) if !run.is_dead(&held.holder) => return Err(locked(name, &held, run)),
            Ok(_) => {}
            Err(why) => {
                let what = format!("{name}: whether somebody is at work there is not seen: {why}");
                return Err(Failure::new(Exit::Unreachable, what).next(run.again.clone()));
            }
        }
    }
    Ok(())
}

impl Lock {
    /// `None`: it is ours.
    async fn take(&self, run: &Run) -> Result<Option<Held>, CallError> {
        let Taken::HeldBy(held) = self.request(run, None, PATIENCE).await? else { return Ok(None) };
        if !run.break_lock && !run.is_dead(&held.holder) {
            return Ok(Some(held));
        }
        match self.request(run, Some(held.holder.id), STEP_PATIENCE).await? {
            Taken::Taken { .. } => Ok(None),
            Taken::HeldBy(held) => Ok(Some(held)),
        }
    }

    async fn request(&self, run: &Run, over: Option<String>, patience: Duration) -> Result<Taken, CallError> {
        let path = PathBuf::from(&self.path);
        let request = TakeLock { path: path.clone(), holder: run.holder.clone(), ttl_ms: TTL_MS, over };
        let taken = self.link.within(patience).take_lock(request).await?;
        if let Taken::Taken { held, .. } = &taken {
            self.link.hold(Some(held.token(path)));
        }
        Ok(taken)
    }

    async fn renew(&self, run: &Run) {
        let Some(token) = self.link.held() else { return };
        let request = RenewLock { token, ttl_ms: TTL_MS };
        // Whatever else goes wrong shows at the next step, if there is one.
        if let Err(CallError::StaleLock(stale)) = self.link.within(PATIENCE).renew_lock(request).await {
            run.stop.ask(Why::TakenOver { member: self.member.clone(), stale });
        }
    }
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
const TTL_MS: u64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(10);
/// Whoever is replaced finishes the step at hand first, which takes a minute at most.
const STEP_PATIENCE: Duration = Duration::from_secs(70);
/// For what nobody should wait for.
const GOODBYE: Duration = Duration::from_secs(5);
