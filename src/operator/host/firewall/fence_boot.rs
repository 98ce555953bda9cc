//! The unit that puts fences up at boot, where the firewall's own files do not.

use tokio::time::Instant;

use super::records::FirewallReport;
use crate::operator::host::failure::Failure;
use crate::operator::host::machine::{Init, facts};
use crate::operator::host::service::Verb;
use crate::operator::host::service::systemd;

/// `commands` put the fences up in an empty firewall; they run before the network is there.
pub(super) async fn remember(
    commands: &[String],
    deadline: Instant,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let installed = systemd::install(UNIT, text(commands), deadline).await?;
    let enabled = systemd::call(UNIT, Verb::Enable, deadline).await?;
    report.done.extend(installed.done.into_iter().chain(enabled.done));
    Ok(())
}

/// No fence is left.
pub(super) async fn forget(deadline: Instant, report: &mut FirewallReport) -> Result<(), Failure> {
    if facts::init() == Init::Systemd {
        report.done.extend(systemd::call(UNIT, Verb::Remove, deadline).await?.done);
    }
    Ok(())
}

pub(super) fn text(commands: &[String]) -> String {
    let start: String = commands.iter().map(|command| format!("ExecStart={command}\n")).collect();
    format!(
        "# Managed by zkops: addresses that nothing goes to or comes from.\n\
         [Unit]\nDescription=zkops fences\nDefaultDependencies=no\nWants=network-pre.target\n\
         After=local-fs.target nftables.service iptables.service ip6tables.service netfilter-persistent.service ufw.service\n\
         Before=network-pre.target shutdown.target\nConflicts=shutdown.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n{start}\n\
         [Install]\nWantedBy=sysinit.target\n"
    )
}

/// Units of servers are called `zkops-` and their cluster: this one is none of them.
const UNIT: &str = "zkops_fence";
