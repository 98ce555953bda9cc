//! `zkops ssh-setup`: a key on every host, after one password.

use std::path::PathBuf;

use tokio::time::Instant;

use super::env::Env;
use super::opts::Inventory;
use super::session::Session;
use crate::operator::transport::{KeyInstalled, Target};
use crate::report::{Cell, Exit, Failure, Table, Tone};

pub(super) async fn run(opts: &Inventory, env: &Env) -> Result<Exit, Failure> {
    let session = Session::load(env, opts.inventory.as_deref())?;
    let dialer = env.dialer()?;
    let failed = |why: crate::operator::transport::Error| Failure::new(Exit::Usage, why.to_string());
    let wanted: Option<PathBuf> = session.targets.values().find_map(|target| match target {
        Target::Ssh(ssh) => ssh.keys.first().cloned(),
        Target::Local(_) => None,
    });
    let key = dialer.local_key(wanted.as_deref()).map_err(failed)?;
    let mut table = Table::new(["node", "key", "path"]);
    let mut failure = None;
    // One after the other: a question on the terminal is about one host.
    for (id, target) in &session.targets {
        let name = session.desired.name(*id);
        let Target::Ssh(ssh) = target else {
            table.row(vec![Cell::plain(name), Cell::plain("not needed: this machine"), Cell::plain("")]);
            continue;
        };
        let path = Cell::plain(key.path.display().to_string());
        match dialer.install_key(ssh, &key, Instant::now() + env.global.timeout).await {
            Ok(done) => {
                let word = if done == KeyInstalled::Added { "installed" } else { "was there" };
                table.row(vec![Cell::plain(name), Cell::toned(word, Tone::Good), path]);
            }
            Err(why) => {
                table.row(vec![Cell::plain(name), Cell::toned("FAILED", Tone::Bad), path]);
                let all = failure
                    .get_or_insert_with(|| Failure::new(Exit::Unreachable, "not every host has the key"));
                all.evidence.push(crate::report::Evidence { from: why.to_string(), lines: Vec::new() });
            }
        }
    }
    env.report.text(&env.report.table(&table));
    match failure {
        None => Ok(Exit::Done),
        Some(failure) => Err(failure.next("run it again: hosts that have the key are not asked twice")),
    }
}
