//! `zkops snapshot compare`: what differs between two.

use std::ops::ControlFlow;

use serde::Serialize;

use super::chosen::{chosen, failure};
use crate::cli::env::Env;
use crate::cli::opts_files::TreeCompare;
use crate::forensics::evidence::place::Found;
use crate::forensics::evidence::snapshots::{self, stamp};
use crate::forensics::inquiry::compare::{Compare, How};
use crate::forensics::inquiry::text;
use crate::forensics::inquiry::znode::Lists;
use crate::report::{Exit, Failure};
use crate::server::tree::snapshot::{Item, RawNode};
use crate::wire::ids::SessionId;

#[derive(Serialize)]
#[serde(tag = "event", rename = "compared")]
struct Compared {
    a: String,
    b: String,
    same: bool,
    added: usize,
    removed: usize,
    changed: usize,
    sessions_added: Vec<String>,
    sessions_removed: Vec<String>,
}

pub(super) fn run(opts: &TreeCompare, env: &Env) -> Result<Exit, Failure> {
    let (a, b) = (chosen(&opts.a, env)?, chosen(&opts.b, env)?);
    let before = stamp(&a.path).ok();
    let mut compare = Compare::default();
    read(&a, &mut compare, Compare::first_session, Compare::first)?;
    read(&b, &mut compare, |compare, id, _| compare.second_session(id), Compare::second)?;
    let same = compare.is_same();
    if !same {
        // What is only in A, and how it was there.
        read(&a, &mut compare, |_, _, _| {}, Compare::again)?;
    }
    if stamp(&a.path).ok() != before {
        let what = format!("{} has changed while it was read", a.path.display());
        return Err(Failure::new(Exit::Failed, what).next("run the same command again"));
    }
    told(env, &a, &b, &compare, same);
    Ok(if same { Exit::Done } else { Exit::Pending })
}

/// Everything of a snapshot to one step of the comparison.
fn read(
    found: &Found,
    compare: &mut Compare,
    session: impl Fn(&mut Compare, SessionId, i32),
    node: impl Fn(&mut Compare, &RawNode, &Lists),
) -> Result<(), Failure> {
    let mut lists = Lists::default();
    let read = snapshots::walk(found, &mut |item| {
        match item {
            Item::Session { id, timeout_ms } => session(compare, id, timeout_ms),
            Item::Acl { id, list } => lists.define(id, &list),
            Item::Node(raw) => node(compare, &raw, &lists),
        }
        ControlFlow::Continue(())
    });
    read.map(|_trailer| ()).map_err(|why| failure(found, &why))
}

fn told(env: &Env, a: &Found, b: &Found, compare: &Compare, same: bool) {
    let (a, b) = (a.path.display().to_string(), b.path.display().to_string());
    let count = |how: How| compare.differences.values().filter(|difference| difference.how == how).count();
    let (added, removed, changed) = (count(How::Added), count(How::Removed), count(How::Changed));
    let ids = |ids: &[SessionId]| ids.iter().map(SessionId::to_string).collect::<Vec<_>>();
    let (sessions_added, sessions_removed) = (ids(&compare.sessions_added), ids(&compare.sessions_removed));
    let mut lines = format!("A {}\nB {}\n", text::plain(&a), text::plain(&b));
    sessions_added.iter().for_each(|id| lines += &format!("+ session {id}\n"));
    sessions_removed.iter().for_each(|id| lines += &format!("- session {id}\n"));
    for difference in compare.differences.values() {
        env.report.value(difference);
        lines += &format!("{}\n", difference.line());
    }
    lines += &match same {
        true => "same: znodes, data, ACLs, stats and sessions\n".to_owned(),
        false => format!(
            "differ: {added} added, {removed} removed, {changed} changed; sessions: {} added, {} removed\n",
            sessions_added.len(),
            sessions_removed.len()
        ),
    };
    env.report.text(&lines);
    env.report.value(&Compared { a, b, same, added, removed, changed, sessions_added, sessions_removed });
}
