//! Schema: what an inventory may look like, for editors.

use serde::Serialize;

use crate::operator::inventory;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "schema")]
pub struct Outcome {
    /// The JSON Schema, as a file would have it.
    pub text: String,
}

pub fn run() -> Outcome {
    Outcome { text: format!("{:#}\n", inventory::schema()) }
}
