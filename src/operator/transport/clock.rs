//! How far a host's clock is from the operator's: questions through one running shell, the
//! answer with the shortest round trip counts. Asks the host's `date`, not the pushed binary:
//! a static binary does not see a clock that is skewed for tests.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::Instant;

use super::connection::Connection;
use super::error::Error;
use super::patience::bound;

/// The host's clock minus ours: the true offset lies within `offset_ms ± bound_ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockOffset {
    /// Positive: the host is ahead.
    pub offset_ms: f64,
    /// Half of the best round trip, and half a second more where `date` has no nanoseconds.
    pub bound_ms: f64,
}

impl Connection {
    /// Measures the host's clock against this machine's.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Lost`]; [`Error::Command`] if `date` does not answer with a time.
    pub async fn clock_offset(&self, deadline: Instant) -> Result<ClockOffset, Error> {
        let mut stream = self.stream_as_login_user(ASK, deadline).await?;
        let measured = bound(self.label(), "asking for its time", deadline, async {
            let mut best: Option<ClockOffset> = None;
            let (reader, mut writer) = tokio::io::split(&mut stream);
            let mut lines = BufReader::new(reader).lines();
            for _ in 0..SAMPLES {
                let (asked_at, asked) = (SystemTime::now(), std::time::Instant::now());
                if writer.write_all(b"\n").await.is_err() || writer.flush().await.is_err() {
                    break;
                }
                // A login shell may greet first: what is no time is passed over.
                let answer = loop {
                    match lines.next_line().await {
                        Ok(Some(line)) if Answer::parse(&line).is_none() => {}
                        Ok(Some(line)) => break Answer::parse(&line),
                        _ => break None,
                    }
                };
                let sample = answer.and_then(|host| offset(host, asked_at, asked.elapsed()));
                let Some(sample) = sample else { break };
                if best.is_none_or(|best| sample.bound_ms < best.bound_ms) {
                    best = Some(sample);
                }
            }
            best
        })
        .await?;
        let stderr = stream.stderr_tail();
        let ending = stream.finish(deadline).await?;
        measured.ok_or_else(|| Error::Command {
            host: self.label().to_string(),
            command: "date +%s%N".to_string(),
            status: ending.status,
            stderr: if stderr.is_empty() { ending.stderr } else { stderr },
        })
    }
}

/// What `date +%s%N` said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    since_epoch: Duration,
    /// How much later it may have been: a `date` without %N cuts the second off.
    slack: Duration,
}

impl Answer {
    /// A `date` that does not know %N prints seconds, then nothing, `N` or `%N`.
    pub(super) fn parse(line: &str) -> Option<Answer> {
        let line = line.trim();
        let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len());
        let (number, rest) = line.split_at(digits);
        let value: u64 = number.parse().ok()?;
        match rest {
            "" if number.len() > NANOS_DIGITS_MIN => {
                Some(Answer { since_epoch: Duration::from_nanos(value), slack: Duration::ZERO })
            }
            "" | "N" | "%N" => {
                Some(Answer { since_epoch: Duration::from_secs(value), slack: Duration::from_secs(1) })
            }
            _ => None,
        }
    }
}

/// The host read its clock some time between our two looks at ours: the middle is the best guess.
pub(super) fn offset(host: Answer, asked_at: SystemTime, round_trip: Duration) -> Option<ClockOffset> {
    let ours = asked_at.duration_since(SystemTime::UNIX_EPOCH).ok()? + round_trip / 2;
    let theirs = host.since_epoch + host.slack / 2;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (ahead, behind) = (theirs.saturating_sub(ours), ours.saturating_sub(theirs));
    Some(ClockOffset { offset_ms: ms(ahead) - ms(behind), bound_ms: ms(round_trip / 2 + host.slack / 2) })
}

/// One `date` for each line it is fed.
const ASK: &str = "while read -r _; do date +%s%N || exit; done";
const SAMPLES: u32 = 8;
/// Seconds have ten digits until the year 2286, nanoseconds nineteen.
const NANOS_DIGITS_MIN: usize = 12;
