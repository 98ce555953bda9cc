//! An old server is made sure never to run again: on its host, by stopping and disabling it and by proving that nothing of
//! it is left; from the other hosts, by blocking its address.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::operator::fleet::hosts::Host;
use crate::operator::fleet::unit;
use crate::operator::host::Link;
use crate::operator::host::firewall::Fence;
use crate::operator::host::machine::Process;
use crate::operator::host::net::{Connect, Listener, Outcome, Target};
use crate::operator::host::service::{Active, FindServer, ServiceCall, Verb};
use crate::operator::plan::desired::DesiredMember;

/// Whether anything had to be done; `member` is as it was there.
///
/// # Errors
/// What the host said, or what is left running.
pub(super) async fn retire(member: &DesiredMember, host: &Host, deadline: Duration) -> Result<bool> {
    let link = host.link.within(deadline);
    let manager = host.manager(member);
    let service = unit::service(&manager, member);
    let call = |verb| ServiceCall { service: service.clone(), verb };
    let mut changed = false;
    if link.service(call(Verb::State)).await?.state.installed {
        // Disabled first: a host that restarts in between does not start it again.
        for (verb, doing) in [(Verb::Disable, "disable the old service"), (Verb::Stop, "stop the old server")]
        {
            changed |= link.service(call(verb)).await.context(doing)?.changed;
        }
    }
    let state = link.service(call(Verb::State)).await?.state;
    ensure!(
        !matches!(state.active, Active::Running | Active::Starting | Active::Stopping),
        "it still runs ({})",
        state.sub
    );
    ensure!(!state.enabled, "its service is still enabled");
    let configs = [member.config_path.clone(), member.legacy_config()];
    let by_config =
        configs.iter().map(|path| FindServer { config: Some(PathBuf::from(path)), data_dir: None });
    let by_data = FindServer { config: None, data_dir: Some(PathBuf::from(&member.dirs.data)) };
    for of in by_config.chain([by_data]) {
        if let Some(left) = link.find_server(of).await?.first() {
            anyhow::bail!("another server runs there on its files: pid {}", left.process.pid);
        }
    }
    let peer_ports = vec![member.ports.quorum, member.ports.election];
    for used in link.ports_in_use(peer_ports).await? {
        // The host may be somebody else's by now: only its own server is looked for, or one that cannot be seen.
        let its_own = |listener: &&Listener| {
            let of = |process: &Process| configs.iter().any(|path| process.cmdline.contains(path));
            listener.process.as_ref().is_none_or(of)
        };
        ensure!(
            used.listeners.iter().find(its_own).is_none(),
            "something still listens on its port {}",
            used.port
        );
    }
    Ok(changed)
}

/// # Errors
/// What the host said: it cannot, or a connection still goes through.
pub(super) async fn fence(link: &Link, addresses: &[IpAddr], port: u16, deadline: Duration) -> Result<bool> {
    let link = link.within(deadline);
    let mut changed = false;
    for address in addresses {
        changed |= link.fence(Fence { address: *address }).await?.changed;
    }
    let targets = addresses.iter().map(|ip| Target { host: ip.to_string(), port }).collect();
    let request = Connect { targets, token: String::new(), name: String::new(), timeout_ms: KNOCK_MS };
    for reached in link.connect(request).await? {
        // This host itself says no: what is not answered at all may be on its way.
        let through = reached.outcome.reachable() || reached.outcome == Outcome::Timeout;
        ensure!(!through, "a connection to {} is not blocked: {:?}", reached.target.host, reached.outcome);
    }
    Ok(changed)
}

/// # Errors
/// What the host said.
pub(super) async fn unfence(link: &Link, addresses: &[IpAddr], deadline: Duration) -> Result<bool> {
    let link = link.within(deadline);
    let mut changed = false;
    for address in addresses {
        changed |= link.unfence(Fence { address: *address }).await?.changed;
    }
    Ok(changed)
}

/// A rule of this host's own answers at once.
const KNOCK_MS: u64 = 3_000;
