//! iptables and ip6tables: our accept goes to the head of INPUT with a comment, and as one line
//! into the file that the host restores at boot. The running rules are not dumped into that file:
//! they may hold what others (fail2ban, docker) add at run time.

use std::path::Path;

use tokio::time::Instant;

use super::matching::{Asked, JUMPS_MAX, Matches, Walk, comes_from, covers};
use super::records::{FirewallReport, Verdict};
use super::scope::{self, FENCE_TAG, Scope, TAG};
use crate::formats::opening::Opening;
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::durable;
use crate::operator::host::machine::command;

/// IPv4 or IPv6: the program, and the files that are restored at boot (Debian's
/// netfilter-persistent, Red Hat's iptables-services, Alpine).
pub(super) struct Family {
    pub(super) command: &'static str,
    boot_files: &'static [&'static str],
}

/// The filter tables, of which at least one filters.
pub(crate) struct State {
    tables: Vec<(&'static Family, Table)>,
}

/// `iptables -S`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// Of INPUT: "ACCEPT" or "DROP".
    pub(crate) policy: String,
    /// The words of each `-A`, without it: the chain's name first.
    pub(crate) rules: Vec<Vec<String>>,
}

pub(crate) async fn look(deadline: Instant) -> Result<Option<State>, Failure> {
    let mut tables = Vec::new();
    for family in &FAMILIES {
        if command::find(family.command).is_none() {
            continue;
        }
        let output = command::run(family.command, &[WAIT[0], WAIT[1], "-S"], deadline).await?;
        let complaint = output.complaint();
        if !output.ok() && (complaint.contains("Permission denied") || complaint.contains("not permitted")) {
            let why = "only root may see them";
            return Err(Failure::new("read the rules of", "iptables", Kind::PermissionDenied, why));
        }
        // No such table: a kernel without it, or without IPv6.
        if output.ok() {
            tables.push((family, parse(&output.stdout)));
        }
    }
    let any = tables.iter().any(|(_, table)| table.filters());
    Ok(any.then_some(State { tables }))
}

/// Parses `iptables -S`.
pub(crate) fn parse(text: &str) -> Table {
    let mut table = Table { policy: "ACCEPT".into(), rules: Vec::new() };
    for line in text.lines() {
        let words = shlex::split(line).unwrap_or_default();
        match words.first().map(String::as_str) {
            Some("-P") if words.get(1).is_some_and(|chain| chain == "INPUT") => {
                table.policy = words.get(2).cloned().unwrap_or_default();
            }
            Some("-A") => table.rules.push(words[1..].to_vec()),
            _ => {}
        }
    }
    table
}

impl State {
    pub(crate) fn verdict(&self, asked: &Asked, interface: Option<&str>) -> Verdict {
        let passed = self.passed(&asked.opening);
        let each = passed.map(|(family, table)| table.verdict(family.command, asked, interface));
        each.fold(Verdict::open(), Verdict::and)
    }

    /// Ours on these ports.
    pub(crate) fn ours(&self, ports: &[u16]) -> Vec<Opening> {
        let all = self.tables.iter().flat_map(|(_, table)| table.ours());
        let mut ours: Vec<Opening> = all.filter(|opening| ports.contains(&opening.port)).collect();
        ours.sort_unstable();
        ours.dedup();
        ours
    }

    /// The tables that a packet passes: one family's, where the source tells which.
    fn passed(&self, opening: &Opening) -> impl Iterator<Item = &(&'static Family, Table)> {
        self.tables.iter().filter(move |(family, _)| family.is_of(opening))
    }
}

impl Family {
    fn is_of(&self, opening: &Opening) -> bool {
        opening.from.is_none_or(|from| from.is_ipv4() == (self.command == "iptables"))
    }
}

