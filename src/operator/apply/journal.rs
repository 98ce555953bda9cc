//! The lines that a run leaves on every host it changes: one before each step and one after, so
//! that whoever comes next knows what was begun and what was finished.

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use super::Run;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::unit;
use crate::operator::host::Link;
use crate::operator::host::journal::AppendJournal;
use crate::operator::host::link::CallError;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::step::Step;

/// # Errors
/// When the line could not be made durable: then the step must not be done.
pub(super) async fn begin(
    run: &Run,
    member: &DesiredMember,
    link: &Link,
    step: &Step,
) -> Result<(), CallError> {
    let mut line = head(run, member, step);
    line.insert("event".to_owned(), json!("begin"));
    line.insert("why".to_owned(), json!(step.why));
    append(member, link, line).await
}

/// # Errors
/// As [`begin`]; the step is done all the same.
pub(super) async fn end(
    run: &Run,
    member: &DesiredMember,
    link: &Link,
    step: &Step,
    outcome: &str,
    facts: Map<String, Value>,
) -> Result<(), CallError> {
    let mut line = head(run, member, step);
    line.insert("event".to_owned(), json!("end"));
    line.insert("outcome".to_owned(), json!(outcome));
    line.extend(facts);
    append(member, link, line).await
}

/// With the locks held: nobody has written since `facts` were seen, so the plan made from them
/// still fits.
///
/// # Errors
/// The first member whose journal has a newer line.
pub(super) async fn unchanged(fleet: &Fleet, facts: &Facts) -> Result<(), String> {
    let asked = fleet.hosts().map(|(member, host)| async move {
        let seen = facts.host(member.id)?.last_entry.clone();
        let now = host.link.read_journal(unit::journal_path(member).into(), 1).await.ok()?.lines.pop();
        (now != seen).then(|| member.name.clone())
    });
    join_all(asked).await.into_iter().flatten().next().map_or(Ok(()), Err)
}

fn head(run: &Run, member: &DesiredMember, step: &Step) -> Map<String, Value> {
    let at = jiff::Timestamp::now().to_string();
    let fields = [
        ("at", json!(at)),
        ("run", json!(run.holder.id)),
        ("who", json!(run.holder.who)),
        ("command", json!(run.holder.command)),
        ("member", json!(member.name)),
        // Names and sizes only: contents of files stay out of the journal (law 12).
        ("step", json!(step.action.to_string())),
    ];
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

async fn append(member: &DesiredMember, link: &Link, line: Map<String, Value>) -> Result<(), CallError> {
    let request =
        AppendJournal { path: unit::journal_path(member).into(), line: Value::Object(line).to_string() };
    link.append_journal(request).await.map(drop)
}
