//! One step on one host: the desired state as requests to `zkops host`. Each request does nothing
//! where its state holds already, and says whether it changed anything.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::retire;
use crate::formats::marker::Marker;
use crate::operator::fleet::hosts::Host;
use crate::operator::fleet::journal::Effects;
use crate::operator::fleet::unit;
use crate::operator::host::data::WriteMarker;
use crate::operator::host::files::{EnsureDir, Expect, Own, PutFile, Reader, Remove, Rename, SwitchLink};
use crate::operator::host::firewall::{Firewall, FirewallPorts};
use crate::operator::host::service::{FindServer, InstallService, ServiceCall, Verb};
use crate::operator::host::{Kind, Link};
use crate::operator::plan::account::Account;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::layout::Slot;
use crate::operator::plan::step::{Action, Service};

/// What became of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) changed: bool,
    /// What the journal must remember of it beside its name.
    pub(super) effects: Effects,
}

impl Done {
    fn changed(changed: bool) -> Done {
        Done { changed, effects: Effects::default() }
    }
}

/// # Errors
/// What the host said, in words that name the path, port or unit.
pub(super) async fn act(
    member: &DesiredMember,
    host: &mut Host,
    action: &Action,
    deadline: Duration,
) -> Result<Done> {
    let link = host.link.within(deadline);
    let roots =
        || [&member.dirs.install, &member.dirs.data, &member.dirs.data_log].map(PathBuf::from).to_vec();
    match action {
        Action::EnsureDir { path, mode, owner } => {
            let owner = owner.as_ref().map(unit::owner);
            let request = EnsureDir { path: path.into(), mode: Some(*mode), owner };
            Ok(Done::changed(link.ensure_dir(request).await?.changed))
        }
        Action::InstallBinary { staged, path, sha256 } => {
            Ok(Done::changed(host.install(staged, path, sha256, deadline).await?))
        }
        Action::EnsureUser { user } => {
            let mut done = Done::changed(link.ensure_user(user.clone()).await?);
            done.effects.made_user = done.changed.then(|| user.clone());
            Ok(done)
        }
        Action::RemoveUser { user } => Ok(Done::changed(link.remove_user(user.clone()).await?)),
        Action::Own { paths, owner } => own(&link, paths, owner).await,
        Action::SwitchSlot { link: name, to } => switch(host, name, *to, deadline).await,
        Action::RemoveLegacy { dir } => remove_legacy(member, &link, dir).await,
        Action::PutFile { path, mode, content, owner } => {
            let request = PutFile {
                mode: *mode,
                owner: owner.as_ref().map(unit::owner),
                ..PutFile::ours(path, content.as_str())
            };
            put(member, &link, request).await
        }
        Action::OpenPorts { ports } => {
            let report = link.open_ports(firewall(member, ports)).await?;
            let mut done = Done::changed(report.changed);
            if let Some(Firewall::Firewalld { zone }) = report.firewalls.first() {
                done.effects.zone = Some(zone.clone());
            }
            if report.changed {
                done.effects.opened_ports.clone_from(ports);
                done.effects.commands = report.commands;
            }
            let closed: Vec<String> = report
                .ports
                .iter()
                .filter(|state| state.verdict.blocked())
                .map(|state| format!("{}: {:?}", state.port, state.verdict))
                .collect();
            anyhow::ensure!(closed.is_empty(), "still closed after opening them: {}", closed.join(", "));
            Ok(done)
        }
        Action::ClosePorts { ports } => {
            let report = link.close_ports(firewall(member, ports)).await?;
            let mut done = Done::changed(report.changed);
            done.effects.closed_ports.clone_from(ports);
            Ok(done)
        }
        Action::WriteMarker { data_dir, marker, owner } => {
            let marker =
                Marker { cluster: marker.cluster.clone(), member: marker.id.0, uuid: marker.uuid.clone() };
            let owner = owner.as_ref().map(unit::owner);
            let request = WriteMarker { data_dir: data_dir.into(), marker, replace: false, owner };
            Ok(Done::changed(link.write_marker(request).await?))
        }
        Action::AllowEmptyDatabase { path, owner } => {
            let owner = owner.as_ref().map(unit::owner);
            let request = PutFile {
                expect: Expect::Any,
                mode: 0o600,
                owner,
                in_foreign_dir: true,
                ..PutFile::ours(path, "")
            };
            Ok(Done::changed(link.put_file(request).await?.changed))
        }
        Action::Quarantine { path, to } => {
            let request = Rename { from: path.into(), to: to.into(), roots: roots() };
            Ok(Done::changed(link.rename(request).await?))
        }
        Action::Service(service) => serve(member, host, service, deadline).await,
        Action::RemovePath { path, .. } => {
            let request = Remove { path: path.into(), roots: roots() };
            Ok(Done::changed(link.remove(request).await?.changed))
        }
        Action::Uninstall { dir } => uninstall(&link, dir).await,
        Action::Retire { .. } => retire::retire(member, host, deadline).await.map(Done::changed),
        Action::Fence { addresses } => {
            retire::fence(&host.link, addresses, member.ports.election, deadline).await.map(Done::changed)
        }
        Action::Unfence { addresses } => {
            retire::unfence(&host.link, addresses, deadline).await.map(Done::changed)
        }
    }
}

