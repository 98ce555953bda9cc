//! What is wrong, or doubtful, in an inventory: a message, the places in the text that prove it and
//! what to do. All problems of one text are collected here, so that one run shows them all.
//!
//! It does not print: `render` gives text, the caller owns the terminal.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

/// How much a finding weighs: an error means there is no `Cluster`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One problem. `code` is stable: scripts and tests may match on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub code: &'static str,
    pub file: String,
    pub message: String,
    /// Where in the text; the first place is the offence, the others explain it.
    pub places: Vec<Place>,
    pub help: Option<String>,
}

/// A place in the inventory's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// The offending text, shortened.
    pub text: String,
    pub label: String,
    /// Byte range in the text.
    pub start: usize,
    pub end: usize,
}

/// A byte range of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Finding {
    /// `file:line:column: severity: message`, the one-line form.
    pub fn summary(&self) -> String {
        let level = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        match self.places.first() {
            Some(place) => {
                format!("{}:{}:{}: {level}: {}", self.file, place.line, place.column, self.message)
            }
            None => format!("{}: {level}: {}", self.file, self.message),
        }
    }

    /// The finding as rustc would draw it. `text` is the text that was parsed: the places point into it.
    pub fn render(&self, text: &str, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut snippet = Snippet::source(text).path(self.file.as_str()).fold(true);
        for (i, place) in self.places.iter().enumerate() {
            let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let start = floor_char(text, place.start);
            let end = floor_char(text, place.end).max(start);
            let label = (!place.label.is_empty()).then_some(place.label.as_str());
            snippet = snippet.annotation(kind.span(start..end).label(label));
        }
        let mut group = level.primary_title(self.message.as_str()).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Finding {
        self.help = Some(help.into());
        self
    }

    /// Adds a place that explains the first one.
    pub(super) fn and(&mut self, span: Span, label: impl Into<String>) -> &mut Finding {
        self.places.push(Place::at(span, label));
        self
    }
}

impl Place {
    /// A place whose line, column and text are filled in by `Findings::finish`.
    fn at(span: Span, label: impl Into<String>) -> Place {
        Place {
            line: 0,
            column: 0,
            text: String::new(),
            label: label.into(),
            start: span.start,
            end: span.end,
        }
    }
}

/// The findings of one text, in the making.
pub(super) struct Findings<'t> {
    file: &'t str,
    text: &'t str,
    found: Vec<Finding>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Findings<'t> {
        Findings { file, text, found: Vec::new() }
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> &mut Finding {
        self.push(Severity::Error, code, span, message.into(), label.into())
    }

    pub(super) fn warning(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> &mut Finding {
        self.push(Severity::Warning, code, span, message.into(), label.into())
    }

    /// A default is resolved once per member: the same offence at the same place is one finding.
    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        span: Span,
        message: String,
        label: String,
    ) -> &mut Finding {
        let same =
            |f: &Finding| f.code == code && f.places[0].start == span.start && f.places[0].end == span.end;
        let at = self.found.iter().position(same).unwrap_or(self.found.len());
        let finding = Finding {
            severity,
            code,
            file: self.file.to_owned(),
            message,
            places: vec![Place::at(span, label)],
            help: None,
        };
        match self.found.get_mut(at) {
            Some(slot) => *slot = finding,
            None => self.found.push(finding),
        }
        &mut self.found[at]
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|f| f.severity == Severity::Error)
    }

    /// The text behind a span.
    pub(super) fn slice(&self, span: Span) -> &'t str {
        &self.text[floor_char(self.text, span.start)..floor_char(self.text, span.end.max(span.start))]
    }

    /// Findings in the order of the text, with lines and columns, at most `SHOWN_MAX`.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.found.sort_by_key(|f| (f.places[0].start, f.severity));
        if self.found.len() > SHOWN_MAX {
            let more = self.found.len() - SHOWN_MAX;
            self.found.sort_by_key(|f| f.severity);
            self.found.truncate(SHOWN_MAX);
            self.found.sort_by_key(|f| (f.places[0].start, f.severity));
            if let Some(last) = self.found.last_mut() {
                let help = last.help.take().map(|h| h + "; ").unwrap_or_default();
                last.help = Some(format!("{help}{more} more findings are not shown: repair these first"));
            }
        }
        for place in self.found.iter_mut().flat_map(|f| &mut f.places) {
            locate(self.text, place);
        }
        self.found
    }
}

fn locate(text: &str, place: &mut Place) {
    place.start = floor_char(text, place.start);
    place.end = floor_char(text, place.end).max(place.start);
    let before = &text[..place.start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    place.line = before.matches('\n').count() + 1;
    place.column = before[line_start..].chars().count() + 1;
    place.text = shorten(&text[place.start..place.end]);
}

/// Text from the file as it may stand in a message: one line, no control characters, bounded.
pub(super) fn shorten(text: &str) -> String {
    let mut short = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == TEXT_CHARS_MAX {
            short.push('…');
            break;
        }
        if c.is_control() { short.extend(c.escape_default()) } else { short.push(c) }
    }
    short
}

/// The nearest character boundary at or below `at`.
fn floor_char(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// More findings than this are the same mistake made many times.
const SHOWN_MAX: usize = 50;
/// Enough to recognise the place; a hostile scalar may be a megabyte long.
const TEXT_CHARS_MAX: usize = 60;
