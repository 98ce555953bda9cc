//! One line an event, for logs and CI: nothing moves, every line can be searched for.

use super::event::{Event, StepOutcome};

/// `None`: not worth a line where lines stay.
pub(super) fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Phase { title } => format!("== {title}"),
        Event::Host { .. } => return None,
        Event::Upload { member, sent, total } if sent == total => format!("{member}: uploaded {total} bytes"),
        Event::Upload { .. } => return None,
        Event::Step { member, what, outcome, took_ms } => match outcome {
            StepOutcome::Changed => format!("{member}: {what} ({took_ms} ms)"),
            StepOutcome::Noop => format!("{member}: {what} (nothing to do)"),
            StepOutcome::Failed(why) => format!("{member}: {what} FAILED: {why}"),
        },
        Event::Waiting { gate, missing } => format!("waiting: {gate}: {missing}"),
        Event::Passed { gate, took_ms } => format!("ok: {gate} ({took_ms} ms)"),
        Event::Note { text } => format!("note: {text}"),
    })
}
