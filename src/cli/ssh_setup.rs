//! `zkops ssh-setup`.

use super::env::Env;
use super::opts::Inventory;
use crate::operator::operate::ssh_setup::{self, Key, Request};
use crate::report::{Cell, Exit, Failure, Table, Tone};

pub(super) async fn run(opts: &Inventory, env: &Env) -> Result<Exit, Failure> {
    let outcome = ssh_setup::run(&env.caller, &Request { inventory: opts.source() }).await?;
    let mut table = Table::new(["member", "key", "path"]);
    for row in &outcome.hosts {
        let (key, path) = match &row.key {
            Key::NotNeeded => (Cell::plain("not needed: this machine"), String::new()),
            Key::Installed => (Cell::toned("installed", Tone::Good), outcome.path.display().to_string()),
            Key::WasThere => (Cell::toned("was there", Tone::Good), outcome.path.display().to_string()),
            Key::Failed(_) => (Cell::toned("FAILED", Tone::Bad), outcome.path.display().to_string()),
        };
        table.row(vec![Cell::plain(&row.member), key, Cell::plain(path)]);
    }
    env.report.value(&outcome);
    env.report.text(&env.report.table(&table));
    outcome.failure().map_or(Ok(Exit::Done), Err)
}
