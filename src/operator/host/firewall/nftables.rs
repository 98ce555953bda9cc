//! Native nftables. An accept in another chain does not undo a drop, so our rules go into the very
//! base chain that drops; and so that they are there after a restart, the file that the host loads
//! at boot includes a file of ours that inserts them again.
//!
//! It reads `nft -a list ruleset` and understands the matches that decide the fate of a new TCP
//! connection; what it does not understand counts as "perhaps", never as "no".

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::matching::Asked;
use super::nft_rules::{Chain, Packet, Ruleset};
use super::nft_text;
use super::records::{FirewallReport, Verdict};
use super::scope::{self, FENCE_TABLE, Scope, TAG};
use crate::formats::opening::Opening;
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{PutFile, durable, paths, put};
use crate::operator::host::machine::{Init, command, facts};

/// A ruleset with at least one chain on the input hook that filters.
pub(crate) struct State {
    ruleset: Ruleset,
}

pub(crate) async fn look(deadline: Instant) -> Result<Option<State>, Failure> {
    if command::find(COMMAND).is_none() {
        return Ok(None);
    }
    let output = command::run(COMMAND, &["-a", "list", "ruleset"], deadline).await?;
    if !output.ok() && output.complaint().contains("Operation not permitted") {
        return Err(Failure::new(
            "read the rules of",
            "nftables",
            Kind::PermissionDenied,
            "only root may see them",
        ));
    }
    let mut ruleset = nft_text::parse(&output.success("list the rules with")?.stdout);
    if command::find("iptables").is_some() {
        // Tables that iptables keeps in nftables are changed by iptables only.
        ruleset.tables.retain(|table| !table.of_iptables());
    }
    ruleset.tables.retain(|table| table.name != FENCE_TABLE);
    let state = State { ruleset };
    Ok((!state.chains().is_empty()).then_some(state))
}

impl State {
    /// `inet filter input`, of those that can refuse anything.
    pub(crate) fn chains(&self) -> Vec<String> {
        let all = self.ruleset.input_chains(None);
        all.filter(|(_, chain)| self.ruleset.filters(chain))
            .map(|(table, chain)| chain.place(table))
            .collect()
    }

    pub(crate) fn verdict(&self, asked: &Asked, interface: Option<&str>) -> Verdict {
        let packet = Packet::of(asked, interface);
        let each = self
            .ruleset
            .input_chains(packet.from)
            .map(|(table, chain)| self.ruleset.verdict(table, chain, packet));
        each.fold(Verdict::open(), Verdict::and)
    }

    /// Ours on these ports.
    pub(crate) fn ours(&self, ports: &[u16]) -> Vec<Opening> {
        let chains = self.ruleset.input_chains(None);
        let all = chains.flat_map(|(_, chain)| our_rules(chain)).map(|(opening, _)| opening);
        all.filter(|opening| ports.contains(&opening.port)).collect()
    }
}

pub(crate) async fn open(
    state: &State,
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let interface = scope.interface.as_deref();
    for opening in openings {
        let packet = Packet::of(&Asked::alone(*opening), interface);
        for (table, chain) in state.ruleset.input_chains(opening.from) {
            let Verdict::Blocked { by } = state.ruleset.verdict(table, chain, packet) else { continue };
            scope::need_root("open a port in", "nftables")?;
            if state.ruleset.forbids_by_name(table, chain, packet) {
                return Err(Failure::new("open the port", opening, Kind::Foreign, by)
                    .hint("somebody forbids it on purpose: remove that rule first"));
            }
            let place = chain.place(table);
            let rule = our_rule(opening);
            let mut args: Vec<&str> = vec!["insert", "rule"];
            args.extend(place.split(' ').chain(rule.split(' ')));
            let output = command::must("open a port with", COMMAND, &args, scope.deadline).await?;
            report.commands.push(output.shown);
            report.done.push(format!("opened {} in nftables chain {place}", scope::listed(&[*opening])));
        }
    }
    persist(scope, report).await
}

pub(crate) async fn close(
    state: &State,
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    for (table, chain) in state.ruleset.input_chains(None) {
        for (opening, handle) in our_rules(chain).filter(|(opening, _)| openings.contains(opening)) {
            let (place, handle) = (chain.place(table), handle.to_string());
            let mut args = vec!["delete", "rule"];
            args.extend(place.split(' ').chain(["handle", &handle]));
            let output = command::must("close a port with", COMMAND, &args, scope.deadline).await?;
            report.commands.push(output.shown);
            report.done.push(format!("closed {} in nftables chain {place}", scope::listed(&[opening])));
        }
    }
    persist(scope, report).await
}