impl Table {
    /// Can INPUT refuse anything?
    pub(crate) fn filters(&self) -> bool {
        let harmless = ["ACCEPT", "RETURN", "LOG", "MARK", "NFLOG"];
        let target = |rule: &Vec<String>| option(rule, "-j").or(option(rule, "-g")).map(str::to_string);
        let refuses = |rule: &Vec<String>| target(rule).is_some_and(|to| !harmless.contains(&to.as_str()));
        self.policy != "ACCEPT" || self.chain("INPUT").any(refuses)
    }

    pub(crate) fn verdict(&self, command: &str, asked: &Asked, interface: Option<&str>) -> Verdict {
        let mut limited = None;
        let by = match self.walk("INPUT", asked, interface, 0, &mut limited) {
            Walk::Accepted(rule) => return Verdict::Open { by: format!("{command} {rule}") },
            Walk::Dropped(rule) => format!("{command} {rule}"),
            Walk::FellThrough if self.policy == "ACCEPT" => return Verdict::open(),
            Walk::FellThrough => format!("{command} INPUT: policy {}, and no rule accepts it", self.policy),
        };
        match limited {
            Some(by) => Verdict::Limited { by: format!("{command} {by}") },
            None => Verdict::Blocked { by },
        }
    }

    fn chain<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Vec<String>> {
        self.rules.iter().filter(move |rule| rule.first().is_some_and(|chain| chain == name))
    }

    fn walk(
        &self,
        name: &str,
        asked: &Asked,
        interface: Option<&str>,
        depth: usize,
        limited: &mut Option<String>,
    ) -> Walk {
        for rule in self.chain(name) {
            let (matches, names_port) = matches(rule, &asked.opening, interface);
            // Ours let in few where few were asked for: that is nobody's limit.
            let passed_over = match opening_of_ours(rule) {
                Some(ours) => asked.ignores(&ours) || matches == Matches::Perhaps,
                None => false,
            };
            if matches == Matches::No || passed_over {
                continue;
            }
            let shown = || format!("-A {}", rule.join(" "));
            let goto = option(rule, "-g");
            let target = option(rule, "-j").or(goto).unwrap_or_default();
            let walked = match target {
                "ACCEPT" => Walk::Accepted(shown()),
                "DROP" | "REJECT" => Walk::Dropped(shown()),
                "RETURN" if matches == Matches::Yes => return Walk::FellThrough,
                chain if depth < JUMPS_MAX && self.chain(chain).next().is_some() => {
                    self.walk(chain, asked, interface, depth + 1, limited)
                }
                _ => Walk::FellThrough,
            };
            match walked {
                Walk::FellThrough if goto.is_some() && matches == Matches::Yes => return Walk::FellThrough,
                Walk::FellThrough => {}
                decided if matches == Matches::Yes => return decided,
                Walk::Accepted(_) if names_port => {
                    limited.get_or_insert_with(shown);
                }
                Walk::Accepted(_) | Walk::Dropped(_) => {}
            }
        }
        Walk::FellThrough
    }

    /// The openings that carry our mark.
    fn ours(&self) -> impl Iterator<Item = Opening> {
        self.chain("INPUT").filter_map(|rule| opening_of_ours(rule))
    }

    /// A rule about this very port that refuses it, whoever of those asks.
    fn forbidding(&self, opening: &Opening) -> Option<String> {
        let refuses = |rule: &&Vec<String>| {
            matches!(option(rule, "-j"), Some("DROP" | "REJECT"))
                && option(rule, "--dport").is_some_and(|spec| spec == opening.port.to_string())
                && matches(rule, opening, None).0 == Matches::Yes
        };
        self.chain("INPUT").find(refuses).map(|rule| format!("-A {}", rule.join(" ")))
    }
}

