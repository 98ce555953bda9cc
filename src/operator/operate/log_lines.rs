//! Lines of servers' logs: when each was written by our clock, and in which order those of several are told.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// One line of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "log")]
pub struct Line {
    pub member: String,
    /// By this machine's clock; `None`: neither it nor a line before it says.
    pub at: Option<Timestamp>,
    /// Without the time, and without what a journal puts before it.
    pub text: String,
}

/// The lines of one member whose clock is that far ahead of ours. A line without a time is of the time before it.
pub(super) fn read(member: &str, ahead_ms: f64, lines: Vec<String>) -> Vec<Line> {
    let ahead = SignedDuration::from_micros((ahead_ms * 1e3) as i64);
    let mut at = None;
    let line = |line: String| {
        let (written, text) = split(&line);
        at = written.and_then(|written| written.checked_sub(ahead).ok()).or(at);
        Line { member: member.to_owned(), at, text: text.to_owned() }
    };
    lines.into_iter().map(line).collect()
}

/// When the line was written by its host's clock, and what it says.
fn split(line: &str) -> (Option<Timestamp>, &str) {
    let Some((journal, rest)) = stamped(line) else { return (None, line) };
    // HOST PROGRAM[PID]: what it wrote, which has a finer time of its own where it is a server of ours.
    let Some((_, said)) = rest.split_once("]: ") else { return (Some(journal), rest) };
    match stamped(said) {
        Some((own, text)) => (Some(own), text),
        None => (Some(journal), said),
    }
}

/// A line that begins with a time, as the journal and our own log write it.
fn stamped(line: &str) -> Option<(Timestamp, &str)> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    let time = word.parse::<Timestamp>().ok();
    // The journal of older systems writes +0000 without a colon.
    let time =
        time.or_else(|| jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", word).ok()?.to_timestamp().ok())?;
    Some((time, rest.trim_start()))
}

/// All in one order: by time, those of one member as they stand where their times are equal.
pub(super) fn merge(logs: Vec<Vec<Line>>) -> Vec<Line> {
    let mut all: Vec<Line> = logs.into_iter().flatten().collect();
    all.sort_by_key(|line| line.at);
    all
}

/// Those not older than this; what has no time is older.
pub(super) fn since(lines: Vec<Line>, since_ms: Option<i64>) -> Vec<Line> {
    let is_young = |line: &Line| match since_ms {
        Some(since_ms) => line.at.is_some_and(|at| at.as_millisecond() >= since_ms),
        None => true,
    };
    lines.into_iter().filter(is_young).collect()
}

/// What stands behind the line that was told last; all of it where that line is no longer there.
pub(super) fn behind(lines: Vec<String>, last: Option<&String>) -> Vec<String> {
    let told = last.and_then(|last| lines.iter().rposition(|line| line == last));
    lines.into_iter().skip(told.map_or(0, |told| told + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn a_line_has_the_time_that_its_server_wrote_and_else_that_of_the_journal() {
        let log = "2026-11-30T03:30:00+0000 node-1 zkops[9]: 2026-11-30T03:29:59.250000Z  INFO zkops::run: data loaded
            2026-11-30T03:30:01+00:00 node-1 systemd[1]: Started it.
            2026-11-30T03:30:02.5Z ERROR zkops::log: its own file
            its cause";
        let read = read("node-1", 250.0, lines(log));
        let at: Vec<String> =
            read.iter().map(|line| line.at.map_or("-".into(), |at| at.to_string())).collect();
        assert_eq!(
            at,
            [
                "2026-11-30T03:29:59Z",
                "2026-11-30T03:30:00.75Z",
                "2026-11-30T03:30:02.25Z",
                "2026-11-30T03:30:02.25Z"
            ]
        );
        let text: Vec<&str> = read.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            text,
            ["INFO zkops::run: data loaded", "Started it.", "ERROR zkops::log: its own file", "its cause"]
        );
        assert_eq!(super::read("n", 0.0, lines("no time"))[0].at, None);
    }

    /// A host whose clock is five seconds ahead wrote first what stands last by its own time.
    #[test]
    fn members_are_merged_by_our_clock() {
        let one = read("one", 5_000.0, lines("2026-11-30T03:30:05Z a\n2026-11-30T03:30:07Z c"));
        let two = read("two", 0.0, lines("2026-11-30T03:30:01Z b\n2026-11-30T03:30:03Z d"));
        let merged = merge(vec![one, two]);
        let text: String = merged.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(text, "abcd");
        let from = merged[2].at.expect("it has one").as_millisecond();
        let young = since(merged, Some(from));
        assert_eq!(young.iter().map(|line| line.text.as_str()).collect::<String>(), "cd");
    }

    #[test]
    fn who_follows_is_told_each_line_once() {
        let last = "b".to_owned();
        assert_eq!(behind(lines("a\nb\nc\nd"), Some(&last)), ["c", "d"]);
        assert_eq!(behind(lines("a\nb"), Some(&last)), [""; 0]);
        assert_eq!(behind(lines("c\nd"), Some(&last)), ["c", "d"], "it grew by more than was asked for");
        assert_eq!(behind(lines("a"), None), ["a"]);
    }
}
