//! One JSON document a line, for machines.

use serde::Serialize;

use super::event::Event;

pub(super) fn line(event: &Event) -> String {
    value(event)
}

pub(super) fn value(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        // Only a type with a failing Serialize gets here; the reader still gets a document.
        serde_json::json!({ "event": "broken_document", "why": error.to_string() }).to_string()
    })
}