/// The rule as nft wants it typed; also what is written to our file.
fn our_rule(opening: &Opening) -> String {
    let source = opening.from.map_or_else(String::new, |from| {
        let family = if from.is_ipv4() { "ip" } else { "ip6" };
        format!("{family} saddr {from} ")
    });
    format!("{source}tcp dport {} accept comment \"{TAG}\"", opening.port)
}

/// Our rules of a chain, with their handles.
fn our_rules(chain: &Chain) -> impl Iterator<Item = (Opening, u64)> {
    chain.rules.iter().filter_map(|rule| Some((rule.opening_of_ours()?, rule.handle?)))
}

/// What our file must say so that a restart brings back the rules as they are now. Sorted: each
/// restart turns the order of inserted rules round, which means nothing.
pub(crate) fn our_file(ruleset: &Ruleset) -> String {
    let chains = ruleset.input_chains(None);
    let mut rules: Vec<(String, Opening)> = chains
        .flat_map(|(table, chain)| our_rules(chain).map(move |(opening, _)| (chain.place(table), opening)))
        .collect();
    rules.sort();
    rules.dedup();
    let head = "# Managed by zkops: ports of a ZooKeeper ensemble, inserted where they would be dropped.\n";
    let lines = rules.iter().map(|(place, opening)| format!("insert rule {place} {}\n", our_rule(opening)));
    std::iter::once(head.to_string()).chain(lines).collect()
}

/// Writes our file and sees to it that it is loaded at boot.
async fn persist(scope: &Scope, report: &mut FirewallReport) -> Result<(), Failure> {
    let output =
        command::must("list the rules with", COMMAND, &["-a", "list", "ruleset"], scope.deadline).await?;
    let text = our_file(&nft_text::parse(&output.stdout));
    let any = text.lines().any(|line| line.starts_with("insert"));
    let path = Path::new(OUR_FILE);
    if !any {
        if path.exists() {
            std::fs::remove_file(path).at("remove", path)?;
            durable::sync_dir(paths::parent(path)?)?;
            report.done.push(format!("removed {OUR_FILE}"));
        }
        return exclude_when_nothing_is_left(scope.deadline, report).await;
    }
    if put::put(PutFile::ours(OUR_FILE, text.as_str()))?.changed {
        report.done.push(format!("wrote {OUR_FILE}"));
    }
    let Some(boot) = boot_file(scope.deadline).await else {
        report.survives_reboot = false;
        report.notes.push(
            "no file that loads nftables rules at boot was found: the rules are gone after a restart".into(),
        );
        return Ok(());
    };
    match include(&boot, scope.deadline).await {
        Ok(true) => report.done.push(format!("{} includes {OUR_FILE}", boot.display())),
        Ok(false) => {}
        Err(failure) => {
            report.survives_reboot = false;
            report.notes.push(format!("the rules are gone after a restart: {failure}"));
            return Ok(());
        }
    }
    if !loaded_at_boot(scope.deadline).await {
        report.survives_reboot = false;
        report.notes.push(format!(
            "nftables.service is not enabled, so nothing is known to load {} at boot: `systemctl enable nftables`",
            boot.display()
        ));
    }
    Ok(())
}

/// Has the boot file include our files; false when nothing is known to load one at boot.
pub(super) async fn include_ours(deadline: Instant, report: &mut FirewallReport) -> Result<bool, Failure> {
    let Some(boot) = boot_file(deadline).await else { return Ok(false) };
    if !loaded_at_boot(deadline).await {
        return Ok(false);
    }
    if include(&boot, deadline).await? {
        report.done.push(format!("{} includes our files", boot.display()));
    }
    Ok(true)
}

/// Takes our line out of the boot file when there is no file of ours any more.
pub(super) async fn exclude_when_nothing_is_left(
    deadline: Instant,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let ours = |name: &str| name.starts_with("zkops") && name.ends_with(".nft");
    let left = std::fs::read_dir(OUR_DIR).into_iter().flatten().flatten();
    if left.into_iter().any(|entry| entry.file_name().to_str().is_some_and(ours)) {
        return Ok(());
    }
    match boot_file(deadline).await {
        Some(boot) => exclude(&boot, report),
        None => Ok(()),
    }
}

