//! `zkops txnlog who`: what became of one znode, and by whose hand.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::reading::Reading;
use crate::cli::env::Env;
use crate::cli::lost;
use crate::cli::opts_files::LogWho;
use crate::forensics::evidence::place::{self, Kind, Place};
use crate::forensics::evidence::snapshots;
use crate::forensics::inquiry::coverage::Covered;
use crate::forensics::inquiry::life::{self, Life, Moment};
use crate::forensics::inquiry::question::Znode;
use crate::forensics::inquiry::seen::Read;
use crate::forensics::inquiry::session::{self, Session};
use crate::forensics::inquiry::text;
use crate::forensics::inquiry::znode::Origin;
use crate::report::{Exit, Failure};

/// Something that happened, as it is read.
#[derive(Serialize)]
#[serde(tag = "event", rename = "history")]
struct History<'a> {
    znode: &'a str,
    #[serde(flatten)]
    moment: life::Told,
}

/// The answer.
#[derive(Serialize)]
#[serde(tag = "event", rename = "who")]
struct Who<'a> {
    znode: &'a str,
    /// `null`: these logs say nothing of it.
    exists: Option<bool>,
    created: Option<life::Told>,
    changed: Option<life::Told>,
    deleted: Option<life::Told>,
    /// Of a znode that is older than these logs.
    origin: Option<Origin>,
    /// Of who did the last of these.
    session: Option<session::Told>,
    covered: Covered,
}

pub(super) fn run(opts: &LogWho, env: &Env) -> Result<Exit, Failure> {
    let usage = |why| Failure::new(Exit::Usage, why).next("zkops txnlog who PATH /a/b");
    let znode = Znode::typed(&opts.znode, false).map_err(usage)?.path;
    let place = lost::place(&opts.path, Kind::Logs)?;
    let mut reading = Reading::new(env);
    let mut life = Life::new(&znode);
    reading.read(&place, &mut |place, read| {
        let Read::Txn(txn) = read else { return ControlFlow::Continue(()) };
        for moment in life.hear(place, &txn) {
            env.report.text(&moment.line());
            env.report.value(&History { znode: &znode, moment: moment.document() });
        }
        if env.report.is_unread() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let last = match life.exists {
        Some(false) => life.deleted.as_ref(),
        _ => life.changed.iter().chain(&life.created).max_by_key(|moment| moment.zxid),
    };
    let origin = match life.created {
        Some(_) => None,
        None => snapshots(&opts.path).and_then(|snapshots| snapshots::origin(&snapshots, &znode)),
    };
    let by = last.filter(|last| last.has_session()).map(|last| last.session);
    let by = by.or(origin.as_ref().and_then(|origin| origin.session));
    let mut session = by.map(Session::new);
    if let Some(session) = &mut session {
        // Who it was stands before: once more through the same files.
        Reading::again(env).read(&place, &mut |_, read| {
            if let Read::Txn(txn) = read {
                session.hear(&txn);
            }
            ControlFlow::Continue(())
        })?;
    }
    let known = Known { life: &life, last, session: session.as_ref(), origin: origin.as_ref() };
    env.report.text(&known.verdict(&znode, &reading));
    env.report.value(&Who {
        znode: &znode,
        exists: life.exists,
        created: life.created.as_ref().map(Moment::document),
        changed: life.changed.as_ref().map(Moment::document),
        deleted: life.deleted.as_ref().map(Moment::document),
        session: session.as_ref().map(Session::document),
        origin,
        covered: reading.coverage.document(),
    });
    Ok(reading.exit())
}

/// Snapshots that stand where the logs do.
fn snapshots(path: &Path) -> Option<Place> {
    place::find(path, Kind::Snapshots).ok()
}

struct Known<'a> {
    life: &'a Life,
    last: Option<&'a Moment>,
    session: Option<&'a Session>,
    origin: Option<&'a Origin>,
}

impl Known<'_> {
    /// What a person wants to know first stands first.
    fn verdict(&self, znode: &str, reading: &Reading) -> String {
        let shown = text::plain(znode);
        let at = |moment: &Moment| format!("{} ({})", text::time(moment.time_ms), moment.zxid);
        let went_along =
            self.life.unlisted() > 0 && self.origin.is_some_and(|origin| origin.session.is_some());
        let mut text = match (self.life.exists, self.last) {
            (Some(false), Some(moment)) => {
                format!("\n{shown} was deleted {} {}\n", at(moment), moment.cause())
            }
            (Some(_), Some(moment)) => {
                format!("\n{shown} is there: nothing in these logs deletes it since {}\n", at(moment))
            }
            _ if went_along && self.session.is_some_and(Session::is_ended) => {
                format!("{shown} went with its session, whose end does not list what it took along\n")
            }
            _ => format!("{shown}: these logs say nothing of it\n"),
        };
        if let Some(moment) = self.last {
            text += &format!("  {} at byte {}\n", text::plain(&moment.file), moment.offset);
        }
        text += &self.origin.map(|origin| format!("  {}\n", origin.line())).unwrap_or_default();
        text += &self.session.map(|session| format!("  {}\n", session.line())).unwrap_or_default();
        if self.life.unlisted() > 0 && self.origin.is_none() && self.life.exists != Some(true) {
            let sessions = text::counted(self.life.unlisted(), "session");
            text += &format!(
                "  {sessions} that began before these logs ended in them without a list of what they took along: an \
                 ephemeral that is older may have gone with one of them\n"
            );
        }
        text += &format!("read: {}\n", reading.coverage.line());
        if self.life.created.is_none() {
            text += "what happened before is in older logs, if a backup has them\n";
        }
        text
    }
}
