//! From what the caller named to an ensemble that can be worked on: the inventory found and read, the members'
//! desired state, the hosts lent to the work, the facts seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::desired;
use super::record::Record;
use super::refusal;
use crate::operator::apply::run::Applied;
use crate::operator::apply::waves;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::{self, Push, Visit};
use crate::operator::observe;
use crate::operator::observe::look::Depth;
use crate::operator::plan::desired::{Binary, Desired};
use crate::operator::plan::facts::Facts;
use crate::operator::plan::step::Plan;
use crate::operator::plan::{self, Goal};
use crate::operator::transport::{LocalBinary, Target};
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

/// Which ensemble is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The one of this inventory, as it is now.
    File(PathBuf),
    /// The one last deployed from this machine, as it was deployed.
    LastDeployed,
}

/// One ensemble, and who works on it.
pub struct Session<'a> {
    pub caller: &'a Caller,
    pub desired: Arc<Desired>,
    pub targets: BTreeMap<ServerId, Target>,
    record: Record,
}

impl<'a> Session<'a> {
    /// Finds and reads the inventory; its warnings are told.
    ///
    /// # Errors
    /// Exit code 2: there is none, or it is not valid; then every finding is told.
    pub fn load(caller: &'a Caller, source: &Source) -> Result<Session<'a>, Failure> {
        let (shown, path, text) = match source {
            Source::File(path) => named(path)?,
            Source::LastDeployed => last(caller)?,
        };
        let (desired, targets) = desired::read(caller, &shown, &text)?;
        let record = Record { cluster: desired.cluster.clone(), path, text };
        Ok(Session { caller, desired: Arc::new(desired), targets, record })
    }

    /// Asks for this very binary on every host.
    #[must_use]
    pub(crate) fn with_binary(mut self, binary: &LocalBinary) -> Session<'a> {
        let wanted = Binary { sha256: binary.sha256().to_owned(), size_bytes: binary.size() };
        self.desired = Arc::new(Desired { binary: Some(wanted), ..(*self.desired).clone() });
        self
    }

    /// Reaches all hosts at once, lends them to `work`, and lets them go whatever came of it; what was sent there and
    /// not put in place is taken back.
    ///
    /// # Errors
    /// Those of `work`; its own concern no single host: ~/.ssh/config.
    pub async fn with_fleet<T>(
        &self,
        push: &Push,
        patience: Duration,
        work: impl AsyncFnOnce(&mut Fleet) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let visit = Visit {
            desired: self.desired.clone(),
            targets: &self.targets,
            dialer: &self.caller.dialer()?,
            push,
            watch: &self.caller.watcher(),
            deadline: self.caller.at_most(patience),
        };
        visit.with(work).await
    }

    /// Some hosts, and so their servers, are only reached through a jump host. Settings that cannot be read are told
    /// when hosts are reached, if they must be.
    pub(super) fn is_behind_jump(&self) -> bool {
        self.caller.dialer().is_ok_and(|dialer| !visit::behind_jump(&self.targets, &dialer).is_empty())
    }

    pub async fn facts(&self, fleet: &Fleet, depth: Depth) -> Facts {
        observe::facts::everybody(fleet, depth, &self.caller.watcher(), self.caller.at_most(LOOK_PATIENCE))
            .await
    }

    /// The plan for `goal`, or why there is none.
    ///
    /// # Errors
    /// As the failure that ends the run.
    pub fn plan(&self, facts: &Facts, goal: &Goal) -> Result<Plan, Failure> {
        plan::plan(&self.desired, facts, goal).map_err(|stop| refusal::failure(&self.desired, &stop))
    }

    /// Carries out a plan made from `facts`; `command` is what resumes it.
    ///
    /// # Errors
    /// As [`waves::apply`].
    pub async fn apply(
        &self,
        fleet: &mut Fleet,
        plan: &Plan,
        facts: &mut Facts,
        command: String,
    ) -> Result<Applied, Failure> {
        for text in &plan.warnings {
            self.caller.events.note(text);
        }
        waves::apply(fleet, plan, facts, &self.caller.run(command)).await
    }

    /// Members by name or id.
    ///
    /// # Errors
    /// Exit code 2 with the names there are.
    pub(super) fn members(&self, named: &[String]) -> Result<Vec<ServerId>, Failure> {
        let find = |name: &String| {
            self.desired.find(name).map(|member| member.id).ok_or_else(|| {
                let all = self.desired.names(self.desired.members.keys());
                Failure::new(
                    Exit::Usage,
                    format!("{} has no member {name:?}; it has {all}", self.desired.cluster),
                )
            })
        };
        named.iter().map(find).collect()
    }

    /// The connect string of all members' client ports.
    pub(super) fn connect_string(&self) -> String {
        let all: Vec<String> = self.desired.members.values().map(|member| member.client_address()).collect();
        all.join(",")
    }

    /// Remembers this inventory as the one last deployed.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) fn remember(&self) -> Result<(), Failure> {
        let saved = self.record.save(&self.caller.state_dir);
        saved.map_err(|why| Failure::new(Exit::Failed, format!("{why:#}")))
    }

    /// Forgets it, if it is the one last deployed.
    ///
    /// # Errors
    /// When the record cannot be removed.
    pub(super) fn forget(&self) -> Result<(), Failure> {
        let forgotten = Record::forget(&self.caller.state_dir, &self.desired.cluster);
        forgotten.map_err(|why| Failure::new(Exit::Failed, format!("{why:#}")))
    }
}

/// The inventory's name as it is shown, its absolute path, its text.
fn named(path: &Path) -> Result<(String, PathBuf, String), Failure> {
    let text = std::fs::read_to_string(path).map_err(|why| {
        Failure::new(Exit::Usage, format!("cannot read the inventory {}: {why}", path.display()))
    })?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    Ok((path.display().to_string(), absolute, text))
}

fn last(caller: &Caller) -> Result<(String, PathBuf, String), Failure> {
    let usage = |what: String| {
        Failure::new(Exit::Usage, what)
            .next("name the inventory: zkops VERB … INVENTORY (see zkops VERB --help)")
    };
    let record = Record::load(&caller.state_dir).map_err(|why| usage(format!("{why:#}")))?;
    let Some(record) = record else {
        return Err(usage("no inventory named, and nothing was deployed from this machine yet".to_owned()));
    };
    if std::fs::read_to_string(&record.path).is_ok_and(|text| text != record.text) {
        caller.events.note(format!(
            "{} changed since it was deployed; this is about what was deployed (zkops plan {0} shows the difference)",
            record.path.display()
        ));
    }
    Ok((record.path.display().to_string(), record.path, record.text))
}

/// For reaching one host, login and first answer included; all hosts at once.
pub const HOST_PATIENCE: Duration = Duration::from_secs(15);
/// For one look at one host.
const LOOK_PATIENCE: Duration = Duration::from_secs(20);
