//! The last lines that a service wrote, from the journal or from a file. It follows nothing.

use tokio::time::Instant;

use super::records::{LogSource, LogTail};
use crate::operator::host::failure::Failure;
use crate::operator::host::files::look;
use crate::operator::host::machine::blocking::blocking;
use crate::operator::host::machine::command;

pub(crate) async fn tail(source: LogSource, lines: usize, deadline: Instant) -> Result<LogTail, Failure> {
    let lines = lines.min(LINES_MAX);
    match source {
        LogSource::File { path } => {
            blocking(move || {
                let (bytes, cut) = look::tail(&path, BYTES_MAX)?;
                Ok(last(&String::from_utf8_lossy(&bytes), lines, cut))
            })
            .await
        }
        LogSource::Journal { unit } => {
            // One more than asked tells whether there are older ones.
            let count = (lines + 1).to_string();
            let args = ["--no-pager", "-q", "-o", "short-iso", "-n", &count, "-u", &unit];
            let output = command::must("read the journal with", "journalctl", &args, deadline).await?;
            Ok(last(&output.stdout, lines, false))
        }
    }
}

fn last(text: &str, count: usize, cut: bool) -> LogTail {
    let mut all: Vec<&str> = text.lines().collect();
    if cut && !all.is_empty() {
        // Begins in the middle of a line.
        all.remove(0);
    }
    let skip = all.len().saturating_sub(count);
    LogTail {
        lines: all[skip..].iter().map(|line| (*line).to_string()).collect(),
        truncated: cut || skip > 0,
    }
}

/// A screenful is 50; a support bundle asks for thousands.
pub(crate) const LINES_MAX: usize = 10_000;
/// From the end of a log file.
const BYTES_MAX: u64 = 4 << 20;
