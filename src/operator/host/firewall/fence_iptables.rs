//! Fences by iptables and ip6tables: one rule at the head of INPUT, one at the head of OUTPUT, both
//! with a comment of their own; in the file that is restored at boot, or else in a unit of ours.

use std::net::IpAddr;

use tokio::time::Instant;

use super::fence_boot;
use super::iptables::{self, FAMILIES, Family, Table, WAIT};
use super::records::FirewallReport;
use super::scope::FENCE_TAG;
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::machine::{Init, command, facts};

pub(super) async fn fence(
    address: IpAddr,
    deadline: Instant,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let family = family(address)?;
    let before = table(family, deadline).await?;
    for rule in rules(address) {
        if in_place(&before, &rule) {
            continue;
        }
        if before.rules.iter().any(|there| *there == words(&rule)) {
            // Behind rules that let the address through.
            change(family, "-D", &rule, deadline, report).await?;
        }
        change(family, "-I", &rule, deadline, report).await?;
        report.done.push(format!("{address} is fenced off by {}: {rule}", family.command));
    }
    let kept = keep(family, deadline, report).await;
    if kept.is_err() && !fenced(&before).contains(&address) {
        // A fence that a restart forgets would be believed in for longer than it lasts.
        remove(family, address, deadline, report).await?;
    }
    kept
}

pub(super) async fn unfence(
    address: IpAddr,
    deadline: Instant,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let family = family(address)?;
    if remove(family, address, deadline, report).await? {
        report.done.push(format!("the fence of {address} is gone from {}", family.command));
    }
    // Also where a run was killed after it had removed the rules.
    keep(family, deadline, report).await
}

/// Addresses that are blocked in both directions.
pub(super) async fn in_force(deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
    let mut found = Vec::new();
    for family in present() {
        found.extend(fenced(&table(family, deadline).await?));
    }
    Ok(found)
}

/// Addresses whose two rules stand before everything that is not a fence.
pub(super) fn fenced(table: &Table) -> Vec<IpAddr> {
    let addresses = table.rules.iter().filter_map(|rule| {
        let at = rule.iter().position(|word| word == "-s")?;
        rule.get(at + 1)?.split('/').next()?.parse::<IpAddr>().ok()
    });
    addresses.filter(|address| rules(*address).iter().all(|rule| in_place(table, rule))).collect()
}

/// As `iptables -S` shows them.
pub(super) fn rules(address: IpAddr) -> [String; 2] {
    let (bits, how) =
        if address.is_ipv4() { (32, "icmp-admin-prohibited") } else { (128, "icmp6-adm-prohibited") };
    let mark = format!("-m comment --comment {FENCE_TAG}");
    [
        format!("INPUT -s {address}/{bits} {mark} -j DROP"),
        format!("OUTPUT -d {address}/{bits} {mark} -j REJECT --reject-with {how}"),
    ]
}

/// Does only a fence stand before it in its chain?
fn in_place(table: &Table, rule: &str) -> bool {
    let rule = words(rule);
    let chain = table.rules.iter().filter(|there| there.first() == rule.first());
    chain.take_while(|there| iptables::is_fence(there)).any(|there| *there == rule)
}

async fn remove(
    family: &Family,
    address: IpAddr,
    deadline: Instant,
    report: &mut FirewallReport,
) -> Result<bool, Failure> {
    let table = table(family, deadline).await?;
    let mut removed = false;
    for rule in rules(address) {
        for _ in table.rules.iter().filter(|there| **there == words(&rule)) {
            change(family, "-D", &rule, deadline, report).await?;
            removed = true;
        }
    }
    Ok(removed)
}

async fn change(
    family: &Family,
    verb: &str,
    rule: &str,
    deadline: Instant,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let mut args = WAIT.to_vec();
    args.push(verb);
    args.extend(rule.split(' '));
    report.commands.push(command::must("change a fence with", family.command, &args, deadline).await?.shown);
    Ok(())
}

/// What stands now is what stands after a restart: in the boot file of its family, else in our unit.
async fn keep(family: &Family, deadline: Instant, report: &mut FirewallReport) -> Result<(), Failure> {
    let fences: Vec<String> = standing(&table(family, deadline).await?);
    let lines: Vec<String> = fences.iter().map(|rule| format!("-A {rule}")).collect();
    let filed = iptables::edit_boot_file(family, |text| with_fences(text, &lines), report)?;
    if facts::init() != Init::Systemd {
        if filed || fences.is_empty() {
            return Ok(());
        }
        let why =
            format!("nothing restores {} rules at boot, so it would be gone after a restart", family.command);
        return Err(Failure::new("keep", "the fence", Kind::Unsupported, why)
            .hint("install iptables-persistent there, or nftables"));
    }
    let mut commands = Vec::new();
    for family in present().filter(|family| iptables::boot_file(family).is_none()) {
        let program = command::find(family.command).unwrap_or_else(|| family.command.into());
        let standing = standing(&table(family, deadline).await?);
        let add = |rule: &String| format!("{} {} -I {rule}", program.display(), WAIT.join(" "));
        commands.extend(standing.iter().rev().map(add));
    }
    if commands.is_empty() {
        return fence_boot::forget(deadline, report).await;
    }
    fence_boot::remember(&commands, deadline, report).await
}

/// All rules with our mark, in their order.
fn standing(table: &Table) -> Vec<String> {
    let fences = table.rules.iter().filter(|rule| iptables::is_fence(rule));
    fences.map(|rule| rule.join(" ")).collect()
}

/// The boot file with exactly these fences, before all other rules of the filter table.
pub(super) fn with_fences(text: &str, lines: &[String]) -> String {
    let others: String = text
        .lines()
        .filter(|line| !iptables::is_fence(&shlex::split(line).unwrap_or_default()))
        .map(|line| format!("{line}\n"))
        .collect();
    iptables::with_first(&others, lines)
}

fn words(rule: &str) -> Vec<String> {
    rule.split(' ').map(str::to_owned).collect()
}

async fn table(family: &Family, deadline: Instant) -> Result<Table, Failure> {
    let listed = command::run(family.command, &[WAIT[0], WAIT[1], "-S"], deadline).await?;
    let complaint = listed.complaint();
    if !listed.ok() && NO_SUCH_TABLE.iter().any(|words| complaint.contains(words)) {
        return Ok(Table::default());
    }
    Ok(iptables::parse(&listed.success("list the rules with")?.stdout))
}

fn present() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().filter(|family| command::find(family.command).is_some())
}

fn family(address: IpAddr) -> Result<&'static Family, Failure> {
    let wanted = if address.is_ipv4() { "iptables" } else { "ip6tables" };
    present().find(|family| family.command == wanted).ok_or_else(|| {
        let why = format!("there is no {wanted}");
        Failure::new("fence off", address, Kind::Unsupported, why).hint("install nftables on that host")
    })
}

/// A kernel without IPv6, say.
const NO_SUCH_TABLE: [&str; 2] = ["does not exist", "not supported"];
