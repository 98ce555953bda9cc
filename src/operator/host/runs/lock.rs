//! The operator's lock on a host: a file that says who changes this cluster now, written whole or not at all. Servers
//! do not look at it.
//!
//! Who may take it, in this order: nobody holds it, the same holder holds it, its time is over, or the caller names the
//! very holder it means to replace (`over`). Each new holder gets a higher number than the one before, and a request
//! that changes something is looked at only under the lock as it stands ([`at_hand`]): whoever was replaced while it
//! slept changes nothing any more.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::records::{Held, LockToken, RenewLock, StaleLock, TakeLock, Taken};
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{dirs, durable, paths};
use crate::operator::host::machine::clock;

/// Takes it, or says who holds it. A step of the holder before that is at hand comes to its end first.
pub(crate) fn take(request: &TakeLock, deadline: Instant) -> Result<Taken, Failure> {
    paths::absolute(&request.path)?;
    dirs::create_missing(paths::parent(&request.path)?)?;
    // Who may not have it anyway need not wait for anybody's step.
    if let Some(held) = in_the_way(request, written(&request.path)?.as_ref(), clock::wall_ms()) {
        return Ok(Taken::HeldBy(held.clone()));
    }
    let _guard = alone(&request.path, deadline)?;
    let (now_ms, before) = (clock::wall_ms(), written(&request.path)?);
    if let Some(held) = in_the_way(request, before.as_ref(), now_ms) {
        return Ok(Taken::HeldBy(held.clone()));
    }
    let mut held = Held {
        holder: request.holder.clone(),
        since_ms: now_ms,
        until_ms: now_ms.saturating_add_unsigned(request.ttl_ms),
        fence: before.as_ref().map_or(0, |before| before.fence).saturating_add(1),
        released: false,
    };
    let replaced = before.filter(|before| !before.released);
    let replaced = match replaced {
        Some(before) if before.holder.id == held.holder.id => {
            (held.since_ms, held.fence) = (before.since_ms, before.fence);
            None
        }
        other => other,
    };
    write(&request.path, &held)?;
    Ok(Taken::Taken { held, replaced })
}

/// Keeps it for longer; false when it is not this token's.
pub(crate) fn renew(request: &RenewLock) -> Result<bool, Failure> {
    let path = &request.token.path;
    // Beside steps: nobody takes it meanwhile, and only its holder renews it.
    let _guard = guard(path, FlockOperation::LockShared)?;
    let Some(mut held) = written(path)?.filter(|held| held.is_of(&request.token)) else { return Ok(false) };
    held.until_ms = clock::wall_ms().saturating_add_unsigned(request.ttl_ms);
    write(path, &held)?;
    Ok(true)
}

/// Lets go; false when this holder does not hold it. The file stays: its number must not fall.
pub(crate) fn release(path: &Path, id: &str, deadline: Instant) -> Result<bool, Failure> {
    if !path.exists() {
        return Ok(false);
    }
    let _guard = alone(path, deadline)?;
    let Some(mut held) = read(path)?.filter(|held| held.holder.id == id) else { return Ok(false) };
    // An older zkops sees one whose time is over.
    (held.released, held.until_ms) = (true, held.since_ms);
    write(path, &held)?;
    Ok(true)
}

/// Who holds it now: a lock whose time is over is nobody's.
pub(crate) fn held(path: &Path) -> Result<Option<Held>, Failure> {
    paths::absolute(path)?;
    Ok(read(path)?.filter(|held| held.until_ms > clock::wall_ms()))
}

/// Whose it is, stale or not.
fn read(path: &Path) -> Result<Option<Held>, Failure> {
    Ok(written(path)?.filter(|held| !held.released))
}

/// A step that goes on under a lock: nobody takes the lock over before this is dropped.
pub(crate) struct AtHand {
    _guard: fs::File,
}

/// Lets a step begin, if `token` speaks of the lock as it stands.
pub(crate) fn at_hand(token: &LockToken) -> Result<Result<AtHand, StaleLock>, Failure> {
    paths::absolute(&token.path)?;
    let stale = |now| StaleLock { path: token.path.clone(), now };
    if !token.path.exists() {
        return Ok(Err(stale(None)));
    }
    let guard = guard(&token.path, FlockOperation::LockShared)?;
    Ok(match written(&token.path)? {
        Some(held) if held.is_of(token) => Ok(AtHand { _guard: guard }),
        now => Err(stale(now)),
    })
}

/// The holder that keeps others from taking it now.
fn in_the_way<'a>(request: &TakeLock, before: Option<&'a Held>, now_ms: i64) -> Option<&'a Held> {
    before.filter(|before| {
        !before.released
            && before.holder.id != request.holder.id
            && before.until_ms > now_ms
            && request.over.as_ref() != Some(&before.holder.id)
    })
}

/// The file as it stands.
fn written(path: &Path) -> Result<Option<Held>, Failure> {
    match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Failure::new("read the lock", path.display(), Kind::Foreign, error)
                .hint("it is not a lock of zkops: look at the file, and remove it if it may go")
        }),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(Failure::io("read", path.display(), &error)),
    }
}

fn write(path: &Path, held: &Held) -> Result<(), Failure> {
    let text = serde_json::to_vec(held).map_err(|error| Failure::invalid("write", path.display(), error))?;
    durable::replace(path, &text, 0o644, None)
}

/// Without a step at hand, and without anybody else who takes or gives back.
fn alone(path: &Path, deadline: Instant) -> Result<fs::File, Failure> {
    loop {
        match guard(path, FlockOperation::NonBlockingLockExclusive) {
            Err(failure) if failure.kind == Kind::Busy && Instant::now() + PAUSE < deadline => {
                std::thread::sleep(PAUSE);
            }
            Err(failure) if failure.kind == Kind::Busy => {
                return Err(Failure { why: "a step under it has not come to its end".to_owned(), ..failure }
                    .hint("wait until the run that holds it is over, or end it, then run this again"));
            }
            other => return other,
        }
    }
}

/// The kernel's lock on the directory, which ends with the process that holds it: the file itself is replaced with
/// every change.
fn guard(path: &Path, how: FlockOperation) -> Result<fs::File, Failure> {
    let parent = paths::parent(path)?;
    let dir = fs::File::open(parent).at("open", parent)?;
    match rustix::fs::flock(&dir, how) {
        Ok(()) => Ok(dir),
        Err(Errno::WOULDBLOCK) => Err(Failure::new("take the lock", path.display(), Kind::Busy, "in use")),
        Err(errno) => Err(errno).at("lock", parent),
    }
}

/// Between two looks whether a step has ended.
const PAUSE: Duration = Duration::from_millis(20);
