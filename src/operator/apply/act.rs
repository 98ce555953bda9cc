//! One step on one host: the desired state as requests to `zkops host`. Each request does nothing
//! where its state holds already, and says whether it changed anything.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{files, retire};
use crate::formats::marker::Marker;
use crate::formats::opening::Opening;
use crate::operator::fleet::hosts::Host;
use crate::operator::fleet::journal::Effects;
use crate::operator::fleet::unit;
use crate::operator::host::Link;
use crate::operator::host::data::WriteMarker;
use crate::operator::host::files::{EnsureDir, PutFile, Remove, Rename};
use crate::operator::host::firewall::{Firewall, FirewallPorts};
use crate::operator::host::service::{InstallService, ServiceCall, Verb};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts;
use crate::operator::plan::owners::Account;
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
        Action::EnsureDir { path, mode, owner } => ensure_dir(&link, path, *mode, owner.as_ref()).await,
        Action::EnsureUser { user } => {
            let mut done = Done::changed(link.ensure_user(user.clone()).await?);
            done.effects.made_user = done.changed.then(|| user.clone());
            Ok(done)
        }
        Action::RemoveUser { user } => Ok(Done::changed(link.remove_user(user.clone()).await?)),
        Action::InstallBinary { staged, path, sha256 } => {
            let mut done = Done::changed(host.install(staged, path, sha256, deadline).await?);
            done.effects.made_dirs = host.made_above(&member.dirs.install);
            Ok(done)
        }
        Action::PutFile { path, mode, content, owner } => {
            let owner = owner.as_ref().map(unit::owner);
            let file = PutFile { mode: *mode, owner, ..PutFile::ours(path, content.as_str()) };
            Ok(Done::changed(files::put(member, &link, file).await?))
        }
        Action::Own { paths, owner } => Ok(Done::changed(files::own(&link, paths, owner).await?)),
        Action::SwitchSlot { link: name, to } => {
            let changed = link.switch_link(files::slot(name, *to)).await?;
            // The agent was started from that slot when its binary was put there.
            host.switched(link.binary().await?.sha256);
            Ok(Done::changed(changed))
        }
        Action::RemoveLegacy { dir } => Ok(Done::changed(files::remove_legacy(member, &link, dir).await?)),
        Action::OpenPorts { openings, .. } => open_ports(member, &link, openings).await,
        Action::ClosePorts { openings } => close_ports(member, &link, openings).await,
        Action::WriteMarker { data_dir, marker, owner } => {
            write_marker(&link, data_dir, marker, owner.as_ref()).await
        }
        Action::AllowEmptyDatabase { path, owner } => {
            let request = files::empty_mark(path, owner.as_ref());
            Ok(Done::changed(link.put_file(request).await?.changed))
        }
        Action::Quarantine { path, to } => {
            let request = Rename { from: path.into(), to: to.into(), roots: roots() };
            Ok(Done::changed(link.rename(request).await?))
        }
        Action::Service(service) => serve(member, host, service, deadline).await,
        Action::RemovePath { path, .. } => {
            let request = Remove { path: path.into(), roots: roots(), keep: Vec::new() };
            Ok(Done::changed(link.remove(request).await?.changed))
        }
        Action::Uninstall { made, .. } => uninstall(member, host, made, deadline).await.map(Done::changed),
        Action::Retire { .. } => retire::retire(member, host, deadline).await.map(Done::changed),
        Action::Vacate { openings, fences, made, .. } => {
            let lifted = retire::unfence(&host.link, fences, deadline).await?;
            let gone = vacate(member, host, openings, made, deadline).await?;
            Ok(Done { changed: gone.changed || lifted, ..gone })
        }
        Action::Fence { addresses } => {
            retire::fence(&host.link, addresses, member.ports.election, deadline).await.map(Done::changed)
        }
        Action::Unfence { addresses } => {
            retire::unfence(&host.link, addresses, deadline).await.map(Done::changed)
        }
    }
}

async fn ensure_dir(link: &Link, path: &str, mode: u32, owner: Option<&Account>) -> Result<Done> {
    let owner = owner.map(unit::owner);
    let ensured = link.ensure_dir(EnsureDir { path: path.into(), mode: Some(mode), owner }).await?;
    let mut done = Done::changed(ensured.changed);
    let above = ensured.created.iter().filter(|dir| dir.as_os_str() != path);
    done.effects.made_dirs = above.map(|dir| dir.display().to_string()).collect();
    Ok(done)
}

async fn write_marker(
    link: &Link,
    data_dir: &str,
    marker: &facts::Marker,
    owner: Option<&Account>,
) -> Result<Done> {
    let owner = owner.map(unit::owner);
    let marker = Marker { cluster: marker.cluster.clone(), member: marker.id.0, uuid: marker.uuid.clone() };
    let request = WriteMarker { data_dir: data_dir.into(), marker, replace: false, owner };
    Ok(Done::changed(link.write_marker(request).await?))
}

/// Then the directories above that were made for it, where nothing is in them.
async fn uninstall(member: &DesiredMember, host: &Host, made: &[String], deadline: Duration) -> Result<bool> {
    let changed = files::uninstall(member, &host.link.within(deadline), &member.dirs.install).await?;
    host.remove_empty(made, deadline).await;
    Ok(changed)
}

/// The server there is proven to be retired once more: what it runs from goes.
async fn vacate(
    member: &DesiredMember,
    host: &Host,
    openings: &[Opening],
    made: &[String],
    deadline: Duration,
) -> Result<Done> {
    let retired = retire::retire(member, host, deadline).await?;
    let gone = serve(member, host, &Service::Removed, deadline).await?;
    let closed = match openings {
        [] => Done::default(),
        openings => close_ports(member, &host.link.within(deadline), openings).await?,
    };
    let removed = uninstall(member, host, made, deadline).await?;
    Ok(Done::changed(retired || gone.changed || closed.changed || removed))
}

async fn open_ports(member: &DesiredMember, link: &Link, openings: &[Opening]) -> Result<Done> {
    let report = link.open_ports(firewall(member, openings)).await?;
    let mut done = Done::changed(report.changed);
    if let Some(Firewall::Firewalld { zone }) = report.firewalls.first() {
        done.effects.zone = Some(zone.clone());
    }
    if report.changed {
        done.effects.opened = openings.to_vec();
        done.effects.commands = report.commands;
    }
    let closed: Vec<String> = report
        .ports
        .iter()
        .filter(|state| state.verdict.blocked())
        .map(|state| format!("{}: {:?}", state.opening, state.verdict))
        .collect();
    anyhow::ensure!(closed.is_empty(), "still closed after opening them: {}", closed.join(", "));
    Ok(done)
}

async fn close_ports(member: &DesiredMember, link: &Link, openings: &[Opening]) -> Result<Done> {
    let report = link.close_ports(firewall(member, openings)).await?;
    let mut done = Done::changed(report.changed);
    done.effects.closed = openings.to_vec();
    Ok(done)
}

fn firewall(member: &DesiredMember, openings: &[Opening]) -> FirewallPorts {
    FirewallPorts { openings: openings.to_vec(), address: member.address.parse().ok() }
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
