//! The snapshot that a path means: itself, or the newest of a directory that is whole, which is said.

use std::path::Path;

use crate::cli::env::Env;
use crate::cli::lost;
use crate::forensics::evidence::place::{Found, Kind};
use crate::forensics::evidence::snapshots::{self, Unread};
use crate::report::{Exit, Failure};

pub(super) fn chosen(path: &Path, env: &Env) -> Result<Found, Failure> {
    let mut place = lost::place(path, Kind::Snapshots)?;
    if place.is_one_file {
        return place.files.pop().ok_or_else(|| Failure::new(Exit::Failed, "a file that is none"));
    }
    let (newest, passed_over) = snapshots::newest(&place);
    for (path, why) in &passed_over {
        env.caller.events.note(format!("{}: passed over: {why}", path.display()));
    }
    let Some(newest) = newest else {
        let what = format!("no snapshot in {} is whole", place.dir.display());
        return Err(
            Failure::new(Exit::Unhealthy, what).next(format!("zkops snapshot check {}", path.display()))
        );
    };
    env.caller.events.note(format!("the newest snapshot that is whole: {}", newest.path.display()));
    Ok(newest)
}

/// How a run ends whose snapshot was not to be read to its end.
pub(super) fn failure(found: &Found, why: &Unread) -> Failure {
    let what = format!("{}: {why}", found.path.display());
    match why {
        Unread::Unopened(_) => lost::unreadable(&what),
        Unread::Gone => Failure::new(Exit::Failed, what).next("run the same command again"),
        Unread::Unfinished | Unread::Damaged(_) => Failure::new(Exit::Unhealthy, what)
            .state("what was told before is what stands in it up to there, and nothing vouches for it")
            .next("name its directory instead: the newest snapshot that is whole is taken"),
    }
}
