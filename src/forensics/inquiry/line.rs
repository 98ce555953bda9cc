//! One transaction as a line for people; ops of a multi, and ephemerals that end with a session, on lines of their own
//! below it.

use std::fmt::Write;

use super::entry::{self, ended};
use super::question::{self, Answer, Question};
use super::{op, text};
use crate::server::tree::{CreatedNode, Txn, TxnBody, TxnHeader};

/// What stands above the lines.
pub fn header() -> String {
    format!("{:<24}  {:<12}  {:<18}  {:>6}  {:<13}  WHAT\n", "TIME", "ZXID", "SESSION", "CXID", "OP")
}

/// A transaction that answers `question`, with an end of line.
pub fn of(txn: &Txn, question: &Question, answer: &Answer, with_data: bool) -> String {
    let mut line = head(&txn.header, &what(&txn.header, &txn.body, with_data));
    match &txn.body {
        TxnBody::Multi(ops) => {
            let shown = answer.ops.iter().filter_map(|place| ops.get(*place));
            for part in shown {
                below(&mut line, &op::name(part.kind), &what(&txn.header, &part.body, with_data));
            }
            left(&mut line, ops.len() - answer.ops.len(), "op");
        }
        TxnBody::CloseSession { paths } => {
            let mark = if answer.is_inferred { INFERRED } else { "" };
            for path in &answer.deletes {
                below(&mut line, "deletes", &format!("{}{mark}", text::plain(path)));
            }
            let listed = paths.as_ref().map_or(0, Vec::len);
            if !question.asks_for_no_content() {
                left(&mut line, listed.saturating_sub(answer.deletes.len()), "ephemeral");
            }
        }
        _ => {}
    }
    line
}

/// One of which the header alone can be read.
pub fn unknown(header: &TxnHeader, why: &str) -> String {
    head(header, &format!("cannot be read: {why}"))
}

fn head(header: &TxnHeader, what: &str) -> String {
    let TxnHeader { session, cxid, zxid, time_ms, kind } = header;
    let (time, zxid, session) = (text::time(*time_ms), zxid.to_string(), session.to_string());
    let line = format!("{time:<24}  {zxid:<12}  {session:<18}  {cxid:>6}  {:<13}  {what}", op::name(*kind));
    format!("{}\n", line.trim_end())
}

fn below(line: &mut String, op: &str, what: &str) {
    _ = writeln!(line, "{:<24}  {:<12}  {:<18}  {:>6}  - {op:<11}  {what}", "", "", "", "");
}

fn left(line: &mut String, count: usize, what: &str) {
    if count > 0 {
        let more =
            format!("and {} of it that {} not asked for", text::counted(count as u64, what), is(count));
        below(line, "", &more);
    }
}

fn is(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// What is done, and to which znode.
fn what(header: &TxnHeader, body: &TxnBody, with_data: bool) -> String {
    let mut text = match body {
        TxnBody::Create(create) => {
            let mode = match create.node {
                CreatedNode::Plain { ephemeral: false } => String::new(),
                CreatedNode::Ttl { ms } => format!(", ttl {ms} ms"),
                node => format!(", {}", entry::mode(node)),
            };
            format!("{}  {}{mode}", text::plain(&create.path), len(create.data.as_deref()))
        }
        TxnBody::Delete { path } => text::plain(path),
        TxnBody::SetData { path, data, version } => {
            format!("{}  {}, version {version}", text::plain(path), len(data.as_deref()))
        }
        TxnBody::SetAcl { path, acl, version } => {
            let acl = acl.as_deref().map(|list| text::acl(list)).unwrap_or_default();
            format!("{}  {acl}, version {version}", text::plain(path))
        }
        TxnBody::Check { path, version } => {
            format!("{}  version {}", text::plain(path), version.wrapping_sub(1))
        }
        TxnBody::CreateSession { timeout_ms } => format!("timeout {timeout_ms} ms"),
        TxnBody::CloseSession { paths } => {
            let by = if ended(header.cxid) == "expired" { "expired" } else { "closed by its client" };
            match paths {
                Some(paths) if paths.is_empty() => by.to_owned(),
                Some(paths) => format!("{by}, with {}", text::counted(paths.len() as u64, "ephemeral")),
                None => format!("{by}; this log does not list its ephemerals"),
            }
        }
        TxnBody::Multi(ops) => match entry::failed(body) {
            Some(code) => {
                let ops = text::counted(ops.len() as u64, "op");
                format!("{ops}, failed and changed nothing: {}", entry::error(code))
            }
            None => text::counted(ops.len() as u64, "op"),
        },
        TxnBody::Error(code) => entry::error(*code),
    };
    if let Some(data) = question::data(body).filter(|data| with_data && !data.is_empty()) {
        _ = write!(text, "  {}", text::data(data));
    }
    text
}

fn len(data: Option<&[u8]>) -> String {
    data.map_or_else(|| "no data".to_owned(), |data| text::bytes(data.len()))
}

const INFERRED: &str = "  (not listed; its create says whose it was)";
