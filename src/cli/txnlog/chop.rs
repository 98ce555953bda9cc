//! `zkops txnlog chop`: the beginning of a log as a file of its own.

use serde::Serialize;

use crate::cli::env::Env;
use crate::cli::lost;
use crate::cli::opts_files::LogChop;
use crate::forensics::evidence::chop::{self, NotChopped};
use crate::forensics::evidence::place::Kind;
use crate::forensics::inquiry::text;
use crate::report::{Exit, Failure};

#[derive(Serialize)]
#[serde(tag = "event", rename = "chopped")]
struct Chopped {
    file: String,
    out: String,
    txns: u64,
    first_zxid: String,
    last_zxid: String,
    /// Something was left off.
    shorter: bool,
}

pub(super) fn run(opts: &LogChop, env: &Env) -> Result<Exit, Failure> {
    let place = lost::place(&opts.file, Kind::Logs)?;
    if !place.is_one_file {
        let what = format!("{} is no log file: one is chopped at a time", opts.file.display());
        return Err(
            Failure::new(Exit::Usage, what).next(format!("zkops txnlog check {}", opts.file.display()))
        );
    }
    let chopped = chop::chop(&place, opts.to_zxid, &opts.out).map_err(|why| failure(&why, opts))?;
    let txns = text::counted(chopped.txns, "transaction");
    let out = opts.out.display();
    env.report.text(&format!("{out}: {txns}, {} to {}\n", chopped.first, chopped.last));
    if !chopped.is_shorter {
        env.caller.events.note(format!("nothing was left off: the log ends with {}", chopped.last));
    }
    env.report.value(&Chopped {
        file: opts.file.display().to_string(),
        out: out.to_string(),
        txns: chopped.txns,
        first_zxid: chopped.first.to_string(),
        last_zxid: chopped.last.to_string(),
        shorter: chopped.is_shorter,
    });
    Ok(Exit::Done)
}

fn failure(why: &NotChopped, opts: &LogChop) -> Failure {
    let (exit, next) = match why {
        NotChopped::Taken(_) => (Exit::Usage, "name a file that is not there".to_owned()),
        NotChopped::Beside(_) => (Exit::Refused, "write the copy into another directory".to_owned()),
        NotChopped::Damaged { damage, .. } => {
            (Exit::Unhealthy, format!("chop before the damage: --to-zxid {}", damage.after))
        }
        NotChopped::Nothing { .. } => (Exit::Usage, format!("zkops txnlog check {}", opts.file.display())),
        NotChopped::Unreadable(_) => return lost::unreadable(&why.to_string()),
        NotChopped::Unwritable { .. } => (Exit::Failed, "name a directory that you may write to".to_owned()),
    };
    Failure::new(exit, why.to_string()).state("nothing was written, the log is as it was").next(next)
}
