//! Fences by nftables: a table of our own with a chain on each hook. firewalld, ufw and iptables leave
//! it alone; a `flush ruleset` does not, so the file that the host loads at boot includes it, and a
//! unit of its own loads it where nothing loads that file.

use std::net::IpAddr;
use std::path::Path;

use tokio::time::Instant;

use super::records::FirewallReport;
use super::scope::FENCE_TABLE;
use super::{fence_boot, nftables};
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{PutFile, durable, paths, put};
use crate::operator::host::machine::{Init, command, facts};

pub(super) async fn fence(
    address: IpAddr,
    deadline: Instant,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let live = in_force(deadline).await?;
    let mut wanted = live.clone();
    // What a flush took away meanwhile comes back, too.
    wanted.extend(parse(&std::fs::read_to_string(FILE).unwrap_or_default()));
    wanted.push(address);
    sort(&mut wanted);
    if put::put(PutFile::ours(FILE, text(&wanted).as_str()))?.changed {
        report.done.push(format!("wrote {FILE}"));
    }
    if wanted != live {
        let loaded = load(deadline, report).await;
        if loaded.is_err() {
            undo(&live)?;
        }
        loaded?;
        report.done.push(format!("{address} is fenced off by nftables, in both directions"));
    }
    let kept = keep(deadline, report).await;
    if kept.is_err() && !live.contains(&address) {
        // A fence that a restart forgets would be believed in for longer than it lasts.
        undo(&live)?;
        if live.is_empty() {
            remove_table(deadline, report).await?;
        } else {
            load(deadline, report).await?;
        }
    }
    kept
}

pub(super) async fn unfence(
    address: IpAddr,
    deadline: Instant,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let live = in_force(deadline).await?;
    let filed = parse(&std::fs::read_to_string(FILE).unwrap_or_default());
    if !live.contains(&address) && !filed.contains(&address) {
        return Ok(());
    }
    let mut wanted = [live, filed].concat();
    wanted.retain(|other| *other != address);
    sort(&mut wanted);
    undo(&wanted)?;
    if wanted.is_empty() {
        remove_table(deadline, report).await?;
        fence_boot::forget(deadline, report).await?;
        nftables::exclude_when_nothing_is_left(deadline, report).await?;
    } else {
        load(deadline, report).await?;
    }
    report.done.push(format!("the fence of {address} is gone from nftables"));
    Ok(())
}

/// Addresses that both chains block.
///
/// # Errors
/// When nft does not say: a table that is not there is an answer.
pub(super) async fn in_force(deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
    let listed = command::run(COMMAND, &["list", "table", "inet", FENCE_TABLE], deadline).await?;
    if !listed.ok() && listed.complaint().contains("No such file or directory") {
        return Ok(Vec::new());
    }
    Ok(parse(&listed.success("list the fences with")?.stdout))
}

/// The whole file: loaded twice it means the same.
pub(super) fn text(fenced: &[IpAddr]) -> String {
    let family = |address: &IpAddr| if address.is_ipv4() { "ip" } else { "ip6" };
    let rule = |direction: &str, verdict: &str| -> String {
        fenced
            .iter()
            .map(|address| format!("\t\t{} {direction} {address} {verdict}\n", family(address)))
            .collect()
    };
    format!(
        "# Managed by zkops: addresses that nothing goes to or comes from, because a server there could not be stopped.\n\
         table inet {FENCE_TABLE}\ndelete table inet {FENCE_TABLE}\ntable inet {FENCE_TABLE} {{\n\
         \tchain input {{\n\t\ttype filter hook input priority -10; policy accept;\n{}\t}}\n\
         \tchain output {{\n\t\ttype filter hook output priority -10; policy accept;\n{}\t}}\n}}\n",
        rule("saddr", "drop"),
        rule("daddr", "reject with icmpx type admin-prohibited"),
    )
}

/// The addresses that a listing or a file blocks in both directions.
pub(super) fn parse(text: &str) -> Vec<IpAddr> {
    let blocked = |direction: &str, verdict: &str| -> Vec<IpAddr> {
        let addresses = text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["ip" | "ip6", word, address, does, ..] if *word == direction && *does == verdict => {
                    address.parse().ok()
                }
                _ => None,
            }
        });
        addresses.collect()
    };
    let (from, mut both) = (blocked("saddr", "drop"), blocked("daddr", "reject"));
    both.retain(|address| from.contains(address));
    sort(&mut both);
    both
}

async fn load(deadline: Instant, report: &mut FirewallReport) -> Result<(), Failure> {
    let loaded = command::must("load the fences with", COMMAND, &["-f", FILE], deadline).await?;
    report.commands.push(loaded.shown);
    Ok(())
}

/// The file as it should be when `fenced` is all there is.
fn undo(fenced: &[IpAddr]) -> Result<(), Failure> {
    if !fenced.is_empty() {
        return put::put(PutFile::ours(FILE, text(fenced).as_str())).map(drop);
    }
    let path = Path::new(FILE);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.at("remove", path).and_then(|()| durable::sync_dir(paths::parent(path)?)),
    }
}

async fn remove_table(deadline: Instant, report: &mut FirewallReport) -> Result<(), Failure> {
    if command::run(COMMAND, &["list", "table", "inet", FENCE_TABLE], deadline).await?.ok() {
        let args = ["delete", "table", "inet", FENCE_TABLE];
        let deleted = command::must("remove the fences with", COMMAND, &args, deadline).await?;
        report.commands.push(deleted.shown);
    }
    Ok(())
}

/// Sees to it that the fences are there after a restart of the host, and of its nftables.
async fn keep(deadline: Instant, report: &mut FirewallReport) -> Result<(), Failure> {
    let included = nftables::include_ours(deadline, report).await?;
    if facts::init() == Init::Systemd {
        let nft = command::find(COMMAND).unwrap_or_else(|| COMMAND.into());
        let start = [format!("{} -f {FILE}", nft.display())];
        return fence_boot::remember(&start, deadline, report).await;
    }
    if included {
        return Ok(());
    }
    let why = "nothing here loads nftables rules at boot, so it would be gone after a restart";
    Err(Failure::new("keep", "the fence", Kind::Unsupported, why)
        .hint("have the host load /etc/nftables.conf at boot"))
}

fn sort(addresses: &mut Vec<IpAddr>) {
    addresses.sort_unstable();
    addresses.dedup();
}

pub(super) const COMMAND: &str = "nft";
/// The include of our ports' file takes it in, too.
const FILE: &str = "/etc/nftables.d/zkops-fence.nft";
