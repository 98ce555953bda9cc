//! `zkops snapshot [print|search]`: the znodes one after the other, the sessions, or the largest subtrees.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Serialize;

use super::chosen::{chosen, failure};
use crate::cli::env::Env;
use crate::cli::lines::Lines;
use crate::cli::opts_files::{Shown, TreePrint, TreeSearch};
use crate::forensics::evidence::snapshots;
use crate::forensics::inquiry::question::Znode;
use crate::forensics::inquiry::sizes::{Sizes, Subtree};
use crate::forensics::inquiry::text;
use crate::forensics::inquiry::znode::{self, Lists, Wanted};
use crate::report::{Cell, Exit, Failure, Report, Table};
use crate::server::tree::snapshot::{Item, RawNode};

#[derive(Serialize)]
#[serde(tag = "event", rename = "snapshot_session")]
struct Session {
    session: String,
    timeout_ms: i32,
}

#[derive(Serialize)]
#[serde(tag = "event", rename = "sizes")]
struct Sized<'a> {
    file: String,
    subtrees: &'a [Subtree],
}

/// What print and search have in common.
struct Asked<'a> {
    path: PathBuf,
    wanted: Wanted,
    shown: &'a Shown,
    sessions: bool,
    sizes: Option<u16>,
}

pub(super) fn run(opts: &TreePrint, env: &Env) -> Result<Exit, Failure> {
    let usage = |why| Failure::new(Exit::Usage, why).next("zkops snapshot PATH --path /a/b");
    let below = opts.below.as_ref().map(|path| Znode::typed(path, true)).transpose().map_err(usage)?;
    let path = opts.path.clone().unwrap_or_default();
    let wanted = Wanted { below, session: opts.shown.session, text: None };
    print(&Asked { path, wanted, shown: &opts.shown, sessions: opts.sessions, sizes: opts.sizes }, env)
}

pub(super) fn search(opts: &TreeSearch, env: &Env) -> Result<Exit, Failure> {
    let wanted = Wanted { below: None, session: opts.shown.session, text: Some(opts.text.clone()) };
    let path = opts.path.clone();
    print(&Asked { path, wanted, shown: &opts.shown, sessions: false, sizes: None }, env)
}

fn print(asked: &Asked, env: &Env) -> Result<Exit, Failure> {
    let found = chosen(&asked.path, env)?;
    let shown = znode::Shown { stat: asked.shown.stat, acl: asked.shown.acl, data: asked.shown.data };
    let mut lists = Lists::default();
    let mut sizes = asked.sizes.map(|wanted| Sizes::new(wanted.into()));
    let mut out = Lines::below(String::new(), &env.report);
    let read = snapshots::walk(&found, &mut |item| {
        match item {
            Item::Session { id, timeout_ms } if asked.sessions => {
                out.put(&format!("session {id}  timeout {timeout_ms} ms\n"));
                env.report.value(&Session { session: id.to_string(), timeout_ms });
            }
            Item::Session { .. } => {}
            Item::Acl { id, list } => lists.define(id, &list),
            Item::Node(node) if asked.wanted.takes(&node) => match &mut sizes {
                Some(sizes) => sizes.hear(&node),
                None => tell(&mut out, &node, &lists, shown),
            },
            Item::Node(_) => {}
        }
        if env.report.is_unread() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    out.flush();
    if let Some(sizes) = &mut sizes {
        let subtrees = sizes.finish();
        env.report.text(&drawn(&env.report, &subtrees));
        env.report.value(&Sized { file: found.path.display().to_string(), subtrees: &subtrees });
        if sizes.is_out_of_order {
            env.caller
                .events
                .note("znodes stand apart from their parents: subtrees may be larger than is told");
        }
    } else if out.told == 0 && read.is_ok() {
        env.caller.events.note("no znode answers");
    }
    read.map(|_trailer| Exit::Done).map_err(|why| failure(&found, &why))
}

fn drawn(report: &Report, subtrees: &[Subtree]) -> String {
    let mut table = Table::new(["bytes", "znodes", "data", "subtree"]);
    for subtree in subtrees {
        let numbers = [subtree.bytes, subtree.znodes, subtree.data_bytes];
        let mut row: Vec<_> = numbers.iter().map(|number| Cell::plain(number.to_string())).collect();
        row.push(Cell::plain(text::plain(&subtree.path)));
        table.row(row);
    }
    report.table(&table)
}

/// One znode, below a heading where it is the first.
fn tell(out: &mut Lines, node: &RawNode, lists: &Lists, shown: znode::Shown) {
    if out.report.style().json {
        out.report.value(&znode::document(node, lists, shown));
    } else {
        if out.told == 0 {
            out.put(&znode::header());
        }
        out.put(&znode::line(node, lists, shown));
    }
    out.told += 1;
}
