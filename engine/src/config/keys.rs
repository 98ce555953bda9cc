//! Keys and their values: typed reads that collect problems instead of stopping at the first,
//! and remember what was asked for, so that the rest can be named as unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::known;
use super::problem::{Named, Problem, Warning};
use crate::formats::properties::{self, Property};

/// The keys of a zoo.cfg with the overrides laid over them.
pub(super) struct Keys {
    file: String,
    values: BTreeMap<String, Value>,
    asked: BTreeSet<&'static str>,
    /// Of those, the ones that were understood and change nothing.
    idle: BTreeSet<&'static str>,
    /// `server.`, `group.`, `weight.` lines in file order; they are not single settings.
    pub(super) membership: Vec<Property>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

struct Value {
    text: String,
    at: String,
}

impl Keys {
    pub(super) fn parse(file: &Path, text: &[u8], overrides: &[(String, String)]) -> Keys {
        let mut keys = Keys {
            file: file.display().to_string(),
            values: BTreeMap::new(),
            asked: BTreeSet::new(),
            idle: BTreeSet::new(),
            membership: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        match properties::parse(text) {
            Ok(properties) => properties.into_iter().for_each(|property| keys.take(property)),
            Err((line, what)) => {
                let at = format!("{}:{line}", keys.file);
                let advice = "write a plain backslash as two".to_owned();
                keys.problems.push(Problem { at, key: None, what, advice });
            }
        }
        for (key, text) in overrides {
            let value = Value { text: text.trim().to_owned(), at: format!("-D{key}") };
            keys.values.insert(known::short(key).to_owned(), value);
        }
        keys
    }

    fn take(&mut self, property: Property) {
        let at = self.line(property.line);
        if ["server.", "group.", "weight."].iter().any(|prefix| property.key.starts_with(prefix)) {
            self.membership.push(property);
            return;
        }
        let value = Value { text: property.value, at: at.clone() };
        let key = known::short(&property.key).to_owned();
        if let Some(before) = self.values.insert(key.clone(), value) {
            let text = format!("{at}: {key} is set again ({} had it): this line wins", before.at);
            self.warnings.push(Warning::Said { key: Some(key), text });
        }
    }

    /// `zoo.cfg:12`.
    pub(super) fn line(&self, line: usize) -> String {
        format!("{}:{line}", self.file)
    }

    /// Whether the file, or an override, has it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// All that were asked for.
    pub(super) fn asked(&self) -> impl Iterator<Item = &'static str> {
        self.asked.iter().copied()
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.asked.insert(key);
        self.values.get(key).map(|value| value.text.clone())
    }

    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(key)?);
        if path.as_os_str().is_empty() {
            self.problem(key, format!("{key} is empty"), "write a path, best an absolute one");
        } else if path.is_relative() {
            self.warn(
                Some(key),
                &format!(
                    "{key}={} is relative to wherever the server is started: use an absolute path",
                    path.display()
                ),
            );
        }
        Some(path)
    }

    /// A whole number between two bounds.
    pub(super) fn number(&mut self, key: &'static str, default: i64, min: i64, max: i64) -> i64 {
        let Some(text) = self.text(key) else { return default };
        match text.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => number,
            Ok(number) => {
                let bounds = match (min, max) {
                    (i64::MIN, max) => format!("{max} at most"),
                    (min, max) if max >= i64::from(i32::MAX) => format!("{min} or more"),
                    (min, max) => format!("from {min} to {max}"),
                };
                self.problem(key, format!("{key} is {number}"), &format!("write a number, {bounds}"));
                default
            }
            Err(_) => {
                self.problem(
                    key,
                    format!("{key} is {text:?}, not a whole number"),
                    "write decimal digits only",
                );
                default
            }
        }
    }

    /// A count that −1, 0 or absence turn off.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<u32> {
        u32::try_from(self.number(key, 0, -1, i64::from(i32::MAX))).ok().filter(|&count| count > 0)
    }

    pub(super) fn port(&mut self, key: &'static str) -> Option<u16> {
        let text = self.text(key)?;
        match text.parse::<u16>() {
            // Zero lets the kernel choose, as it does for the reference.
            Ok(port) => Some(port),
            Err(_) => {
                self.problem(key, format!("{key} is {text:?}, not a port"), "write a number from 1 to 65535");
                None
            }
        }
    }

    /// A boolean of the main keys: only true and false will do.
    pub(super) fn bool(&mut self, key: &'static str, default: bool) -> bool {
        let Some(text) = self.text(key) else { return default };
        match text.to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            _ => {
                self.problem(key, format!("{key} is {text:?}"), "write true or false");
                default
            }
        }
    }

    /// A boolean of the pass-through kind: anything but true is false.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.text(key).map_or(default, |text| text.eq_ignore_ascii_case("true"))
    }

    /// A yes/no of the oldest kind: only the word opposite to the default changes it.
    pub(super) fn switch(&mut self, key: &'static str, default: bool) -> bool {
        match self.text(key) {
            None => default,
            Some(text) if default => !text.eq_ignore_ascii_case("no"),
            Some(text) => text.eq_ignore_ascii_case("yes"),
        }
    }

    /// A time in units of `unit_ms`, or with its own suffix ms, s, m, h, d; 0 or less is off.
    pub(super) fn duration_ms(&mut self, key: &'static str, unit_ms: i64) -> Option<u64> {
        let text = self.text(key)?;
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit_ms = match &text[digits.len()..] {
            "" => Some(unit_ms),
            "ms" => Some(1),
            "s" => Some(1000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        let parsed = digits.trim().parse::<i64>().ok().zip(unit_ms);
        match parsed.and_then(|(count, unit_ms)| count.checked_mul(unit_ms)) {
            Some(ms) => u64::try_from(ms).ok().filter(|&ms| ms > 0),
            None => {
                let what = format!("{key} is {text:?}, not a time");
                self.problem(key, what, "write a number of hours, or a number with ms, s, m, h or d");
                None
            }
        }
    }

    pub(super) fn problem(&mut self, key: &str, what: String, advice: &str) {
        let at = match self.values.get(key) {
            Some(value) => value.at.clone(),
            None => match self.membership.iter().find(|line| line.key.starts_with(key)) {
                Some(line) => self.line(line.line),
                None => self.file.clone(),
            },
        };
        self.problems.push(Problem { at, key: Some(key.to_owned()), what, advice: advice.to_owned() });
    }

    pub(super) fn problem_at(&mut self, at: String, key: &str, what: String, advice: &str) {
        self.problems.push(Problem { at, key: Some(key.to_owned()), what, advice: advice.to_owned() });
    }

    pub(super) fn missing(&mut self, key: &'static str, advice: &str) {
        self.problem(key, format!("{key} is missing"), advice);
    }

    pub(super) fn warn(&mut self, key: Option<&str>, text: &str) {
        let text = format!("{}: {text}", self.file);
        self.warnings.push(Warning::Said { key: key.map(str::to_owned), text });
    }

    /// Names a key among those without effect, when it `matters` that it has none.
    pub(super) fn no_effect(&mut self, key: &'static str, matters: bool) {
        if matters {
            self.idle.insert(key);
        }
    }

    /// All that is wrong, and all that is worth a word.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<Warning>) {
        let (mut unknown, mut ignored) = (Vec::new(), Vec::new());
        for (key, value) in &self.values {
            let idle = self.idle.contains(key.as_str());
            if idle || !self.asked.contains(key.as_str()) {
                let list = if idle || known::is_known(key) { &mut ignored } else { &mut unknown };
                list.push(Named { key: key.clone(), at: value.at.clone() });
            }
        }
        if !unknown.is_empty() {
            self.warnings.push(Warning::Unknown(unknown));
        }
        if !ignored.is_empty() {
            self.warnings.push(Warning::WithoutEffect(ignored));
        }
        (self.problems, self.warnings)
    }
}
