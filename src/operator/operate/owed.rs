//! What was not done because a host was left out: kept on the operator's machine (`owed.json` in the caller's state
//! directory) and told by every verb about that ensemble until it is done. On the hosts the journal has the command
//! with its `--without`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use crate::report::{Exit, Failure};

/// One verb that one member still waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    pub cluster: String,
    /// By name.
    pub member: String,
    pub verb: String,
    /// What does it, as one would type it.
    pub command: String,
    /// When it was left out.
    pub since: String,
}

impl Owed {
    /// Left out just now; `options` are those of the verb, as one would type them behind the rest.
    pub(super) fn new(cluster: &str, member: &str, verb: &str, options: &str, inventory: &Path) -> Owed {
        let path = inventory.display();
        let command = match verb {
            "deploy" | "destroy" => format!("zkops {verb} {path}{options}"),
            _ => format!("zkops {verb} {member} -i {path}"),
        };
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
        let [cluster, member, verb] = [cluster, member, verb].map(str::to_owned);
        Owed { cluster, member, verb, command, since: now }
    }

    /// Done for everybody, `verb` leaves nothing of it to do.
    fn is_paid_by(&self, verb: &str) -> bool {
        match verb {
            // What is deployed again is no longer to be destroyed.
            "destroy" | "deploy" => true,
            _ => ["start", "stop", "restart"].contains(&self.verb.as_str()),
        }
    }
}

/// Everything that is owed, to whichever ensemble.
///
/// # Errors
/// When the record cannot be read or is not ours; none is no error.
pub fn load(dir: &Path) -> Result<Vec<Owed>> {
    let path = dir.join(NAME);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged: remove it", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Tells what is owed to `cluster`, but for what this run leaves out again.
pub(super) fn tell(caller: &Caller, cluster: &str) {
    let all = match load(&caller.state_dir) {
        Ok(all) => all,
        // It is a reminder: nobody is kept from a working ensemble by it.
        Err(why) => return caller.events.note(format!("{why:#}")),
    };
    for owed in
        all.iter().filter(|owed| owed.cluster == cluster && !caller.terms.without.contains(&owed.member))
    {
        let Owed { member, verb, command, since, .. } = owed;
        caller
            .events
            .note(format!("{member} was left out of {verb} ({since}); when its host is back: {command}"));
    }
}

/// Behind `verb`: forgets what it did for the members `paid`, remembers and tells what is owed now.
///
/// # Errors
/// When the record cannot be read or written.
pub(super) fn settle(
    caller: &Caller,
    cluster: &str,
    verb: &str,
    paid: &[String],
    owed: Vec<Owed>,
) -> Result<(), Failure> {
    // Whoever is to be destroyed waits for nothing else.
    let ends = |one: &Owed| {
        verb == "destroy" && owed.iter().any(|new| (&new.cluster, &new.member) == (&one.cluster, &one.member))
    };
    for Owed { member, command, .. } in &owed {
        caller.events.note(format!("{member} was left out; when its host is back: {command}"));
    }
    let record = || -> Result<()> {
        let before = load(&caller.state_dir)?;
        let is_paid =
            |one: &Owed| one.cluster == cluster && paid.contains(&one.member) && one.is_paid_by(verb);
        let is_new = |one: &Owed| {
            owed.iter()
                .any(|new| (&new.cluster, &new.member, &new.verb) == (&one.cluster, &one.member, &one.verb))
        };
        let mut now: Vec<Owed> =
            before.iter().filter(|one| !is_paid(one) && !is_new(one) && !ends(one)).cloned().collect();
        now.extend(owed.iter().cloned());
        if now == before { Ok(()) } else { save(&caller.state_dir, &now) }
    };
    record().map_err(|why| {
        Failure::new(Exit::Failed, format!("{why:#}"))
            .state(format!("{verb} was done; only the reminder is missing"))
    })
}

/// Replaces the record in one step.
fn save(dir: &Path, all: &[Owed]) -> Result<()> {
    let path = dir.join(NAME);
    let write = || -> Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&serde_json::to_vec_pretty(all)?)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

const NAME: &str = "owed.json";
