//! YAML text → a small tree of values that know their place, whatever the text is.
//!
//! Two readers share the work. `serde_yaml` goes first, with a budget: it is the one that stays bounded on
//! nesting and on alias bombs. `saphyr` then builds the tree with spans and refuses duplicate keys.
//! It does not know what an inventory is.

use std::cell::Cell;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

use super::finding::{Findings, Span, shorten};

/// One YAML value and its place.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) span: Span,
    pub(super) data: Data,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar as typed: `0x10` stays `0x10`.
    Scalar {
        text: String,
    },
    List(Vec<Value>),
    Map(Vec<Entry>),
}

/// One `key: value` of a map, in the order of the text.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Spanned<String>,
    pub(super) value: Value,
}

/// A value that remembers where it was written.
#[derive(Debug, Clone)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// The one document of `text`. `None` when the text is no YAML at all; what can be said is in `findings`.
pub(super) fn load(text: &str, findings: &mut Findings<'_>) -> Option<Value> {
    let everything = Span { start: 0, end: 0 };
    if text.len() > TEXT_BYTES_MAX {
        findings
            .error("too-large", everything, format!("the file has {} bytes", text.len()), "")
            .help(format!("an inventory has at most {TEXT_BYTES_MAX} bytes: is this the right file?"));
        return None;
    }
    if let Err(error) = check_bounds(text) {
        report_syntax(text, error.location().map(|l| l.index()), &error.to_string(), findings);
        return None;
    }
    let bytes = ByteIndex::of(text);
    let documents = load_renaming_duplicates(text, &bytes, findings)?;
    let mut documents = documents.into_iter();
    let Some(first) = documents.next() else {
        empty_file(text, findings);
        return None;
    };
    if let Some(second) = documents.next() {
        findings
            .error("several-documents", bytes.span(&second), "a second YAML document", "starts here")
            .help("one file is one cluster: move this document to a file of its own");
    }
    let value = Converter { bytes: &bytes, findings }.value(&first);
    if matches!(value.data, Data::Null) {
        empty_file(text, findings);
        return None;
    }
    Some(value)
}

fn empty_file(text: &str, findings: &mut Findings<'_>) {
    let end = Span { start: text.len(), end: text.len() };
    findings
        .error("empty", end, "the inventory is empty", "")
        .help("the shortest inventory is one line: nodes: [192.168.17.130, 192.168.17.131, 192.168.17.132]");
}

/// saphyr stops at the first duplicate key. To show all problems at once, the first character of that
/// key is replaced by one of the private use area (so that all positions stay) and the text read again;
/// the converter sees the original text through the span.
fn load_renaming_duplicates<'t>(
    text: &'t str,
    bytes: &ByteIndex,
    findings: &mut Findings<'_>,
) -> Option<Vec<MarkedYaml<'t>>> {
    let mut chars: Vec<char> = text.chars().collect();
    let mut fresh = (PRIVATE_USE.0..=PRIVATE_USE.1).filter(|c| !text.contains(*c));
    for _ in 0..DUPLICATES_MAX {
        let renamed: String = chars.iter().collect();
        let error = match MarkedYaml::load_from_str(&renamed) {
            Ok(documents) => return Some(documents),
            Err(error) => error,
        };
        let mut at = error.marker().index();
        if chars.get(at).is_some_and(|c| matches!(c, '"' | '\'')) {
            at += 1;
        }
        let renameable = chars.get(at).is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '/' | '.'));
        match (error.info() == DUPLICATE_KEY && renameable, fresh.next()) {
            (true, Some(private)) => chars[at] = private,
            _ => {
                report_syntax(text, Some(bytes.of_char(error.marker().index())), error.info(), findings);
                return None;
            }
        }
    }
    let at = Span { start: 0, end: 0 };
    findings.error("duplicate-key", at, format!("more than {DUPLICATES_MAX} duplicate keys"), "");
    None
}

/// What YAML's own words leave unsaid, for the mistakes people make.
fn report_syntax(text: &str, at: Option<usize>, info: &str, findings: &mut Findings<'_>) {
    // The readers' messages end in a position that the finding shows better.
    let info = info.split(" at line ").next().unwrap_or(info);
    let at = at.unwrap_or(0).min(text.len());
    let at = text.floor_char_boundary(at);
    let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let mut span = Span { start: at, end: at + text[at..].chars().next().map_or(0, char::len_utf8) };
    let help = if indent.contains('\t') {
        span = Span { start: line_start, end: line_start + indent.len() };
        "a tab cannot indent YAML: use spaces"
    } else if info.contains("limit") {
        "an inventory is small and flat: is this the right file?"
    } else if info.contains("duplicate") {
        "write the key once"
    } else {
        "look for a missing `: `, an unclosed bracket or quote, or a line whose indentation differs, here or just above"
    };
    findings.error("yaml", span, format!("this is not YAML: {info}"), "noticed here").help(help);
}

struct Converter<'c, 't> {
    bytes: &'c ByteIndex,
    findings: &'c mut Findings<'t>,
}

