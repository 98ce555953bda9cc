//! A map's keys, each taken once. What nobody takes is a mistake, and gets a did-you-mean.

use super::finding::{Findings, Span, shorten};
use super::suggest;
use super::yaml::{Data, Entry, Spanned, Value};

/// A map being read. Call [`Fields::finish`] in the end.
pub(super) struct Fields<'v> {
    /// What the map is, as messages call it: "a node", "`ssh`".
    what: &'static str,
    entries: &'v [Entry],
    known: Vec<&'static str>,
}

impl<'v> Fields<'v> {
    /// `None`, and a finding, when the value is no map.
    pub(super) fn of(
        value: &'v Value,
        what: &'static str,
        findings: &mut Findings<'_>,
    ) -> Option<Fields<'v>> {
        match &value.data {
            Data::Map(entries) => Some(Fields { what, entries, known: Vec::new() }),
            _ => {
                findings
                    .error("type", value.span, format!("{what} must be a map"), "this is not one")
                    .help("write `key: value` lines, or `{ key: value, … }`");
                None
            }
        }
    }

    /// The entry of this key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'v Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// A word: text, or a number or flag taken as text.
    pub(super) fn word(&mut self, key: &'static str, findings: &mut Findings<'_>) -> Option<Spanned<String>> {
        let entry = self.take(key)?;
        word(&entry.value, &format!("`{key}`"), findings)
    }

    /// A number within bounds.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<i64>,
        findings: &mut Findings<'_>,
    ) -> Option<Spanned<i64>> {
        let entry = self.take(key)?;
        let text = word(&entry.value, &format!("`{key}`"), findings)?;
        match text.value.parse::<i64>() {
            Ok(value) if bounds.contains(&value) => Some(Spanned { value, span: text.span }),
            _ => {
                let message = format!("`{key}` is `{}`", shorten(&text.value));
                let label = format!("must be a number from {} to {}", bounds.start(), bounds.end());
                let finding = findings.error("number", text.span, message, label);
                if (key, text.value.as_str()) == ("id", "0") {
                    finding.help("ids count from 1, as the names of most members do: write `id: 1`");
                }
                None
            }
        }
    }

    /// Reports the keys that nobody took.
    pub(super) fn finish(self, findings: &mut Findings<'_>) {
        for entry in self.entries {
            let key = entry.key.value.as_str();
            if !self.known.contains(&key) {
                self.unknown(entry.key.span, key, findings);
            }
        }
    }

    fn unknown(&self, span: Span, key: &str, findings: &mut Findings<'_>) {
        let message = format!("{} has no key `{}`", self.what, shorten(key));
        let finding = findings.error("unknown-key", span, message, "unknown");
        match suggest::nearest(key, self.known.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("keys here: {}", self.known.join(", "))),
        };
    }
}

/// The value as one word.
pub(super) fn word(value: &Value, what: &str, findings: &mut Findings<'_>) -> Option<Spanned<String>> {
    match &value.data {
        Data::Scalar { text } if !text.is_empty() && !text.chars().any(char::is_control) => {
            Some(Spanned { value: text.clone(), span: value.span })
        }
        Data::Scalar { .. } => {
            findings.error("text", value.span, format!("{what} must be one line of text"), "this is not");
            None
        }
        Data::Null => {
            findings
                .error("empty-value", value.span, format!("{what} has no value"), "nothing here")
                .help("write a value, or remove the key");
            None
        }
        Data::List(_) | Data::Map(_) => {
            findings.error(
                "type",
                value.span,
                format!("{what} must be a single value"),
                "this is a list or a map",
            );
            None
        }
    }
}
