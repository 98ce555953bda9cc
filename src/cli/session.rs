//! From what the user named to an ensemble that can be worked on: the inventory found and read,
//! the members' desired state, the hosts reached, the facts seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::ensemble;
use super::env::Env;
use super::record::{self, Record};
use super::view;
use crate::operator::apply::{self, Applied};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::{self, Push, Visit};
use crate::operator::observe;
use crate::operator::observe::look::Depth;
use crate::operator::plan::desired::{Binary, Desired};
use crate::operator::plan::facts::Facts;
use crate::operator::plan::step::Plan;
use crate::operator::plan::{self, Goal};
use crate::operator::transport::{LocalBinary, Target};
use crate::report::{Event, Exit, Failure};
use crate::wire::ids::ServerId;

/// One ensemble, named by the user or by the last deployment.
pub(super) struct Session {
    pub(super) desired: Arc<Desired>,
    pub(super) targets: BTreeMap<ServerId, Target>,
    record: Record,
}

impl Session {
    /// Reads the inventory at `path`, or that of the last deployment as it was deployed.
    ///
    /// # Errors
    /// Exit code 2: there is none, or it is not valid; then every finding is told.
    pub(super) fn load(env: &Env, path: Option<&Path>) -> Result<Session, Failure> {
        match path {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|why| {
                    Failure::new(Exit::Usage, format!("cannot read the inventory {}: {why}", path.display()))
                })?;
                let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
                Session::parse(env, path.display().to_string(), absolute, text)
            }
            None => Session::last(env),
        }
    }

    fn last(env: &Env) -> Result<Session, Failure> {
        let usage = |what: String| {
            Failure::new(Exit::Usage, what)
                .next("name the inventory: zkops VERB … INVENTORY (see zkops VERB --help)")
        };
        let record = Record::load(&record::state_dir()).map_err(|why| usage(format!("{why:#}")))?;
        let Some(record) = record else {
            return Err(usage(
                "no inventory named, and nothing was deployed from this machine yet".to_owned(),
            ));
        };
        if std::fs::read_to_string(&record.path).is_ok_and(|text| text != record.text) {
            let text = format!(
                "{} changed since it was deployed; this is about what was deployed (zkops plan {0} shows the difference)",
                record.path.display()
            );
            env.report.event(Event::Note { text });
        }
        Session::parse(env, record.path.display().to_string(), record.path, record.text)
    }

    /// Asks for this very binary on every host.
    pub(super) fn with_binary(mut self, binary: &LocalBinary) -> Session {
        let wanted = Binary { sha256: binary.sha256().to_owned(), size_bytes: binary.size() };
        self.desired = Arc::new(Desired { binary: Some(wanted), ..(*self.desired).clone() });
        self
    }

    fn parse(env: &Env, shown: String, path: PathBuf, text: String) -> Result<Session, Failure> {
        let (desired, targets) = ensemble::read(env, &shown, &text)?;
        let record = Record { cluster: desired.cluster.clone(), path, text };
        Ok(Session { desired: Arc::new(desired), targets, record })
    }

    /// Remembers this inventory as the one last deployed.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) fn remember(&self) -> Result<(), Failure> {
        self.record.save(&record::state_dir()).map_err(|why| Failure::new(Exit::Failed, format!("{why:#}")))
    }

    /// Reaches all hosts at once, works with them, and lets them go whatever came of it.
    ///
    /// # Errors
    /// Those of `work`; its own concern no single host: ~/.ssh/config.
    pub(super) async fn with_fleet<T>(
        &self,
        env: &Env,
        push: &Push,
        patience: Duration,
        work: impl AsyncFnOnce(&mut Fleet) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let visit = Visit {
            desired: self.desired.clone(),
            targets: &self.targets,
            dialer: &env.dialer()?,
            push,
            watch: &env.watcher(),
            deadline: patience.min(env.global.timeout),
        };
        visit.with(work).await
    }

    /// Some hosts, and so their servers, are only reached through a jump host. Settings that cannot be
    /// read are told when hosts are reached, if they must be.
    pub(super) fn is_behind_jump(&self, env: &Env) -> bool {
        env.dialer().is_ok_and(|dialer| !visit::behind_jump(&self.targets, &dialer).is_empty())
    }

    pub(super) async fn facts(&self, env: &Env, fleet: &Fleet, depth: Depth) -> Facts {
        observe::facts(fleet, depth, &env.watcher(), LOOK_PATIENCE.min(env.global.timeout)).await
    }

    /// The plan for `goal`, or why there is none.
    ///
    /// # Errors
    /// As the failure that ends the run.
    pub(super) fn plan(&self, facts: &Facts, goal: &Goal) -> Result<Plan, Failure> {
        plan::plan(&self.desired, facts, goal).map_err(|stop| view::stop(&self.desired, &stop))
    }

    /// Shows a plan that is not carried out.
    pub(super) fn show(&self, env: &Env, plan: &Plan) -> Exit {
        env.report.value(&view::plan_json(&self.desired, plan));
        env.report.text(&format!("{plan}fingerprint {}\n", plan.fingerprint()));
        if plan.is_empty() { Exit::Done } else { Exit::Pending }
    }

    /// Carries out a plan made from `facts`.
    ///
    /// # Errors
    /// As [`apply::apply`].
    pub(super) async fn apply(
        &self,
        env: &Env,
        fleet: &mut Fleet,
        plan: &Plan,
        facts: &mut Facts,
        command: String,
    ) -> Result<Applied, Failure> {
        for text in &plan.warnings {
            env.report.event(Event::Note { text: text.clone() });
        }
        apply::apply(fleet, plan, facts, &env.run(command)).await
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
}

/// The failure of hosts that were left out of a run that else went well.
///
/// # Errors
/// Exit code 7 when there are any.
pub(super) fn none_skipped(plan: &Plan) -> Result<(), Failure> {
    if plan.skipped.is_empty() {
        return Ok(());
    }
    let noun = if plan.skipped.len() == 1 { "host was" } else { "hosts were" };
    let mut failure = Failure::new(Exit::Unreachable, format!("{} {noun} left out", plan.skipped.len()));
    for refused in &plan.skipped {
        failure = failure.state(refused.what.clone());
    }
    Err(failure.state("everything else was done"))
}

/// For reaching one host, login and first answer included; all hosts at once.
pub(super) const HOST_PATIENCE: Duration = Duration::from_secs(15);
/// For one look at one host.
const LOOK_PATIENCE: Duration = Duration::from_secs(20);
