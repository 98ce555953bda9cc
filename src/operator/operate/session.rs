//! From what the caller named to an ensemble that can be worked on: the inventory found and read, the members'
//! desired state, the hosts lent to the work, the facts seen.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::caller::Caller;
use super::owed::{self, Owed};
use super::record::Record;
use super::{desired, refusal};
use crate::operator::apply::run::Applied;
use crate::operator::apply::waves;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::stop::Why;
use crate::operator::fleet::visit::{self, Push, Visit};
use crate::operator::observe;
use crate::operator::observe::look::Depth;
use crate::operator::plan::desired::{Binary, Desired};
use crate::operator::plan::facts::Facts;
use crate::operator::plan::remembered::Last;
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Goal, diagnosis, one_id, without};
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
    /// What was named.
    pub(super) source: Source,
    /// Members whose hosts are left out by request.
    pub(super) left_out: BTreeSet<ServerId>,
    record: Record,
    /// What this machine remembers of this cluster.
    last: Last,
    /// What a plan came to that was told to stop.
    stopped: Mutex<Option<Failure>>,
}

impl<'a> Session<'a> {
    /// Finds and reads the inventory; its warnings are told.
    ///
    /// # Errors
    /// Exit code 2: there is none, or it is not valid; then every finding is told.
    pub fn load(caller: &'a Caller, source: &Source) -> Result<Session<'a>, Failure> {
        let (shown, path, text) = match source {
            Source::File(path) => named(caller, path)?,
            Source::LastDeployed => last(caller)?,
        };
        let (desired, targets) = desired::read(caller, &shown, &text)?;
        let record = Record { cluster: desired.cluster.clone(), path, text, earlier: Vec::new() };
        let last = Record::load(&caller.state_dir).unwrap_or_else(|why| {
            caller.events.note(format!("{why:#}; where members were before is not known from it"));
            None
        });
        let before = last.as_ref().filter(|last| last.cluster == record.cluster);
        let is_last = match before {
            None => Last::Nothing,
            Some(last) if last.text == record.text => Last::This,
            Some(last) => Last::Another { inventory: diagnosis::typed(&last.path.display().to_string()) },
        };
        let record = record.behind(last);
        let desired = Arc::new(desired);
        let (left_out, stopped) = (BTreeSet::new(), Mutex::default());
        let source = source.clone();
        let mut session =
            Session { caller, desired, targets, source, left_out, record, last: is_last, stopped };
        session.left_out = session.members(&caller.terms.without)?.into_iter().collect();
        owed::tell(caller, &session.desired.cluster);
        Ok(session)
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
    /// Those of `work`; its own concern no single host: ~/.ssh/config. Exit code 5 where the run was to stop: `work` is
    /// then dropped where it is, but never while something is being changed.
    pub async fn with_fleet<T>(
        &self,
        push: &Push,
        patience: Duration,
        work: impl AsyncFnOnce(&mut Fleet) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let visit = Visit {
            desired: self.desired.clone(),
            targets: &self.targets,
            left_out: &self.left_out,
            dialer: &self.caller.dialer()?,
            push,
            watch: &self.caller.watcher(),
            stop: &self.caller.stop,
            deadline: self.caller.at_most(patience),
        };
        let work = async |fleet: &mut Fleet| {
            let done = self.unless_stopped(work(&mut *fleet)).await;
            done.map_err(|failure| self.with_missing(fleet, failure))
        };
        // On the heap: what a verb waits for is deeper than the compiler lays out in one piece.
        self.caller.in_time(Box::pin(visit.with(work))).await
    }

    /// What `work` comes to, unless the run is to stop before.
    ///
    /// # Errors
    /// As [`Session::with_fleet`].
    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.caller.stop.cut() => Err(self.cut_off()),
            result = work => result,
        }
    }

    /// Where the time was over, the hosts that took it.
    fn with_missing(&self, fleet: &Fleet, mut failure: Failure) -> Failure {
        if self.caller.stop.why() != Some(Why::TimeUp) {
            return failure;
        }
        for member in fleet.desired.members.values() {
            if let Some(missing) = fleet.unreachable(member.id) {
                failure.exit = Exit::Unreachable;
                failure = failure.evidence(member.name.clone(), vec![missing.text.clone()]);
            }
        }
        failure
    }

    /// The failure of a run that was to stop: that of its plan, or of a look that was dropped.
    fn cut_off(&self) -> Failure {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take();
        stopped.unwrap_or_else(|| {
            let stop = &self.caller.stop;
            let what = stop.why().map_or_else(|| "stopped".to_owned(), |why| why.words());
            Failure::new(Exit::Halfway, what).state(match stop.changes() {
                0 => "nothing was changed on any host".to_owned(),
                done => format!("{done} steps changed something before; nothing is half done"),
            })
        })
    }

    /// Some hosts, and so their servers, are only reached through a jump host. Settings that cannot be read are told
    /// when hosts are reached, if they must be.
    pub(super) fn is_behind_jump(&self) -> bool {
        self.caller.dialer().is_ok_and(|dialer| !visit::behind_jump(&self.targets, &dialer).is_empty())
    }

