//! An append-only file of JSON lines, each one durable before it is acknowledged: what was done
//! on this host, by whom, when. It never rewrites a line.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::records::JournalTail;
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{dirs, durable, look, paths};

/// # Errors
/// `Invalid` when the line is not one JSON value on one line.
pub(crate) fn append(path: &Path, line: &str) -> Result<(), Failure> {
    paths::absolute(path)?;
    let refuse = |why: String| Failure::invalid("append to", path.display(), why);
    if line.len() > LINE_BYTES_MAX || line.contains('\n') {
        return Err(refuse(format!("not one line of at most {LINE_BYTES_MAX} bytes")));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(line)
        .map_err(|error| refuse(format!("not JSON: {error}")))?;
    let parent = paths::parent(path)?;
    dirs::create_missing(parent)?;
    let new = !path.exists();
    let mut file = fs::OpenOptions::new().create(true).read(true).append(true).open(path).at("open", path)?;
    let mut text = String::with_capacity(line.len() + 2);
    // A line torn by a crash must not swallow this one.
    if !ends_a_line(&mut file).at("read", path)? {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
    file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).at("append to", path)?;
    if new { durable::sync_dir(parent) } else { Ok(()) }
}

/// The last `max` lines; none when there is no such file.
pub(crate) fn read(path: &Path, max: usize) -> Result<JournalTail, Failure> {
    let (bytes, mut truncated) = match look::tail(path, READ_BYTES_MAX) {
        Ok(found) => found,
        Err(failure) if failure.kind == Kind::NotFound => (Vec::new(), false),
        Err(failure) => return Err(failure),
    };
    let text = String::from_utf8_lossy(&bytes);
    // What precedes the first line feed of a cut-off read is part of a line.
    let whole = if truncated { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
    let all: Vec<&str> = whole.lines().filter(|line| !line.is_empty()).collect();
    let is_json = |line: &&&str| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    let good: Vec<&str> = all.iter().filter(is_json).copied().collect();
    let skipped = good.len().saturating_sub(max);
    truncated |= skipped > 0;
    let lines = good[skipped..].iter().map(|line| (*line).to_string()).collect();
    Ok(JournalTail { lines, truncated, torn: all.len() - good.len() })
}

fn ends_a_line(file: &mut fs::File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == [b'\n'])
}

/// A line is an event, not a file.
const LINE_BYTES_MAX: usize = 256 << 10;
/// What a reader gets from the end at most.
const READ_BYTES_MAX: u64 = 8 << 20;
