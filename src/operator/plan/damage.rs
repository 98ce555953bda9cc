//! What is wrong with the files of a member's data, and how it is said. Nobody decides here whether a
//! member may start on them.

use std::fmt;

/// One reason why a server will hardly start on its files. A wrong `myid` is none: it has a fact of
/// its own and says nothing about the database.
#[derive(Clone, Debug, PartialEq)]
pub enum Damage {
    /// Something else is where a directory should be.
    NotADirectory {
        path: String,
    },
    /// A file of one number, by its name in the data directory, and what it holds.
    NotANumber {
        file: String,
        raw: String,
    },
    EpochsReversed {
        accepted: i64,
        current: i64,
    },
    /// There are snapshots, and each of them is odd.
    NoSnapshotLoads {
        odd: Vec<OddFile>,
    },
    LogsWithoutSnapshot,
    BadLog(OddFile),
    /// The file that says whose data this is does not.
    BadMarker(OddFile),
}

/// A file that does not look like what its name says.
#[derive(Clone, Debug, PartialEq)]
pub struct OddFile {
    pub path: String,
    /// To be read after the file's name: "is not gzip".
    pub how: String,
}

impl Damage {
    /// A start makes it good, with a leader's data, or leaves everything as it is: the server's own reading has the
    /// last word. What stands in the data's place, and a marker that says nothing, it never touches.
    pub(super) fn heals(&self) -> bool {
        !matches!(self, Damage::NotADirectory { .. } | Damage::BadMarker(_))
    }
}

/// All of it in one line.
pub(crate) fn sentence(all: &[Damage]) -> String {
    let each: Vec<String> = all.iter().map(Damage::to_string).collect();
    each.join("; ")
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Damage::NotADirectory { path } => format!("{path} is not a directory"),
            Damage::NotANumber { file, raw } => format!("{file} does not hold a number but {raw:?}"),
            Damage::EpochsReversed { accepted, current } => {
                format!("acceptedEpoch {accepted} is lower than currentEpoch {current}")
            }
            Damage::NoSnapshotLoads { odd } => {
                let each: Vec<String> = odd.iter().map(OddFile::to_string).collect();
                format!("no snapshot can be loaded: {}", each.join(", "))
            }
            Damage::LogsWithoutSnapshot => "there are logs but no snapshot".to_owned(),
            Damage::BadLog(odd) | Damage::BadMarker(odd) => odd.to_string(),
        };
        f.write_str(&legible(&text))
    }
}

impl fmt::Display for OddFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.how)
    }
}

/// Garbage quoted from a file must neither fill a screen nor steer a terminal.
fn legible(text: &str) -> String {
    let harmless = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '.' };
    let mut shown: String = text.chars().take(CHARS_SHOWN).map(harmless).collect();
    if text.chars().count() > CHARS_SHOWN {
        shown.push('…');
    }
    shown
}

/// A sentence about one file.
const CHARS_SHOWN: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_quoted_from_a_file_neither_fills_nor_steers_a_terminal() {
        let path = format!("log.1\u{1b}[2J{}", "é".repeat(500));
        let shown = Damage::BadLog(OddFile { path, how: "is odd".into() }).to_string();
        assert!(shown.starts_with("log.1.[2J...."), "{shown}");
        assert!(shown.chars().count() <= 161 && !shown.contains('\u{1b}'));
    }

    #[test]
    fn each_damage_is_a_sentence_and_all_of_them_one_line() {
        let odd = |path: &str, how: &str| OddFile { path: path.into(), how: how.into() };
        let all = [
            Damage::NotADirectory { path: "/d/version-2".into() },
            Damage::NotANumber { file: "version-2/currentEpoch".into(), raw: "x\"y".into() },
            Damage::EpochsReversed { accepted: 1, current: 2 },
            Damage::NoSnapshotLoads { odd: vec![odd("/d/a", "is not gzip"), odd("/d/b", "is not snappy")] },
            Damage::LogsWithoutSnapshot,
            Damage::BadLog(odd("/d/log.5", "does not begin with ZKLG")),
        ];
        assert_eq!(
            sentence(&all),
            "/d/version-2 is not a directory; version-2/currentEpoch does not hold a number but \"x\\\"y\"; \
             acceptedEpoch 1 is lower than currentEpoch 2; no snapshot can be loaded: /d/a is not gzip, \
             /d/b is not snappy; there are logs but no snapshot; /d/log.5 does not begin with ZKLG"
        );
    }
}
