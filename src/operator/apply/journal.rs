//! The lines that a run leaves on every host it changes: one before each step and one after, so
//! that whoever comes next knows what was begun and what was finished.

use futures_util::future::join_all;

use super::run::Run;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::journal::{Effects, Entry, Event, Outcome};
use crate::operator::fleet::unit;
use crate::operator::host::runs::AppendJournal;
use crate::operator::host::{CallError, Link};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::step::{Action, Step};

/// # Errors
/// When the line could not be made durable: then the step must not be done.
pub(super) async fn begin(
    run: &Run,
    member: &DesiredMember,
    link: &Link,
    step: &Step,
) -> Result<(), CallError> {
    let (opening, observed) = match &step.action {
        Action::OpenPorts { openings, observed } => (openings.clone(), observed.clone()),
        _ => Default::default(),
    };
    append(run, member, link, step, Event::Begin { why: step.why.clone(), opening, observed }).await
}

/// # Errors
/// As [`begin`]; the step is done all the same.
pub(super) async fn end(
    run: &Run,
    member: &DesiredMember,
    link: &Link,
    step: &Step,
    outcome: Outcome,
    effects: Effects,
) -> Result<(), CallError> {
    append(run, member, link, step, Event::End { outcome, effects }).await
}

/// With the locks held: nobody has written since `facts` were seen, so the plan made from them
/// still fits.
///
/// # Errors
/// The first member whose journal has a newer line.
pub(super) async fn unchanged(fleet: &Fleet, facts: &Facts) -> Result<(), String> {
    let asked = fleet.hosts().map(|(member, host)| async move {
        let seen = facts.host(member.id)?.journal.is().map(|journal| journal.last_entry.clone());
        let now = host.link.read_journal(unit::journal_path(member).into(), 1).await.ok()?.lines.pop();
        (now != seen).then(|| member.name.clone())
    });
    join_all(asked).await.into_iter().flatten().next().map_or(Ok(()), Err)
}

async fn append(
    run: &Run,
    member: &DesiredMember,
    link: &Link,
    step: &Step,
    event: Event,
) -> Result<(), CallError> {
    let entry = Entry {
        at: jiff::Timestamp::now().to_string(),
        run: run.holder.id.clone(),
        who: run.holder.who.clone(),
        command: run.holder.command.clone(),
        member: member.name.clone(),
        step: step.action.to_string(),
        event,
    };
    let request = AppendJournal { path: unit::journal_path(member).into(), line: entry.line() };
    link.append_journal(request).await.map(drop)
}
