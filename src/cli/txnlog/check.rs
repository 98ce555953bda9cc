//! `zkops txnlog check`: whether the logs are whole.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use crate::cli::env::Env;
use crate::cli::lost;
use crate::cli::opts_files::LogCheck;
use crate::forensics::evidence::logs;
use crate::forensics::evidence::place::{self, Kind, Place};
use crate::forensics::inquiry::audit::{Audit, File, Finding, Level, State};
use crate::forensics::inquiry::text;
use crate::report::{Cell, Exit, Failure, Report, Table, Tone};

#[derive(Serialize)]
#[serde(tag = "event", rename = "log_check")]
struct LogChecked<'a> {
    dir: String,
    sound: bool,
    files: &'a [File],
    findings: &'a [Finding],
    more: u64,
}

pub(super) fn run(opts: &LogCheck, env: &Env) -> Result<Exit, Failure> {
    let places = opts.paths.iter().map(|path| Ok((path, lost::place(path, Kind::Logs)?)));
    let places = places.collect::<Result<Vec<_>, Failure>>()?;
    let mut exit = Exit::Done;
    for (path, place) in places {
        let audit = audited(path, &place)?;
        env.report.value(&LogChecked {
            dir: place.dir.display().to_string(),
            sound: audit.is_sound(),
            files: &audit.files,
            findings: &audit.findings,
            more: audit.more,
        });
        env.report.text(&drawn(&env.report, &place, &audit));
        if !audit.is_sound() {
            exit = Exit::Unhealthy;
        }
    }
    Ok(exit)
}

fn audited(path: &Path, place: &Place) -> Result<Audit, Failure> {
    // One file is judged by itself: what stands before it is not known.
    let snapshots = if place.is_one_file { None } else { place::find(path, Kind::Snapshots).ok() };
    let zxids =
        snapshots.map(|found| found.files.iter().filter_map(|file| file.zxid).collect::<BTreeSet<_>>());
    let mut audit = Audit::new(zxids);
    let mut current = None;
    let read = logs::read_all(place, &mut |file, seen| {
        if current.as_ref() != Some(&file.path) {
            audit.begin(&file.path.display().to_string());
            current = Some(file.path.clone());
        }
        audit.hear(&seen, file.zxid);
        ControlFlow::Continue(())
    });
    read.map_err(|why| lost::unreadable(&why.to_string()))?;
    audit.finish();
    if !place.is_one_file {
        beside(place, &mut audit);
    }
    Ok(audit)
}

/// What no log tells.
fn beside(place: &Place, audit: &mut Audit) {
    if let Some(lost) = place::lost_newest(&place.dir) {
        let what = "it is missing, and it was the newest log when its server last wrote".to_owned();
        audit.also(Level::Damage, lost.display().to_string(), what);
    }
    for name in &place.misleading {
        let what = "Apache ZooKeeper takes it for a log by its name, and zkops does not: move it elsewhere"
            .to_owned();
        audit.also(Level::Note, place.dir.join(name).display().to_string(), what);
    }
}

fn drawn(report: &Report, place: &Place, audit: &Audit) -> String {
    let mut table = Table::new(["log", "txns", "first", "last", "since", "until", "bytes", "state"]);
    let optional = |value: &Option<String>| Cell::plain(value.as_deref().unwrap_or("-"));
    for file in &audit.files {
        let (state, tone) = match file.state {
            State::Whole => ("whole", Tone::Good),
            State::Torn => ("last write cut short", Tone::Plain),
            State::Empty => ("empty", Tone::Plain),
            State::Gone => ("gone", Tone::Plain),
            State::Damaged => ("DAMAGED", Tone::Bad),
        };
        let name = Path::new(&file.file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        table.row(vec![
            Cell::plain(text::plain(&name)),
            Cell::plain(file.txns.to_string()),
            optional(&file.first_zxid),
            optional(&file.last_zxid),
            optional(&file.first_time),
            optional(&file.last_time),
            Cell::plain(file.bytes.to_string()),
            Cell::toned(state, tone),
        ]);
    }
    let mut text = format!("{}\n{}", place.dir.display(), report.table(&table));
    for finding in &audit.findings {
        text += &format!("{}\n", finding.line());
    }
    if audit.more > 0 {
        text += &format!("and {} more\n", audit.more);
    }
    text + match audit.is_sound() {
        true => "sound: nothing is damaged, nothing is missing\n",
        false => DAMAGED,
    }
}

const DAMAGED: &str = "\
damaged: a member of an ensemble heals by itself when it is started beside a quorum of others (zkops repair MEMBER); a
server of its own needs the files from a backup. Change nothing here by hand before there is a copy.
";
