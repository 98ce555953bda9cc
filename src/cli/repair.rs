//! `zkops repair MEMBER`.

use super::env::Env;
use super::opts::Repair;
use super::planned;
use crate::operator::operate::repair::{self, Outcome, Repaired, Request};
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Repair, env: &Env) -> Result<Exit, Failure> {
    let request = Request {
        member: opts.member.clone(),
        inventory: opts.source(),
        yes: opts.yes,
        move_data_aside: opts.move_data_aside,
        foreign_data: opts.foreign_data.clone(),
        wipe: opts.wipe,
        purge_old: opts.purge_old,
        dry_run: opts.dry_run,
    };
    let repaired = match repair::run(&env.caller, &request).await? {
        Outcome::Planned(planned) => return Ok(planned::show(env, &planned)),
        Outcome::Repaired(repaired) => repaired,
    };
    match &repaired.back {
        None => env.caller.events.note(format!("{}: it is in sync, nothing to repair", opts.member)),
        Some(back) => {
            let took_s = back.took_ms as f64 / 1000.0;
            env.report.text(&format!("{} is back: {} ({took_s:.1} s)\n", repaired.member, back.mode));
        }
    }
    env.report.value(&repaired);
    if !repaired.old_data.is_empty() {
        env.report.text(&old_data(&repaired));
    }
    Ok(repaired.exit())
}

/// What repairs moved aside, and how it goes.
fn old_data(repaired: &Repaired) -> String {
    let Repaired { member, old_data, .. } = repaired;
    let mut text = format!("old data on {member}, moved aside:\n");
    for path in old_data {
        text += &format!("  {path}\n");
    }
    text + &format!("remove it with: zkops repair {member} --purge-old\n")
}
