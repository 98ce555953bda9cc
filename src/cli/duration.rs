//! Times as a person types them: `30s`, `5m`, `1h30m`, `500ms`, `1d`.
//!
//! No months and years: they have no fixed length, and nobody waits for one.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Reads a duration. What is said when it is none fits behind clap's "invalid value".
///
/// # Errors
/// When it is no duration, or one that goes back in time.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    let span = text.trim().parse::<Span>().map_err(|_| "write numbers with units, as in 30s, 5m or 1h30m")?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "months and years have no fixed length: write it in days, as in 30d")?;
    Duration::try_from(signed).map_err(|_| "it goes back in time")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[track_caller]
    fn check(texts: &[&str], ms: u64) {
        for text in texts {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_a_person_types_is_understood() {
        check(&["30s", "30 s", "30sec", "30secs", "30second", "30seconds", " 30s "], 30_000);
        check(&["5m", "5min", "5mins", "5minute", "5minutes"], 300_000);
        check(&["1h30m", "1h 30m", "1hr 30min", "1hour30minutes", "90m"], 5_400_000);
        check(&["500ms", "500msec", "500millis"], 500);
        check(&["2s500ms", "2s 500ms"], 2_500);
        check(&["250000us", "250000usec", "250000µs", "250000000ns"], 250);
        check(&["1d", "1day", "24h"], 86_400_000);
        check(&["1w", "1week", "7days"], 604_800_000);
        check(&["0s"], 0);
    }

    #[test]
    fn what_is_no_time_to_wait_is_refused() {
        for text in ["", "5", "m", "5x", "-5m", "5m ago", "1mo", "1y", "soon"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
