//! Times of a day as a person types them: `2026-11-30T03:55:58Z`, `2026-11-30 03:55` in UTC, `2h` for two hours ago.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::duration;

/// Milliseconds since 1970.
///
/// # Errors
/// When it is no time; what is said fits behind clap's "invalid value".
pub(super) fn parse(text: &str) -> Result<i64, &'static str> {
    at(text.trim(), Timestamp::now())
        .ok_or("write it as 2026-11-30T03:55:58Z, as \"2026-11-30 03:55\" (UTC), or as 2h")
}

fn at(text: &str, now: Timestamp) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond());
    }
    let ago = SignedDuration::try_from(duration::parse(text).ok()?).ok()?;
    Some(now.checked_sub(ago).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn a_moment_is_a_time_a_day_or_so_long_ago() {
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let check = |text: &str, expected: Option<&str>| {
            let expected = expected.map(|time| time.parse::<jiff::Timestamp>().unwrap().as_millisecond());
            assert_eq!(at(text, now), expected, "{text}");
        };
        check("2026-11-30T03:55:58Z", Some("2026-11-30T03:55:58Z"));
        check("2026-11-30T03:55:58.123Z", Some("2026-11-30T03:55:58.123Z"));
        check("2026-11-30T04:55+01:00", Some("2026-11-30T03:55:00Z"));
        check("2026-11-30 03:55", Some("2026-11-30T03:55:00Z"));
        check("2026-11-30", Some("2026-11-30T00:00:00Z"));
        check("2h", Some("2026-11-30T10:00:00Z"));
        check("90s", Some("2026-11-30T11:58:30Z"));
        for text in ["", "yesterday", "12", "-2h", "2026-13-01", "99999999999999d"] {
            check(text, None);
        }
    }
}