/// Does a rule apply to a new TCP connection from another host to this port; and does it name the
/// port?
fn matches(rule: &[String], opening: &Opening, interface: Option<&str>) -> (Matches, bool) {
    let Opening { port, from } = *opening;
    let (mut all, mut names_port) = (Matches::Yes, false);
    let mut words = rule.iter().skip(1).map(String::as_str);
    let mut negate = false;
    while let Some(word) = words.next() {
        if word == "!" {
            negate = true;
            continue;
        }
        let one = match word {
            "-p" => Matches::when(matches!(words.next(), Some("tcp" | "6" | "all"))),
            "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
                let hit = covers(words.next().unwrap_or_default(), port);
                names_port |= hit && !negate;
                Matches::when(hit)
            }
            "-s" | "--source" => comes_from(words.next().unwrap_or_default(), from),
            "-i" => match (words.next().unwrap_or_default(), interface) {
                // The packet comes from another host.
                ("lo", _) => Matches::No,
                (name, Some(interface)) => match name.strip_suffix('+') {
                    Some(head) => Matches::when(interface.starts_with(head)),
                    None => Matches::when(interface == name),
                },
                (_, None) => Matches::Perhaps,
            },
            "--ctstate" | "--state" => {
                Matches::when(words.next().unwrap_or_default().split(',').any(|state| state == "NEW"))
            }
            "--comment" | "--log-prefix" | "--log-level" => {
                words.next();
                Matches::Yes
            }
            "-m" => {
                let _ = words.next();
                Matches::Yes
            }
            // What follows belongs to the verdict.
            "-j" | "-g" => break,
            // Sources, limits, marks, flags: may hold or not.
            _ if word.starts_with('-') => Matches::Perhaps,
            _ => continue,
        };
        all = all.min(if negate { one.negate() } else { one });
        negate = false;
    }
    (all, names_port)
}

pub(crate) async fn open(
    state: &State,
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    for (family, table) in &state.tables {
        // Behind the fences: whom they hold off, no opening lets in.
        let place = (table.chain("INPUT").take_while(|rule| is_fence(rule)).count() + 1).to_string();
        for opening in openings.iter().filter(|opening| family.is_of(opening)) {
            let verdict = table.verdict(family.command, &Asked::alone(*opening), scope.interface.as_deref());
            let Verdict::Blocked { .. } = verdict else { continue };
            scope::need_root("open a port in", family.command)?;
            if let Some(rule) = table.forbidding(opening) {
                return Err(Failure::new("open the port", opening, Kind::Foreign, rule)
                    .hint("somebody forbids it on purpose: remove that rule first"));
            }
            let rule = our_rule(opening);
            let mut args: Vec<&str> = WAIT.to_vec();
            args.extend(["-I", "INPUT", &place].into_iter().chain(rule.split(' ')));
            let output = command::must("open a port with", family.command, &args, scope.deadline).await?;
            report.commands.push(output.shown);
            report.done.push(format!("opened {} in {}", scope::listed(&[*opening]), family.command));
        }
        let text =
            command::must("list the rules with", family.command, &[WAIT[0], WAIT[1], "-S"], scope.deadline);
        let now: Vec<Opening> = parse(&text.await?.stdout).ours().collect();
        let ours: Vec<Opening> = openings.iter().copied().filter(|one| now.contains(one)).collect();
        persist(family, |text| with_ours(text, &ours), !ours.is_empty(), report)?;
    }
    Ok(())
}

pub(crate) async fn close(
    state: &State,
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    for (family, table) in &state.tables {
        for opening in table.ours().filter(|opening| openings.contains(opening)) {
            let rule = our_rule(&opening);
            let mut args: Vec<&str> = WAIT.to_vec();
            args.extend(["-D", "INPUT"].into_iter().chain(rule.split(' ')));
            let output = command::must("close a port with", family.command, &args, scope.deadline).await?;
            report.commands.push(output.shown);
            report.done.push(format!("closed {} in {}", scope::listed(&[opening]), family.command));
        }
        persist(family, |text| without_ours(text, openings), false, report)?;
    }
    Ok(())
}

/// The rule's words, as `iptables -S` shows them again.
fn our_rule(opening: &Opening) -> String {
    let source = opening.from.map_or_else(String::new, |from| format!("-s {} ", from.in_full()));
    format!("{source}-p tcp -m tcp --dport {} -m comment --comment {TAG} -j ACCEPT", opening.port)
}

