//! One JSON document a line, for machines.

use serde::Serialize;

use super::event::Event;

/// Keys stand as the event has them.
pub(super) fn line(event: &Event) -> String {
    text(serde_json::to_string(event))
}

/// Keys stand in alphabetical order, however the type orders its fields.
pub(super) fn value(value: &impl Serialize) -> String {
    text(serde_json::to_value(value).map(|value| value.to_string()))
}

fn text(written: serde_json::Result<String>) -> String {
    written.unwrap_or_else(|error| {
        // Only a type with a failing Serialize gets here; the reader still gets a document.
        serde_json::json!({ "event": "broken_document", "why": error.to_string() }).to_string()
    })
}
