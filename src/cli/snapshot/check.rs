//! `zkops snapshot check`: whether snapshots are whole.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::chosen::failure;
use crate::cli::env::Env;
use crate::cli::lost;
use crate::cli::opts_files::TreeCheck;
use crate::forensics::evidence::place::{Found, Kind};
use crate::forensics::evidence::snapshots::{self, Unread};
use crate::forensics::inquiry::census::Census;
use crate::forensics::inquiry::text;
use crate::report::{Cell, Exit, Failure, Report, Table, Tone};

#[derive(Serialize)]
#[serde(tag = "event", rename = "snapshot_check")]
struct Checked {
    file: String,
    state: State,
    sessions: u64,
    znodes: u64,
    ephemerals: u64,
    data_bytes: u64,
    faults: Vec<String>,
    notes: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Whole,
    /// Servers pass it over; so may we where there is another.
    Unfinished,
    Damaged,
}

pub(super) fn run(opts: &TreeCheck, env: &Env) -> Result<Exit, Failure> {
    let mut is_sound = true;
    for path in &opts.paths {
        let place = lost::place(path, Kind::Snapshots)?;
        let mut all = Vec::new();
        for found in &place.files {
            match checked(found)? {
                Some(one) => all.push(one),
                None => env.caller.events.note(format!("{}: gone: passed over", found.path.display())),
            }
        }
        all.iter().for_each(|one| env.report.value(one));
        env.report.text(&drawn(&env.report, &place.dir, &all));
        // One that is being written does no harm beside one that is whole.
        let is_usable = all.iter().any(|one| one.state == State::Whole);
        is_sound &= is_usable && all.iter().all(|one| one.state != State::Damaged);
    }
    Ok(if is_sound { Exit::Done } else { Exit::Unhealthy })
}

/// `None`: it was purged meanwhile.
fn checked(found: &Found) -> Result<Option<Checked>, Failure> {
    let mut census = Census::default();
    let read = snapshots::walk(found, &mut |item| {
        census.hear(item);
        ControlFlow::Continue(())
    });
    let state = match read {
        Ok(trailer) => {
            census.finish(&trailer.unwrap_or_default(), found.zxid);
            if census.faults.is_empty() { State::Whole } else { State::Damaged }
        }
        Err(Unread::Gone) => return Ok(None),
        Err(why @ Unread::Unopened(_)) => return Err(failure(found, &why)),
        Err(why) => {
            census.faults.push(why.to_string());
            if matches!(why, Unread::Unfinished) { State::Unfinished } else { State::Damaged }
        }
    };
    Ok(Some(Checked {
        file: found.path.display().to_string(),
        state,
        sessions: census.sessions,
        znodes: census.znodes,
        ephemerals: census.ephemerals,
        data_bytes: census.data_bytes,
        faults: census.faults,
        notes: census.notes,
    }))
}

fn drawn(report: &Report, dir: &Path, all: &[Checked]) -> String {
    let mut table = Table::new(["snapshot", "znodes", "ephemerals", "sessions", "data", "state"]);
    for one in all {
        let name = Path::new(&one.file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (state, tone) = match one.state {
            State::Whole => ("whole", Tone::Good),
            State::Unfinished => ("unfinished", Tone::Warn),
            State::Damaged => ("DAMAGED", Tone::Bad),
        };
        let numbers = [one.znodes, one.ephemerals, one.sessions, one.data_bytes];
        let mut row = vec![Cell::plain(text::plain(&name))];
        row.extend(numbers.iter().map(|number| Cell::plain(number.to_string())));
        row.push(Cell::toned(state, tone));
        table.row(row);
    }
    let mut text = format!("{}\n{}", dir.display(), report.table(&table));
    for one in all {
        let file = text::plain(&one.file);
        let level = if one.state == State::Damaged { "DAMAGED" } else { "note" };
        one.faults.iter().for_each(|fault| text += &format!("{level}: {file}: {fault}\n"));
        one.notes.iter().for_each(|note| text += &format!("note: {file}: {note}\n"));
    }
    text
}
