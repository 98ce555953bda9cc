//! Our binary on its way onto a host: sent beside what is installed, put in place by a step of a plan, taken back
//! when nothing came of it. Whether it may go there at all is the caller's business.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::agent::Agent;
use super::hosts::{Fleet, Host};
use super::watch::{Doing, Watcher};
use crate::operator::host::CallError;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::{BinaryFacts, NoWayIn, Unreachable};
use crate::operator::transport::{Connection, Error, Install, LocalBinary, quote};

impl Host {
    /// Puts the staged binary in place (a rename: what runs keeps its own file) and proves it.
    ///
    /// # Errors
    /// What the host said.
    pub async fn install(&mut self, staged: &str, path: &str, deadline: Duration) -> anyhow::Result<()> {
        let label = self.connection.label();
        let quoted = |word: &str| quote(label, [word]);
        let (from, to, dir) = (quoted(staged)?, quoted(path)?, quoted(parent(path))?);
        // The directory is synced, or everything where `sync` takes no names.
        let script = format!("mv -f -- {from} {to} && {{ sync -- {dir} 2>/dev/null || sync; }}");
        let output = self.connection.exec(&script, Bytes::new(), Instant::now() + deadline).await?;
        output.checked(label, "putting the binary in place")?;
        // What runs for us was started under the old name, by which nothing can be found now.
        let agent = Agent::start(&self.connection, path, deadline).await?;
        self.link = agent.link;
        self.binary = BinaryFacts { installed_sha256: Some(agent.sha256), staged_sha256: None };
        self.uploaded = false;
        Ok(())
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
        Ok(older) => Some(older.sha256),
        // Too old to say so, or not there: the difference does not matter, it will be replaced.
        Err(CallError::Gone(_)) => {
            installed_sha256(&connection, &member.binary_path, Instant::now() + deadline).await
        }
        Err(why) => return Err(Unreachable { kind: NoWayIn::Binary, text: why.to_string() }),
    };
    let name = member.name.clone();
    let watcher = watch.clone();
    let progress = move |sent, total| watcher(&name, Doing::Pushing { sent, total });
    let until = Instant::now() + PUSH_PATIENCE.max(deadline);
    let sent = connection.bootstrap(binary, &Install::at(&member.staged_path), Some(&progress), until).await;
    let sent = sent.map_err(no_binary)?;
    let agent = Agent::start(&connection, &member.staged_path, deadline)
        .await
        .map_err(|why| Unreachable { kind: NoWayIn::Binary, text: why.to_string() })?;
    let mut host = Host::new(connection, agent);
    host.uploaded = sent.uploaded;
    host.binary = BinaryFacts { installed_sha256: there, staged_sha256: host.binary.installed_sha256.take() };
    Ok(host)
}

/// Takes the binary that we sent in this run away again, where it was not put in place: a run that came to nothing
/// leaves nothing.
pub(super) async fn take_back(fleet: &Fleet, patience: Duration) {
    let removals = fleet.hosts().filter(|(_, host)| host.uploaded).map(|(member, host)| async move {
        let dir = parent(&member.staged_path);
        let words = [member.staged_path.as_str(), dir];
        let Ok(paths) = words.iter().map(|word| quote(&member.name, [*word])).collect::<Result<Vec<_>, _>>()
        else {
            return;
        };
        // Directories go only as far up as they are empty: whatever else is in them stays.
        let script = format!("rm -f -- {}; rmdir -p -- {} 2>/dev/null; true", paths[0], paths[1]);
        // Nothing depends on it: the next run finds the file and uses it.
        let _ = host.connection.exec(&script, Bytes::new(), Instant::now() + patience).await;
    });
    join_all(removals).await;
}

/// Which binary is there, when it does not talk to us.
async fn installed_sha256(connection: &Connection, path: &str, until: Instant) -> Option<String> {
    let quoted = quote(connection.label(), [path]).ok()?;
    let output =
        connection.exec(&format!("sha256sum < {quoted} 2>/dev/null"), Bytes::new(), until).await.ok()?;
    let sha256 = output.stdout_text().split_whitespace().next()?.to_owned();
    (sha256.len() == 64).then_some(sha256)
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
