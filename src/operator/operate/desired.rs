//! From the inventory's text to what is worked with: every member's desired state, rendered, and
//! the way to its host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::caller::Caller;
use super::paths::{self, at_home};
use super::settings;
use crate::operator::inventory::{self, Cluster, Connection, Finding, Member, Role, SshSettings};
use crate::operator::plan::desired::{Desired, DesiredMember, Dirs, Ports, RunAs, Unit};
use crate::operator::render;
use crate::operator::transport::{Escalation, HostKeyPolicy, LocalTarget, SshTarget, Target};
use crate::report::{Evidence, Exit, Failure};
use crate::wire::ids::ServerId;

/// Reads an inventory called `shown`; its warnings are told.
///
/// # Errors
/// Exit code 2 with every finding.
pub(super) fn read(
    caller: &Caller,
    shown: &str,
    text: &str,
) -> Result<(Desired, BTreeMap<ServerId, Target>), Failure> {
    let (cluster, warnings) = inventory::parse(shown, text, &settings::judge)
        .map_err(|findings| invalid(shown, text, &findings))?;
    for warning in &warnings {
        caller.events.note(warning.summary());
    }
    worked_out(cluster, shown, caller.terms.accept_new_host_keys)
}

/// An inventory that was deployed once, without a word about it; `None`: it is none any more.
pub(super) fn earlier(text: &str, accept_new: bool) -> Option<(Desired, BTreeMap<ServerId, Target>)> {
    let (cluster, _) = inventory::parse("", text, &|_| Vec::new()).ok()?;
    worked_out(cluster, "", accept_new).ok()
}

fn worked_out(
    cluster: Cluster,
    shown: &str,
    accept_new: bool,
) -> Result<(Desired, BTreeMap<ServerId, Target>), Failure> {
    let mut members = BTreeMap::new();
    let mut targets = BTreeMap::new();
    for member in &cluster.members {
        members.insert(member.id, desired(&cluster, member)?);
        targets.insert(member.id, target(member, accept_new));
    }
    let desired = Desired {
        cluster: cluster.name,
        inventory: shown.to_owned(),
        binary: None,
        members,
        clients: cluster.clients,
    };
    Ok((desired, targets))
}

fn invalid(shown: &str, text: &str, findings: &[Finding]) -> Failure {
    let mut failure = Failure::new(Exit::Usage, format!("the inventory {shown} is not valid"));
    for finding in findings {
        let drawn = finding.render(text, false);
        // The first line says again what the summary says.
        let lines = drawn.lines().skip(1).map(str::to_owned).collect();
        failure.evidence.push(Evidence { from: finding.summary(), lines });
    }
    failure.state("no host was contacted")
}

fn desired(cluster: &Cluster, member: &Member) -> Result<DesiredMember, Failure> {
    let install = at_home(&member.install_dir);
    let paths = paths::of(member);
    let data = paths.data_dir.clone();
    let data_log = paths.data_log_dir.clone();
    let broken = |why: render::Error| Failure::new(Exit::Failed, format!("{}: {why}", member.name));
    Ok(DesiredMember {
        id: member.id,
        name: member.name.clone(),
        address: member.host.clone(),
        voter: member.role == Role::Participant,
        ports: Ports {
            client: member.ports.client,
            quorum: member.ports.quorum,
            election: member.ports.election,
        },
        config: render::zoo_cfg(cluster, member, &paths).map_err(broken)?,
        unit: Unit {
            name: render::unit_name(cluster, member),
            text: render::unit(cluster, member, &paths).map_err(broken)?,
            // An ensemble to try things out must not outlive its directory in /etc.
            own_supervisor: member.connection == Connection::Local,
        },
        staged_path: format!("{install}/slots/zkops.next"),
        run_as: run_as(member),
        binary_path: paths.binary,
        config_path: paths.config,
        dirs: Dirs { install, data_log: data_log.unwrap_or_else(|| data.clone()), data },
    })
}

fn target(member: &Member, accept_new: bool) -> Target {
    match &member.connection {
        Connection::Local => {
            Target::Local(LocalTarget { name: member.name.clone(), escalation: Escalation::None })
        }
        Connection::Ssh(ssh) => Target::Ssh(Box::new(ssh_target(member, ssh, accept_new))),
    }
}

fn ssh_target(member: &Member, ssh: &SshSettings, accept_new: bool) -> SshTarget {
    let host_key_policy = if accept_new { HostKeyPolicy::AcceptNew } else { HostKeyPolicy::Ask };
    let known_hosts = ssh.known_hosts.as_deref().map(|path| PathBuf::from(at_home(path)));
    let jump = ssh.jump.as_ref().map(|jump| {
        Box::new(SshTarget {
            user: jump.user.clone(),
            port: jump.port,
            keys: ssh.key.iter().map(PathBuf::from).collect(),
            known_hosts: known_hosts.clone(),
            host_key_policy,
            is_jump: true,
            ..SshTarget::new(format!("jump host {}", jump.host), &jump.host)
        })
    });
    SshTarget {
        port: ssh.port,
        user: ssh.user.clone(),
        // The transport expands `~`, `%h` and `%r` as ssh does.
        keys: ssh.key.iter().map(PathBuf::from).collect(),
        known_hosts,
        jump,
        host_key_policy,
        escalation: ssh.sudo.clone().map_or(Escalation::None, |path| Escalation::Sudo { path }),
        ..SshTarget::new(&member.name, &member.host)
    }
}

/// On this machine servers are whose the operator is.
fn run_as(member: &Member) -> Option<RunAs> {
    let named = |user: &String| RunAs { user: user.clone(), named: true };
    let default = || RunAs { user: USER_DEFAULT.to_owned(), named: false };
    (member.connection != Connection::Local).then(|| member.user.as_ref().map_or_else(default, named))
}

/// Whom servers run as where the inventory does not say.
const USER_DEFAULT: &str = "zkops";
