//! What runs leave on every host they change: a typed line before each step and one after it, one JSON document a
//! line. `apply` writes them, `observe` reads them; both know them by this type alone.
//!
//! The keys are those of the first version: its journals are read as they are, and it reads ours. What is no such line
//! (torn, or somebody else's) is nobody's entry and no error.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::formats::opening::Opening;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the operator's clock; RFC 3339.
    #[serde(default)]
    pub at: String,
    /// The run that wrote it, as its lock named it.
    #[serde(default)]
    pub run: String,
    /// `user@host` of the operator.
    #[serde(default)]
    pub who: String,
    /// What was typed.
    #[serde(default)]
    pub command: String,
    #[serde(default)]
    pub member: String,
    /// The step in words. Names and sizes only: contents of files stay out of the journal (law 12).
    #[serde(default)]
    pub step: String,
    #[serde(flatten)]
    pub event: Event,
}

/// Which of its two lines a step has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It is about to be done: without an end after it, nobody knows whether it was.
    Begin {
        #[serde(default)]
        why: String,
        /// What it will open in the firewall: ours to close, also when the end is never written.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        opening: Vec<Opening>,
        /// Where members were seen to come from, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        observed: BTreeMap<String, BTreeSet<IpAddr>>,
    },
    /// It was done, or could not be.
    End {
        outcome: Outcome,
        #[serde(flatten)]
        effects: Effects,
    },
}

/// What became of a step; in the file a word, or the word with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Outcome {
    Changed,
    /// Found done already.
    Noop,
    /// Why it failed.
    Failed(String),
}

/// What a step did that later runs must know of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// The firewalld zone that decides for the ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What it opened: that is ours to close.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<Opening>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<Opening>,
    /// Ports opened to all, as the first version wrote it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened_ports: Vec<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed_ports: Vec<u16>,
    /// A user of the system that it made: ours to remove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_user: Option<String>,
    /// Directories that it made above those of the member: ours to remove when nothing is in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_dirs: Vec<String>,
    /// The commands that opened them, as one would type them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

impl Entry {
    /// The entry of a line; `None`: it is none.
    pub fn read(line: &str) -> Option<Entry> {
        serde_json::from_str(line).ok()
    }

    /// The line of an entry, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self)
            .expect("an entry is strings, numbers and lists: there is nothing to refuse")
    }

    /// What it opened or was about to open. A first version's begin says so in words alone.
    pub fn opening(&self) -> Vec<Opening> {
        match &self.event {
            Event::Begin { opening, .. } if opening.is_empty() => {
                let ports = self.step.strip_prefix("open tcp ").unwrap_or_default().split(' ');
                ports.map_while(|port| port.parse().ok()).map(Opening::to_all).collect()
            }
            Event::Begin { opening, .. } => opening.clone(),
            Event::End { effects, .. } => {
                let to_all = effects.opened_ports.iter().copied().map(Opening::to_all);
                effects.opened.iter().copied().chain(to_all).collect()
            }
        }
    }

    /// What it closed.
    pub fn closing(&self) -> Vec<Opening> {
        let Some(effects) = self.effects() else { return Vec::new() };
        let to_all = effects.closed_ports.iter().copied().map(Opening::to_all);
        effects.closed.iter().copied().chain(to_all).collect()
    }

    /// What the step did, where it has ended.
    pub fn effects(&self) -> Option<&Effects> {
        match &self.event {
            Event::Begin { .. } => None,
            Event::End { effects, .. } => Some(effects),
        }
    }
}

impl From<String> for Outcome {
    fn from(text: String) -> Outcome {
        match text.as_str() {
            "changed" => Outcome::Changed,
            "noop" => Outcome::Noop,
            other => Outcome::Failed(other.strip_prefix(FAILED).unwrap_or(other).to_owned()),
        }
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> String {
        match outcome {
            Outcome::Changed => "changed".to_owned(),
            Outcome::Noop => "noop".to_owned(),
            Outcome::Failed(why) => format!("{FAILED}{why}"),
        }
    }
}

/// Stands before the reason.
const FAILED: &str = "failed: ";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Effects, Entry, Event, Outcome};

    fn entry(event: Event) -> Entry {
        Entry {
            at: "2026-11-29T23:33:20.5Z".into(),
            run: "0a1b-77".into(),
            who: "root@gate".into(),
            command: "zkops deploy orders.yml".into(),
            member: "node-1".into(),
            step: "open tcp 2181 2888 3888".into(),
            event,
        }
    }

    fn end(outcome: Outcome, effects: Effects) -> Event {
        Event::End { outcome, effects }
    }

    /// `old` is what the first version wrote.
    #[track_caller]
    fn check(event: Event, old: &str) {
        let entry = entry(event);
        assert_eq!(Entry::read(old).as_ref(), Some(&entry), "{old}");
        let line = entry.line();
        assert_eq!(Entry::read(&line), Some(entry));
        let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(same(&line), same(old), "the first version reads what is written now");
    }

    #[test]
    fn lines_of_the_first_version_are_read_and_written() {
        let opened = Effects {
            zone: Some("public".into()),
            opened_ports: vec![2181, 2888, 3888],
            commands: vec!["firewall-cmd --permanent --add-port=2181/tcp".into()],
            ..Effects::default()
        };
        check(
            end(Outcome::Changed, opened),
            r#"{"at":"2026-11-29T23:33:20.5Z","command":"zkops deploy orders.yml","commands":["firewall-cmd --permanent --add-port=2181/tcp"],"event":"end","member":"node-1","opened_ports":[2181,2888,3888],"outcome":"changed","run":"0a1b-77","step":"open tcp 2181 2888 3888","who":"root@gate","zone":"public"}"#,
        );
        check(
            Event::Begin {
                why: "closed by the firewall".into(),
                opening: Vec::new(),
                observed: BTreeMap::new(),
            },
            r#"{"at":"2026-11-29T23:33:20.5Z","command":"zkops deploy orders.yml","event":"begin","member":"node-1","run":"0a1b-77","step":"open tcp 2181 2888 3888","who":"root@gate","why":"closed by the firewall"}"#,
        );
        check(
            end(Outcome::Failed("no such zone".into()), Effects::default()),
            r#"{"at":"2026-11-29T23:33:20.5Z","command":"zkops deploy orders.yml","event":"end","member":"node-1","outcome":"failed: no such zone","run":"0a1b-77","step":"open tcp 2181 2888 3888","who":"root@gate"}"#,
        );
    }

    #[test]
    fn what_is_no_entry_is_passed_over_and_what_is_new_is_not_in_the_way() {
        for line in ["", "torn {", "7", "[]", "{}", r#"{"event":"moon"}"#] {
            assert_eq!(Entry::read(line), None, "{line}");
        }
        let later = r#"{"event":"end","outcome":"noop","closed_ports":[2181],"signed_by":"somebody"}"#;
        let effects = Entry::read(later).unwrap().effects().cloned().unwrap();
        assert_eq!(effects.closed_ports, [2181]);
    }
}
