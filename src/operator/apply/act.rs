//! One step on one host: the desired state as requests to `zkops host`. Each request does nothing
//! where its state holds already, and says whether it changed anything.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::formats::marker::Marker;
use crate::operator::fleet::hosts::Host;
use crate::operator::fleet::journal::Effects;
use crate::operator::fleet::unit;
use crate::operator::host::data::WriteMarker;
use crate::operator::host::files::{EnsureDir, Expect, PutFile, Reader, Remove, Rename};
use crate::operator::host::firewall::{Firewall, FirewallPorts};
use crate::operator::host::service::{InstallService, ServiceCall, Verb};
use crate::operator::host::{Kind, Link};
use crate::operator::plan::desired::DesiredMember;
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
        Action::EnsureDir { path, mode } => {
            let request = EnsureDir { path: path.into(), mode: Some(*mode), owner: None };
            Ok(Done::changed(link.ensure_dir(request).await?.changed))
        }
        Action::InstallBinary { staged, path, .. } => {
            host.install(staged, path, deadline).await?;
            Ok(Done::changed(true))
        }
        Action::PutFile { path, mode, content } => put(member, &link, path, *mode, content).await,
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
        Action::WriteMarker { data_dir, marker } => {
            let marker =
                Marker { cluster: marker.cluster.clone(), member: marker.id.0, uuid: marker.uuid.clone() };
            let request = WriteMarker { data_dir: data_dir.into(), marker, replace: false };
            Ok(Done::changed(link.write_marker(request).await?))
        }
        Action::AllowEmptyDatabase { path } => {
            let request = PutFile { expect: Expect::Any, ..PutFile::ours(path, "") };
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
    }
}

/// Files of ours are overwritten, others are not: except `myid`, which carries no header and
/// whose directory was proven to be ours. A zoo.cfg is tried by the binary that will run it.
async fn put(member: &DesiredMember, link: &Link, path: &str, mode: u32, content: &str) -> Result<Done> {
    let expect = if path == member.myid_path() { Expect::Any } else { Expect::Ours };
    let must_read = if path == member.config_path { Reader::Server } else { Reader::Anybody };
    let request = PutFile { mode, expect, must_read, ..PutFile::ours(path, content) };
    Ok(Done::changed(link.put_file(request).await?.changed))
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
        Service::Installed { .. } => {
            let definition = unit::definition(&manager, member);
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
    for name in ["conf", "var", "bin"] {
        let request = Remove { path: format!("{dir}/{name}").into(), roots: vec![dir.into()] };
        changed |= link.remove(request).await?.changed;
    }
    let rest = link.list_dir(dir.into()).await;
    match rest {
        Ok(listing) if listing.entries.is_empty() => {
            let request = Remove { path: dir.into(), roots: vec![dir.into()] };
            changed |= link.remove(request).await?.changed;
        }
        // Somebody else's files are in it.
        Ok(_) => {}
        Err(error) if error.kind() == Some(Kind::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Done::changed(changed))
}