/// The boot file with our rules before all others of INPUT in the filter table.
pub(crate) fn with_ours(text: &str, openings: &[Opening]) -> String {
    let wanted: Vec<String> = openings.iter().map(|one| format!("-A INPUT {}", our_rule(one))).collect();
    with_first(text, &wanted)
}

/// The boot file with these lines before all others of the filter table, but for fences.
pub(super) fn with_first(text: &str, lines: &[String]) -> String {
    let missing: Vec<&String> =
        lines.iter().filter(|rule| !text.lines().any(|line| line == **rule)).collect();
    let (mut out, mut in_filter, mut placed) = (String::new(), false, missing.is_empty());
    for line in text.lines() {
        if let Some(table) = line.strip_prefix('*') {
            in_filter = table.trim() == "filter";
        }
        let rule = line.starts_with("-A ") && !is_fence(&shlex::split(line).unwrap_or_default());
        if in_filter && !placed && (rule || line.trim() == "COMMIT") {
            missing.iter().for_each(|rule| out.push_str(&format!("{rule}\n")));
            placed = true;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// One of the two rules of a fence.
pub(super) fn is_fence(rule: &[String]) -> bool {
    option(rule, "--comment") == Some(FENCE_TAG)
}

pub(crate) fn without_ours(text: &str, openings: &[Opening]) -> String {
    let ours: Vec<String> = openings.iter().map(|one| format!("-A INPUT {}", our_rule(one))).collect();
    text.lines()
        .filter(|line| !ours.iter().any(|rule| rule == line))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Edits the file that is restored at boot. `needed`: without such a file the rules are lost.
fn persist(
    family: &Family,
    edit: impl Fn(&str) -> String,
    needed: bool,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    if !edit_boot_file(family, edit, report)? && needed {
        report.survives_reboot = false;
        report.notes.push(format!(
            "nothing restores {} rules at boot: install iptables-persistent (Debian) or iptables-services (Red Hat)",
            family.command
        ));
    }
    Ok(())
}

/// False: there is no such file.
pub(super) fn edit_boot_file(
    family: &Family,
    edit: impl Fn(&str) -> String,
    report: &mut FirewallReport,
) -> Result<bool, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let Some(path) = boot_file(family) else { return Ok(false) };
    let text = std::fs::read_to_string(path).at("read", path)?;
    let edited = edit(&text);
    if edited.lines().eq(text.lines()) {
        scope::sync_file(path)?;
        return Ok(true);
    }
    let metadata = std::fs::metadata(path).at("look at", path)?;
    let owner = Some((metadata.uid(), metadata.gid()));
    durable::replace(path, edited.as_bytes(), metadata.mode() & 0o7777, owner)?;
    report.done.push(format!("changed {}", path.display()));
    Ok(true)
}

/// The file that the host restores this family's rules from at boot.
pub(super) fn boot_file(family: &Family) -> Option<&'static Path> {
    family.boot_files.iter().map(Path::new).find(|path| path.is_file())
}

fn opening_of_ours(rule: &[String]) -> Option<Opening> {
    option(rule, "--comment").filter(|comment| *comment == TAG)?;
    let from = option(rule, "-s").map(str::parse).transpose().ok()?;
    Some(Opening { port: option(rule, "--dport")?.parse().ok()?, from })
}

/// The word after an option.
fn option<'a>(rule: &'a [String], name: &str) -> Option<&'a str> {
    let at = rule.iter().position(|word| word == name)?;
    rule.get(at + 1).map(String::as_str)
}

/// Waits for another iptables that holds the lock.
pub(super) const WAIT: [&str; 2] = ["-w", "10"];
pub(super) const FAMILIES: [Family; 2] = [
    Family {
        command: "iptables",
        boot_files: &["/etc/iptables/rules.v4", "/etc/sysconfig/iptables", "/etc/iptables/rules-save"],
    },
    Family {
        command: "ip6tables",
        boot_files: &["/etc/iptables/rules.v6", "/etc/sysconfig/ip6tables", "/etc/iptables/rules6-save"],
    },
];
