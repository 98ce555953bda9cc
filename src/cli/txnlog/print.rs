//! `zkops txnlog [print]`: one line a transaction, as they come.

use std::ops::ControlFlow;

use super::reading::Reading;
use crate::cli::env::Env;
use crate::cli::lines::Lines;
use crate::cli::lost;
use crate::cli::opts_files::LogPrint;
use crate::forensics::evidence::place::Kind;
use crate::forensics::inquiry::entry::{Entry, Place};
use crate::forensics::inquiry::line;
use crate::forensics::inquiry::owners::Owners;
use crate::forensics::inquiry::question::Question;
use crate::forensics::inquiry::seen::Read;
use crate::forensics::inquiry::text;
use crate::report::{Exit, Failure};

pub(super) fn run(opts: &LogPrint, env: &Env) -> Result<Exit, Failure> {
    let question = opts
        .question()
        .map_err(|why| Failure::new(Exit::Usage, why).next("zkops txnlog PATH --path /a/b"))?;
    let places =
        opts.paths.iter().map(|path| lost::place(path, Kind::Logs)).collect::<Result<Vec<_>, _>>()?;
    let mut reading = Reading::new(env);
    let mut out = Lines::below(line::header(), &env.report);
    let mut unlisted = 0;
    for place in &places {
        // Each server's logs tell of the same sessions.
        let mut owners = Owners::new(question.znode.clone());
        reading.read(place, &mut |place, read| {
            tell(&question, &mut owners, opts.data, &mut out, place, &read);
            if env.report.is_unread() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        unlisted += owners.unlisted;
        if owners.is_too_many {
            env.caller
                .events
                .note("more ephemerals at once than are kept in mind: ask for a path further down");
        }
        if env.report.is_unread() {
            break;
        }
    }
    if out.told == 0 {
        env.caller.events.note(format!("no transaction answers; read: {}", reading.coverage.line()));
    } else {
        out.flush();
    }
    if unlisted > 0 {
        let sessions = text::counted(unlisted, "session");
        env.caller.events.note(format!(
            "{sessions} that began before these logs ended in them without a list of what they took along: an ephemeral \
             that is older than these logs may have gone with one of them"
        ));
    }
    Ok(reading.exit())
}

fn tell(
    question: &Question,
    owners: &mut Owners,
    with_data: bool,
    out: &mut Lines,
    place: Place,
    read: &Read,
) {
    match read {
        Read::Txn(txn) => {
            let ended = owners.hear(txn);
            let Some(answer) = question.answer(txn, &ended) else { return };
            out.told += 1;
            if out.report.style().json {
                out.report.value(&Entry::of(place, txn, &answer, with_data));
            } else {
                out.put(&line::of(txn, question, &answer, with_data));
            }
        }
        Read::Unknown { header, why } => {
            let is_asked = question.is_in_range(header.zxid, header.time_ms, header.session)
                && question.asks_for_no_content()
                && question.ops.is_empty();
            if is_asked {
                out.told += 1;
                out.report.value(&Entry::unknown(place, header, &why.to_string()));
                out.put(&line::unknown(header, &why.to_string()));
            }
        }
        Read::Nothing => {}
    }
}
