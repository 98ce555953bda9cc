//! `zkops deploy`.

use super::env::Env;
use super::opts::Deploy;
use super::planned;
use crate::operator::operate::deploy::{self, Outcome, Ready, Request};
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Deploy, env: &Env) -> Result<Exit, Failure> {
    let request =
        Request { inventory: opts.path(), dry_run: opts.dry_run, old_host_is_gone: opts.old_host_is_gone };
    match deploy::run(&env.caller, &request).await? {
        Outcome::Planned(planned) => Ok(planned::show(env, &planned)),
        Outcome::Ready(ready) => {
            tell(env, &ready);
            Ok(Exit::Done)
        }
    }
}

/// The good end: what was done, who leads, and what to type next.
fn tell(env: &Env, ready: &Ready) {
    env.caller.events.note(match &ready.applied {
        None => "nothing to do: every host is as the inventory says".to_owned(),
        Some(applied) => {
            format!("{} steps changed something, {} found nothing to do", applied.changed, applied.unchanged)
        }
    });
    env.report.value(ready);
    let mut text = format!(
        "{} is ready: {} leads, {} in sync ({:.1} s)\n",
        ready.cluster,
        ready.leader.as_deref().unwrap_or("nobody"),
        ready.in_sync,
        ready.took_ms as f64 / 1000.0
    );
    text += "\n  zkops status\n";
    text += &format!("  zkops cli -server {}\n", ready.connect);
    if !ready.survives_reboot {
        text += "\nwithout systemd nothing starts the servers after a restart of the host: zkops start\n";
    }
    env.report.text(&text);
}
