//! Fences: nothing goes between this host and one address, in either direction, new or established,
//! now and after a restart. They hold a server off that nobody can stop because its host is out of reach.
//!
//! Packets to the address are rejected here and not dropped, so that a connect from this host fails at
//! once with this host's own answer: that proves the fence also where the other host is dead. A fence of
//! which only one direction is in force is none, and is not listed.

use std::net::IpAddr;

use tokio::time::Instant;

use super::firewalld_bus::{self, Running};
use super::records::{Fence, FirewallReport};
use super::scope;
use super::{fence_iptables, fence_nft};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::machine::command;
use crate::operator::host::net::{addresses, sources};

/// What holds fences on this host, whichever firewall is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    /// A table of our own, which no other firewall touches.
    Nft,
    /// Rules at the head of INPUT and OUTPUT.
    Iptables,
}

/// # Errors
/// `Unsupported` when nothing on this host can block an address for good; `PermissionDenied` without
/// root; `Refused` for an address whose loss would cut this host off from itself or from us.
pub(crate) async fn fence(fence: Fence, deadline: Instant) -> Result<FirewallReport, Failure> {
    let address = fence.address.to_canonical();
    guard(address)?;
    scope::need_root("fence off", &address.to_string())?;
    let tool = tool(deadline).await.map_err(|why| unsupported(address, why))?;
    let mut report = FirewallReport { survives_reboot: true, ..FirewallReport::default() };
    match tool {
        Tool::Nft => fence_nft::fence(address, deadline, &mut report).await?,
        Tool::Iptables => fence_iptables::fence(address, deadline, &mut report).await?,
    }
    report.changed = !report.done.is_empty();
    if fences(deadline).await?.contains(&Fence { address }) {
        return Ok(report);
    }
    let why = "the rules are not there after they were added";
    Err(Failure::new("fence off", address, Kind::CommandFailed, why))
}

/// Takes a fence away; where there is none, nothing changes.
pub(crate) async fn unfence(fence: Fence, deadline: Instant) -> Result<FirewallReport, Failure> {
    let address = fence.address.to_canonical();
    scope::need_root("take the fence away from", &address.to_string())?;
    let mut report = FirewallReport { survives_reboot: true, ..FirewallReport::default() };
    // Where nothing can fence, no fence is.
    match tool(deadline).await {
        Ok(Tool::Nft) => fence_nft::unfence(address, deadline, &mut report).await?,
        Ok(Tool::Iptables) => fence_iptables::unfence(address, deadline, &mut report).await?,
        Err(_) => {}
    }
    report.changed = !report.done.is_empty();
    Ok(report)
}

/// The fences in force, both directions each.
///
/// # Errors
/// `PermissionDenied` without root: then nobody knows.
pub(crate) async fn fences(deadline: Instant) -> Result<Vec<Fence>, Failure> {
    scope::need_root("list the fences of", "this host")?;
    let found = match tool(deadline).await {
        Ok(Tool::Nft) => fence_nft::in_force(deadline).await?,
        Ok(Tool::Iptables) => fence_iptables::in_force(deadline).await?,
        Err(_) => Vec::new(),
    };
    Ok(found.into_iter().map(|address| Fence { address }).collect())
}

async fn tool(deadline: Instant) -> Result<Tool, &'static str> {
    if command::find(fence_nft::COMMAND).is_some() {
        return Ok(Tool::Nft);
    }
    if let Running::Yes { .. } = firewalld_bus::running(deadline).await {
        return Err("firewalld throws rules of others away when it reloads, and there is no nft");
    }
    match command::find("iptables") {
        Some(_) => Ok(Tool::Iptables),
        None => Err("there is neither nft nor iptables"),
    }
}

fn unsupported(address: IpAddr, why: &str) -> Failure {
    Failure::new("fence off", address, Kind::Unsupported, why).hint("install nftables on that host")
}

/// Addresses that are never blocked.
fn guard(address: IpAddr) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::new("fence off", address, Kind::Refused, why));
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return refuse("it is no address of another host");
    }
    if addresses::own().contains(&address) {
        return refuse("it is this host's own address");
    }
    if sources::session().is_some_and(|client| client == address) {
        return refuse("this very session comes from there");
    }
    Ok(())
}
