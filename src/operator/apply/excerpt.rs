//! Of a log, the lines that belong to a failed step: those that its server wrote since the step began. What stood there
//! before is an older story.

/// The lines written at `since_ms` (milliseconds since 1970, by the log's own clock) or later. A line without a time of
/// its own belongs to the one before it; where no line has one, nothing can be told apart and all are shown.
pub(super) fn since(lines: Vec<String>, since_ms: i64) -> Vec<String> {
    if !lines.iter().any(|line| time_ms(line).is_some()) {
        return lines;
    }
    let mut young = false;
    let keep = |line: &String| {
        young = time_ms(line).map_or(young, |ms| ms >= since_ms);
        young
    };
    lines.into_iter().filter(keep).collect()
}

/// The time that a line begins with, as the journal and our own log write it.
fn time_ms(line: &str) -> Option<i64> {
    let word = line.split_whitespace().next()?;
    let time = word.parse::<jiff::Timestamp>().ok();
    // The journal of older systems writes +0000 without a colon.
    let time =
        time.or_else(|| jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", word).ok()?.to_timestamp().ok());
    time.map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::since;

    #[track_caller]
    fn check(lines: &[&str], since_ms: i64, expected: &[&str]) {
        assert_eq!(since(lines.iter().map(|line| (*line).to_owned()).collect(), since_ms), expected);
    }

    #[test]
    fn what_was_written_before_the_step_is_not_its_story() {
        let at = 1_796_009_400_000; // 2026-11-30T03:30:00Z
        let journal = [
            "2026-11-30T03:29:59+0000 node-1 zkops[7]: old",
            "2026-11-30T03:30:00+0000 node-1 zkops[9]: young",
        ];
        check(&journal, at, &journal[1..]);
        check(
            &["2026-11-30T04:29:59+01:00 x", "2026-11-30T04:30:01+01:00 y"],
            at,
            &["2026-11-30T04:30:01+01:00 y"],
        );
        let own = [
            "2026-11-30T03:29:59.999999Z  INFO old",
            "  and more of it",
            "2026-11-30T03:30:00.5Z ERROR young",
            "  its cause",
        ];
        check(&own, at, &own[2..]);
        check(&own, at + 60_000, &[]);
    }

    #[test]
    fn lines_without_any_time_are_all_shown() {
        check(&["no journal files were opened", "exit 2"], 0, &["no journal files were opened", "exit 2"]);
        check(&[], 0, &[]);
    }
}
