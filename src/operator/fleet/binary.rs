//! Our binary on its way onto a host: sent beside what is installed, put in place by a step of a plan, taken back
//! when nothing came of it. Whether it may go there at all is the caller's business.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::agent::Agent;
use super::hosts::{Fleet, Host};
use super::watch::{Doing, Watcher};
use crate::operator::host::CallError;
use crate::operator::host::files::{PlaceProgram, Remove};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::{NoWayIn, Unreachable};
use crate::operator::plan::seen::Seen;
use crate::operator::transport::{Connection, Error, Install, LocalBinary, quote};

impl Host {
    /// Puts the binary that was sent, and that answers here, into a slot; what runs keeps its own file.
    ///
    /// # Errors
    /// What the host said.
    pub async fn install(
        &mut self,
        staged: &str,
        path: &str,
        sha256: &str,
        deadline: Duration,
    ) -> anyhow::Result<bool> {
        let link = self.link.within(deadline);
        let request = PlaceProgram { path: path.into(), sha256: sha256.to_owned() };
        let changed = link.place_program(request).await?;
        // From now on the one in the slot answers: it supervises what it starts.
        let agent = Agent::start(&self.connection, &[path], deadline).await?;
        agent.link.hold(self.link.held());
        self.link = agent.link;
        self.binary.staged_sha256 = None;
        let roots = vec![parent(staged).into()];
        self.link.within(deadline).remove(Remove { path: staged.into(), roots, keep: Vec::new() }).await?;
        self.uploaded = false;
        Ok(changed)
    }

    /// Directories above `dir` that were made when our binary was sent, the topmost first.
    pub fn made_above(&self, dir: &str) -> Vec<String> {
        let Some(top) = &self.made else { return Vec::new() };
        let above = Path::new(dir).ancestors().skip(1).take_while(|level| level.starts_with(top));
        let mut above: Vec<String> = above.map(|level| level.display().to_string()).collect();
        above.reverse();
        above
    }

    /// Takes these directories away, the last first, where nothing is in them.
    pub async fn remove_empty(&self, dirs: &[String], patience: Duration) {
        let Ok(words) = quote(self.connection.label(), dirs.iter().rev().map(String::as_str)) else { return };
        // What is in use or a mount point stays, and so does what is above it.
        let script = format!("rmdir -- {words} 2>/dev/null; true");
        let _ = self.connection.exec(&script, Bytes::new(), Instant::now() + patience).await;
    }

    /// The program of the slot that was just switched to counts from now on.
    pub fn switched(&mut self, sha256: String) {
        self.binary.installed_sha256 = Seen::Is(sha256);
    }
}

/// Sends our binary beside what is installed, unless it is what is installed; `installed` is what became of
/// starting that.
pub(super) async fn bring(
    member: &DesiredMember,
    connection: Connection,
    installed: Result<Agent, CallError>,
    binary: &LocalBinary,
    watch: &Watcher,
    deadline: Duration,
) -> Result<Host, Unreachable> {
    let there = match installed {
        Ok(agent) if agent.sha256 == binary.sha256() => return Ok(Host::new(connection, agent)),
        Ok(older) => Seen::Is(older.sha256),
        // Too old to say so, or not there: the difference does not matter, it will be replaced.
        Err(CallError::Gone(_)) => installed_sha256(&connection, member, Instant::now() + deadline).await,
        Err(why) => return Err(Unreachable { kind: NoWayIn::Binary, text: why.to_string() }),
    };
    let name = member.name.clone();
    let watcher = watch.clone();
    let progress = move |sent, total| watcher(&name, Doing::Pushing { sent, total });
    let until = Instant::now() + PUSH_PATIENCE.max(deadline);
    let sent = connection.bootstrap(binary, &Install::at(&member.staged_path), Some(&progress), until).await;
    let sent = sent.map_err(no_binary)?;
    let agent = match Agent::start(&connection, &[&member.staged_path], deadline).await {
        Ok(agent) => agent,
        Err(why) => {
            if sent.uploaded {
                remove_staged(&connection, member, sent.made.as_deref(), deadline).await;
            }
            return Err(Unreachable { kind: NoWayIn::Binary, text: why.to_string() });
        }
    };
    let mut host = Host::new(connection, agent);
    (host.uploaded, host.made) = (sent.uploaded, sent.made);
    let staged_sha256 = std::mem::replace(&mut host.binary.installed_sha256, there).is().cloned();
    host.binary.staged_sha256 = staged_sha256;
    Ok(host)
}

/// Takes the binary that we sent in this run away again, where it was not put in place: a run that came to nothing
/// leaves nothing.
pub(super) async fn take_back(fleet: &Fleet, patience: Duration) {
    let sent = fleet.all().filter(|(_, host)| host.uploaded);
    let removals =
        sent.map(|(member, host)| remove_staged(&host.connection, member, host.made.as_deref(), patience));
    join_all(removals).await;
}

/// The file, and the directories that were made for it as far as nothing else is in them by now.
async fn remove_staged(
    connection: &Connection,
    member: &DesiredMember,
    made: Option<&str>,
    patience: Duration,
) {
    let words = [member.staged_path.as_str(), parent(&member.staged_path), made.unwrap_or_default()];
    let Ok(words) = words.iter().map(|word| quote(&member.name, [*word])).collect::<Result<Vec<_>, _>>()
    else {
        return;
    };
    let script = format!(
        "rm -f -- {}; dir={} made={}; while [ -n \"$made\" ] && rmdir -- \"$dir\" 2>/dev/null && [ \"$dir\" != \"$made\" ]; do dir=${{dir%/*}}; done; true",
        words[0], words[1], words[2]
    );
    // Nothing depends on it: the next run finds the file and uses it.
    let _ = connection.exec(&script, Bytes::new(), Instant::now() + patience).await;
}

/// Which binary is there, when it does not talk to us.
async fn installed_sha256(connection: &Connection, member: &DesiredMember, until: Instant) -> Seen<String> {
    let paths = member.binaries();
    let asked = async {
        let words = paths.iter().map(|path| quote(connection.label(), [path.as_str()]));
        let words: Vec<String> = words.collect::<Result<_, _>>()?;
        let script = format!(
            "for f in {}; do if [ -e \"$f\" ]; then sha256sum < \"$f\"; exit; fi; done; echo absent",
            words.join(" ")
        );
        connection.exec(&script, Bytes::new(), until).await
    };
    let said = match asked.await {
        Ok(output) => output.stdout_text().split_whitespace().next().unwrap_or("nothing").to_owned(),
        Err(why) => return Seen::unseen(why.to_string(), 0),
    };
    match said.as_str() {
        "absent" => Seen::Absent,
        sha256 if sha256.len() == 64 => Seen::Is(said),
        other => Seen::unseen(format!("sha256sum of {} said {other}", paths[0]), 0),
    }
}

fn no_binary(error: Error) -> Unreachable {
    let kind = if matches!(error, Error::Install { .. }) { NoWayIn::Binary } else { NoWayIn::Connection };
    Unreachable { kind, text: error.to_string() }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(dir, _)| if dir.is_empty() { "/" } else { dir })
}

/// A slow line needs minutes for some megabytes; the progress is shown meanwhile.
const PUSH_PATIENCE: Duration = Duration::from_secs(300);
