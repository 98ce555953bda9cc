//! Where members were before: whether that is another machine at all, and how their old servers are. It only looks.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;

use super::look::{self, Depth};
use super::remains;
use crate::operator::fleet::hosts::{Fleet, Host};
use crate::operator::host::net::Expected;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::{Former, HostView, NoWayIn, Old, Unreachable};

/// What an old address is, asked on the member's host of today.
pub struct Address {
    pub ips: Vec<IpAddr>,
    /// It is one of that host's own.
    pub own: bool,
}

/// What `address` means on `host`.
pub async fn address(host: &Host, address: &str, deadline: Duration) -> Address {
    let literal = address.parse::<IpAddr>().ok();
    let asked = Expected { name: address.to_owned(), ip: None };
    let Ok(report) = host.link.within(deadline).names(vec![asked]).await else {
        return Address { ips: literal.into_iter().collect(), own: false };
    };
    let resolved = report.names.into_iter().flat_map(|name| name.addresses);
    let ips: Vec<IpAddr> = match literal {
        Some(ip) => vec![ip],
        None => resolved.collect(),
    };
    // Every host has the loopback addresses: they name none.
    let own = ips.iter().any(|ip| !ip.is_loopback() && report.addresses.contains(ip));
    Address { ips, own }
}

/// Looks at every old place that the fleet knows.
pub async fn look(fleet: &Fleet, mut former: Vec<Former>, deadline: Duration) -> Vec<Former> {
    let looked = fleet.former().map(|(member, host)| async move {
        let view = match host {
            Ok(host) => looked(fleet, member, host, deadline).await,
            Err(why) => HostView::Unreachable(why.clone()),
        };
        (member.id, member.address.clone(), view)
    });
    for (id, address, view) in join_all(looked).await {
        let of = former.iter_mut().find(|old| old.member == id && old.address == address);
        if let Some(old) = of.filter(|old| old.elsewhere()) {
            old.view = Old::Host(view);
        }
    }
    former
}

async fn looked(fleet: &Fleet, member: &DesiredMember, host: &Host, deadline: Duration) -> HostView {
    match look::host(&fleet.desired, member, host, Depth::State, deadline).await {
        Ok(mut seen) => {
            seen.fences = remains::fences(host, deadline).await;
            HostView::Seen(Box::new(seen))
        }
        Err(why) => HostView::Unreachable(Unreachable {
            kind: NoWayIn::Connection,
            text: format!("{} ({}): {why}", member.address, member.name),
        }),
    }
}