impl Converter<'_, '_> {
    fn value(&mut self, node: &MarkedYaml<'_>) -> Value {
        let span = self.bytes.span(node);
        let source = self.findings.slice(span);
        if source.starts_with('*') {
            self.findings
                .error("alias", span, format!("alias `{}`", shorten(source)), "aliases are not read here")
                .help(
                    "every value of an inventory stands where it is used; shared ones go under `defaults:`",
                );
            return Value { span, data: Data::Scalar { text: source.trim().to_owned() } };
        }
        let data = match &node.data {
            YamlData::Value(Scalar::Null) | YamlData::BadValue | YamlData::Alias(_) => Data::Null,
            YamlData::Value(Scalar::String(text)) => Data::Scalar { text: text.clone().into_owned() },
            YamlData::Value(_) | YamlData::Representation(..) => {
                Data::Scalar { text: source.trim().to_owned() }
            }
            YamlData::Sequence(items) => Data::List(items.iter().map(|item| self.value(item)).collect()),
            YamlData::Mapping(map) => Data::Map(self.entries(map.iter())),
            YamlData::Tagged(tag, inner) => {
                self.findings
                    .error(
                        "tag",
                        span,
                        format!("tag `{}`", shorten(&tag.to_string())),
                        "tags are not read here",
                    )
                    .help("remove the `!…` word");
                return self.value(inner);
            }
        };
        Value { span, data }
    }

    fn entries<'n, 'y: 'n>(
        &mut self,
        pairs: impl Iterator<Item = (&'n MarkedYaml<'y>, &'n MarkedYaml<'y>)>,
    ) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for (key, value) in pairs {
            let Some(key) = self.key(key) else { continue };
            if let Some(first) = entries.iter().find(|e| e.key.value == key.value) {
                let name = shorten(&key.value);
                self.findings
                    .error("duplicate-key", key.span, format!("key `{name}` is given twice"), "again here")
                    .and(first.key.span, "first here")
                    .help("keep one of the two");
                continue;
            }
            let value = self.value(value);
            entries.push(Entry { key, value });
        }
        entries
    }

    /// A key's text is taken from the source: duplicates were renamed in what saphyr saw.
    fn key(&mut self, node: &MarkedYaml<'_>) -> Option<Spanned<String>> {
        let span = self.bytes.span(node);
        let source = self.findings.slice(span).trim();
        if !matches!(&node.data, YamlData::Value(_)) || source.starts_with(['*', '|', '>']) {
            self.findings
                .error("key", span, "a key must be a plain word", "this is a list, a map or an alias")
                .help("write `key: value`");
            return None;
        }
        let value = match &node.data {
            YamlData::Value(Scalar::String(text)) if !text.starts_with(is_private) => {
                text.clone().into_owned()
            }
            _ => source.trim_matches(['"', '\'']).to_owned(),
        };
        Some(Spanned { value, span })
    }
}

/// saphyr counts characters, everything else bytes.
struct ByteIndex {
    /// Byte offset of every character; empty when the text is ASCII.
    starts: Vec<usize>,
    len: usize,
}

impl ByteIndex {
    fn of(text: &str) -> ByteIndex {
        let starts =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        ByteIndex { starts, len: text.len() }
    }

    fn of_char(&self, index: usize) -> usize {
        if self.starts.is_empty() {
            index.min(self.len)
        } else {
            *self.starts.get(index).unwrap_or(&self.len)
        }
    }

    fn span(&self, node: &MarkedYaml<'_>) -> Span {
        Span { start: self.of_char(node.span.start.index()), end: self.of_char(node.span.end.index()) }
    }
}

/// Walks the text with the reader that is bounded on nesting and aliases; says only whether it got through.
fn check_bounds(text: &str) -> Result<(), serde_yaml::Error> {
    let budget = Cell::new(NODES_MAX);
    for document in serde_yaml::Deserializer::from_str(text) {
        Walk { budget: &budget }.deserialize(document)?;
    }
    Ok(())
}

/// Visits every node and keeps none.
#[derive(Clone, Copy)]
struct Walk<'b> {
    budget: &'b Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.budget.get().checked_sub(1) {
            Some(left) => self.budget.set(left),
            None => return Err(de::Error::custom("more values than an inventory has")),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any YAML")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }
    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<(), D::Error> {
        self.deserialize(inner)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<(), D::Error> {
        self.deserialize(inner)
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(self)?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
    fn visit_enum<A: de::EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        // A tagged value: the converter refuses it where its place is known.
        Ok(())
    }
}

fn is_private(c: char) -> bool {
    (PRIVATE_USE.0..=PRIVATE_USE.1).contains(&c)
}

/// Stand-ins for the first characters of duplicate keys.
const PRIVATE_USE: (char, char) = ('\u{e000}', '\u{e0ff}');
/// Duplicates beyond this are no slip.
const DUPLICATES_MAX: usize = 32;
/// saphyr's words for it.
const DUPLICATE_KEY: &str = "duplicated key in mapping";
/// A large inventory has some thousand nodes; aliases multiply them.
const NODES_MAX: usize = 200_000;
const TEXT_BYTES_MAX: usize = 1 << 20;