    /// How everybody is. Where a leader counts a follower that runs nowhere, it may not have missed it yet: it is looked at
    /// until it must have.
    pub async fn facts(&self, fleet: &Fleet, depth: Depth) -> Facts {
        let (watcher, deadline) = (self.caller.watcher(), self.caller.at_most(LOOK_PATIENCE));
        let until = Instant::now() + self.caller.at_most(one_id::patience(&self.desired));
        let mut facts = observe::facts::everybody(fleet, depth, &watcher, deadline).await;
        while one_id::may_be_stale(&self.desired, &facts) && Instant::now() < until {
            tokio::time::sleep(RECOUNT).await;
            facts = observe::facts::everybody(fleet, depth, &watcher, deadline).await;
        }
        facts
    }

    /// The plan for `goal`, or why there is none.
    ///
    /// # Errors
    /// As the failure that ends the run.
    pub fn plan(&self, facts: &Facts, goal: &Goal) -> Result<Plan, Failure> {
        let planned = without::plan(&self.desired, facts, goal, &self.left_out);
        planned.map_err(|stop| refusal::failure(&self.desired, &stop))
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
        let stop = &self.caller.stop;
        let applied = {
            let _changing = stop.changing();
            waves::apply(fleet, plan, facts, &self.caller.run(command)).await
        };
        match applied {
            Ok(applied) => stop.changed(applied.changed),
            // Whatever would be done next is not: this is the end of the run.
            Err(failure) if stop.is_asked() => {
                *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                return pending().await;
            }
            Err(_) => {}
        }
        applied
    }

    /// Members by name or id.
    ///
    /// # Errors
    /// Exit code 2 with the names there are.
    pub(super) fn members(&self, named: &[String]) -> Result<Vec<ServerId>, Failure> {
        let find = |name: &String| {
            let found = self.desired.find(name).map(|member| member.id);
            found.ok_or_else(|| refusal::no_member(&self.desired, name))
        };
        named.iter().map(find).collect()
    }

    /// The connect string of all members' client ports.
    pub(super) fn connect_string(&self) -> String {
        let all: Vec<String> = self.desired.members.values().map(|member| member.client_address()).collect();
        all.join(",")
    }

    /// Behind a verb that did what it was to do for the members `named`, empty: for all but those left out. What is left
    /// to do for them is said and remembered, what was owed to the others is forgotten.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) fn settle(&self, verb: &str, options: &str, named: &[ServerId]) -> Result<(), Failure> {
        let cluster = &self.desired.cluster;
        let done =
            |id: &&ServerId| if named.is_empty() { !self.left_out.contains(id) } else { named.contains(id) };
        let paid: Vec<String> =
            self.desired.members.keys().filter(done).map(|id| self.desired.name(*id)).collect();
        let owed =
            |id: &ServerId| Owed::new(cluster, &self.desired.name(*id), verb, options, &self.record.path);
        // Who names some members wants nothing of the others.
        let left_out = self.left_out.iter().filter(|_| named.is_empty());
        owed::settle(self.caller, cluster, verb, &paid, left_out.map(owed).collect())
    }

    /// Remembers this inventory as the one last deployed.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) fn remember(&self) -> Result<(), Failure> {
        let saved = self.record.save(&self.caller.state_dir);
        saved.map_err(|why| Failure::new(Exit::Failed, format!("{why:#}")))
    }

    /// What was deployed before, each with the ways to its hosts, the latest last.
    pub(super) fn earlier(&self) -> Vec<(Desired, BTreeMap<ServerId, Target>)> {
        let read = |text: &String| desired::earlier(text, self.caller.terms.accept_new_host_keys);
        self.record.earlier.iter().filter_map(read).collect()
    }

    /// Which inventory of this cluster was the last to be deployed from this machine, as this run found it.
    pub(super) fn last(&self) -> Last {
        self.last.clone()
    }

    /// Nobody lives any more where earlier inventories had him.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) fn all_arrived(&self) -> Result<(), Failure> {
        let settled = Record { earlier: Vec::new(), ..self.record.clone() };
        let saved = settled.save(&self.caller.state_dir);
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
fn named(caller: &Caller, path: &Path) -> Result<(String, PathBuf, String), Failure> {
    let text = std::fs::read_to_string(path).map_err(|why| refusal::no_inventory(caller, path, &why))?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    Ok((path.display().to_string(), absolute, text))
}

fn last(caller: &Caller) -> Result<(String, PathBuf, String), Failure> {
    let usage = |what: String| {
        Failure::new(Exit::Usage, what).next("name the inventory behind -i (zkops init writes one)")
    };
    let record = Record::load(&caller.state_dir).map_err(|why| usage(format!("{why:#}")))?;
    let Some(record) = record else {
        return Err(usage("no inventory named, and nothing is deployed from this machine".to_owned()));
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
/// Between two looks where a leader counts somebody who runs nowhere.
const RECOUNT: Duration = Duration::from_secs(1);
/// For one look at one host.
const LOOK_PATIENCE: Duration = Duration::from_secs(20);