/// Files of ours are overwritten, others are not: except `myid`, which carries no header and
/// whose directory was proven to be ours. A zoo.cfg is tried by the binary that will run it.
async fn put(member: &DesiredMember, link: &Link, file: PutFile) -> Result<Done> {
    let path = file.path.to_string_lossy().into_owned();
    let of_server = path == member.myid_path();
    let expect = if of_server { Expect::Any } else { Expect::Ours };
    let must_read = if member.is_config(&path) { Reader::Server } else { Reader::Anybody };
    let request = PutFile { expect, must_read, in_foreign_dir: of_server, ..file };
    Ok(Done::changed(link.put_file(request).await?.changed))
}

/// No server may be at work there: what it makes meanwhile would be missed, and it could not write any more.
async fn own(link: &Link, paths: &[String], owner: &Account) -> Result<Done> {
    for path in paths {
        let find = FindServer { config: None, data_dir: Some(path.into()) };
        let running = link.find_server(find).await?;
        if let Some(server) = running.first() {
            anyhow::bail!("a server (pid {}) still runs on {path}: stop it first", server.process.pid);
        }
    }
    let paths = paths.iter().map(PathBuf::from).collect();
    let done = link.own(Own { paths, owner: unit::owner(owner) }).await?;
    Ok(Done::changed(done.changed > 0))
}

async fn switch(host: &mut Host, name: &str, to: Slot, deadline: Duration) -> Result<Done> {
    let link = host.link.within(deadline);
    let changed = link.switch_link(SwitchLink { link: name.into(), to: to.target().into() }).await?;
    // The agent was started from that slot when its binary was put there.
    let sha256 = link.binary().await?.sha256;
    host.switched(sha256);
    Ok(Done::changed(changed))
}

/// Only what zkops put there: the directories stay where somebody else has files in them.
async fn remove_legacy(member: &DesiredMember, link: &Link, dir: &str) -> Result<Done> {
    let mut changed = false;
    for path in member.legacy_files() {
        changed |= link.remove(Remove { path: path.into(), roots: vec![dir.into()] }).await?.changed;
    }
    for name in ["bin", "conf"] {
        changed |= remove_empty(link, &format!("{dir}/{name}"), dir).await?;
    }
    Ok(Done::changed(changed))
}

fn firewall(member: &DesiredMember, ports: &[u16]) -> FirewallPorts {
    FirewallPorts { ports: ports.to_vec(), address: member.address.parse().ok() }
}

async fn serve(member: &DesiredMember, host: &Host, wanted: &Service, deadline: Duration) -> Result<Done> {
    let link = host.link.within(deadline);
    let manager = host.manager(member);
    let service = unit::service(&manager, member);
    let call = |verb| ServiceCall { service: service.clone(), verb };
    let verb = match wanted {
        Service::Installed { account, .. } => {
            let definition = unit::definition(&manager, member, account.as_ref());
            let written =
                link.install_service(InstallService { service: service.clone(), definition }).await?;
            let enabled = link.service(call(Verb::Enable)).await.context("enable the service")?;
            return Ok(Done::changed(written.changed || enabled.changed));
        }
        Service::Started => Verb::Start,
        Service::Restarted => Verb::Restart,
        Service::Stopped => Verb::Stop,
        Service::Removed => Verb::Remove,
    };
    Ok(Done::changed(link.service(call(verb)).await?.changed))
}

/// Takes away what zkops keeps under its install directory, then the directory if it is empty.
async fn uninstall(link: &Link, dir: &str) -> Result<Done> {
    let mut changed = false;
    for name in ["conf", "var", "bin", "current", "slots", "dynamic"] {
        let request = Remove { path: format!("{dir}/{name}").into(), roots: vec![dir.into()] };
        changed |= link.remove(request).await?.changed;
    }
    changed |= remove_empty(link, dir, dir).await?;
    Ok(Done::changed(changed))
}

/// Removes a directory, unless somebody else's files are in it.
async fn remove_empty(link: &Link, dir: &str, root: &str) -> Result<bool> {
    match link.list_dir(dir.into()).await {
        Ok(listing) if listing.entries.is_empty() => {
            Ok(link.remove(Remove { path: dir.into(), roots: vec![root.into()] }).await?.changed)
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == Some(Kind::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