/// The file that the nftables service loads: as its unit says, else the first usual one.
async fn boot_file(deadline: Instant) -> Option<PathBuf> {
    let unit = match command::run("systemctl", &["cat", "nftables.service"], deadline).await {
        Ok(output) if output.ok() => output.stdout,
        _ => String::new(),
    };
    boot_file_of_unit(&unit)
        .into_iter()
        .chain(BOOT_FILES.iter().map(PathBuf::from))
        .find(|path| path.is_file())
}

/// The path in `ExecStart=/usr/sbin/nft -f /etc/nftables.conf`.
pub(crate) fn boot_file_of_unit(unit: &str) -> Option<PathBuf> {
    let start = unit.lines().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
    let words: Vec<&str> = start.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
    let at = words.iter().position(|word| *word == "-f")?;
    words.get(at + 1).filter(|path| path.starts_with('/')).map(PathBuf::from)
}

async fn loaded_at_boot(deadline: Instant) -> bool {
    if facts::init() != Init::Systemd {
        // Whatever loads the file there (an init script), it is the distribution's boot file.
        return true;
    }
    let asked = command::run("systemctl", &["is-enabled", "nftables.service"], deadline).await;
    asked.is_ok_and(|output| output.stdout.trim() == "enabled")
}

/// Appends our include to the boot file, after nft has found nothing wrong with the whole; false
/// when it is there.
async fn include(boot: &Path, deadline: Instant) -> Result<bool, Failure> {
    let boot = std::fs::canonicalize(boot).at("find", boot)?;
    let text = std::fs::read_to_string(&boot).at("read", &boot)?;
    if includes_us(&text) {
        return Ok(false);
    }
    let text = with_include(&text);
    let trial = paths::parent(&boot)?.join(format!(".zkops-check.{}.nft", std::process::id()));
    durable::replace(&trial, text.as_bytes(), 0o600, None)?;
    let shown = trial.display().to_string();
    let checked = command::must("check the rules with", COMMAND, &["-c", "-f", &shown], deadline).await;
    std::fs::remove_file(&trial).at("remove", &trial)?;
    checked?;
    rewrite(&boot, &text)?;
    Ok(true)
}

/// Takes our include out of the boot file again.
fn exclude(boot: &Path, report: &mut FirewallReport) -> Result<(), Failure> {
    let boot = std::fs::canonicalize(boot).at("find", boot)?;
    let text = std::fs::read_to_string(&boot).at("read", &boot)?;
    let without = without_include(&text);
    if without != text {
        rewrite(&boot, &without)?;
        report.done.push(format!("took our line out of {}", boot.display()));
    }
    Ok(())
}

/// Somebody else's file keeps its mode and owner.
fn rewrite(path: &Path, text: &str) -> Result<(), Failure> {
    let metadata = std::fs::metadata(path).at("look at", path)?;
    let owner = Some((metadata.uid(), metadata.gid()));
    durable::replace(path, text.as_bytes(), metadata.mode() & 0o7777, owner)
}

pub(crate) fn with_include(text: &str) -> String {
    let newline = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    format!("{text}{newline}{INCLUDE_NOTE}\n{INCLUDE}\n")
}

pub(crate) fn without_include(text: &str) -> String {
    let ours = |line: &&str| [INCLUDE_NOTE, INCLUDE].contains(line);
    text.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n")).collect()
}

/// Does a boot file include our file, by our line or by a pattern of its own?
pub(crate) fn includes_us(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| {
        let Some(pattern) = line.strip_prefix("include").map(|rest| rest.trim().trim_matches(['"', '\'']))
        else {
            return false;
        };
        match pattern.split_once('*') {
            Some((head, tail)) => OUR_FILE.starts_with(head) && OUR_FILE.ends_with(tail),
            None => pattern == OUR_FILE,
        }
    })
}

const COMMAND: &str = "nft";
/// Where our files are.
const OUR_DIR: &str = "/etc/nftables.d";
/// Included by the boot file; rewritten whenever our rules change.
const OUR_FILE: &str = "/etc/nftables.d/zkops.nft";
/// A pattern: nft does not mind when nothing matches it, as after `destroy`.
const INCLUDE: &str = "include \"/etc/nftables.d/zkops*.nft\"";
const INCLUDE_NOTE: &str = "# zkops: keeps the ports of a ZooKeeper ensemble open";
/// Where distributions keep what is loaded at boot: Debian and Arch, Red Hat, Alpine.
const BOOT_FILES: [&str; 3] = ["/etc/nftables.conf", "/etc/sysconfig/nftables.conf", "/etc/nftables.nft"];
