//! ufw: `ufw allow PORT/tcp` with our comment, which ufw itself makes permanent at once. The
//! first rule that matches decides, so a rule of somebody else's about our port is respected.

use std::path::Path;

use tokio::time::Instant;

use super::matching::{Asked, Matches, comes_from, covers};
use super::records::{FirewallReport, Verdict};
use super::scope::{self, Scope, TAG};
use crate::formats::opening::Opening;
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::machine::command;

/// `ufw status verbose` of an active firewall.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// "deny", "reject" or "allow".
    default_incoming: String,
    rules: Vec<Rule>,
}

/// One line about incoming traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// `2181/tcp`, `2181,2888/tcp`, `10.0.0.11 2181/tcp`, `Anywhere`, `OpenSSH`.
    pub(crate) to: String,
    pub(crate) action: String,
    pub(crate) from: String,
    /// Of those that ufw shows once for each family, the one about IPv6.
    pub(crate) v6: bool,
    pub(crate) comment: Option<String>,
}

pub(crate) async fn look(deadline: Instant, evidence: &mut Vec<String>) -> Result<Option<State>, Failure> {
    if command::find(COMMAND).is_none() {
        return Ok(None);
    }
    if !rustix::process::geteuid().is_root() {
        let enabled = std::fs::read_to_string("/etc/ufw/ufw.conf")
            .is_ok_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes"));
        if enabled {
            return Err(Failure::new(
                "read the rules of",
                "ufw",
                Kind::PermissionDenied,
                "only root may see them",
            ));
        }
        return Ok(None);
    }
    let output = command::must("ask ufw with", COMMAND, &["status", "verbose"], deadline).await?;
    let state = parse(&output.stdout);
    evidence.push(match &state {
        Some(state) => format!("ufw is active; incoming by default: {}", state.default_incoming),
        None => "ufw is installed but inactive".to_string(),
    });
    Ok(state)
}

/// `None` when it is inactive.
pub(crate) fn parse(status: &str) -> Option<State> {
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    if value("Status")?.trim() != "active" {
        return None;
    }
    let default_incoming = value("Default")
        .and_then(|line| line.split(',').find(|part| part.contains("(incoming)")))
        .and_then(|part| part.split_whitespace().next())
        .unwrap_or("deny")
        .to_string();
    Some(State { default_incoming, rules: status.lines().filter_map(rule).collect() })
}

/// The columns are padded, but a long first one may be followed by a single blank: the action is
/// found by its name. Outgoing or routed traffic is left out.
fn rule(line: &str) -> Option<Rule> {
    let (at, action) = ACTIONS.iter().find_map(|action| {
        let at = line.find(&format!(" {action} "))?;
        Some((at, *action))
    })?;
    let to = line[..at].trim();
    let rest = line[at + 1 + action.len()..].trim_start();
    let rest = match rest.split_once(char::is_whitespace) {
        Some(("IN", rest)) => rest,
        Some(("OUT" | "FWD", _)) => return None,
        _ => rest,
    };
    let (from, comment) = match rest.split_once('#') {
        Some((from, comment)) => (from, Some(comment.trim().to_string())),
        None => (rest, None),
    };
    let v6 = to.contains("(v6)") || from.contains("(v6)");
    let plain = |text: &str| text.replace("(v6)", "").split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Rule { to: plain(to), action: action.to_string(), from: plain(from), v6, comment })
}

impl Rule {
    /// Named in the rule, or through "Anywhere" meant with everything else.
    fn is_about(&self, port: u16) -> bool {
        let Some(last) = self.to.split(" on ").next().and_then(|to| to.split_whitespace().last()) else {
            return false;
        };
        match last.split_once('/') {
            Some((spec, "tcp")) => covers(spec, port),
            Some(_) => false,
            None => covers(last, port) || last == "Anywhere",
        }
    }

    fn names_a_port(&self) -> bool {
        self.to != "Anywhere"
    }

    fn shown(&self) -> String {
        format!("ufw rule: {} {} from {}", self.to, self.action, self.from)
    }
}

impl State {
    pub(crate) fn verdict(&self, asked: &Asked) -> Verdict {
        let opening = &asked.opening;
        let mut limited = None;
        let v6 = opening.from.is_some_and(|from| !from.is_ipv4());
        let about = |rule: &&Rule| rule.is_about(opening.port) && (rule.v6 == v6 || rule.from != "Anywhere");
        let counts = |rule: &&Rule| !rule.opening_of_ours().is_some_and(|ours| asked.ignores(&ours));
        for rule in self.rules.iter().filter(about).filter(counts) {
            let interface = if rule.to.contains(" on ") { Matches::Perhaps } else { Matches::Yes };
            let source = match rule.from.as_str() {
                "Anywhere" => Matches::Yes,
                from => comes_from(from, opening.from),
            };
            let allows = matches!(rule.action.as_str(), "ALLOW" | "LIMIT");
            match (rule.action.as_str(), interface.min(source)) {
                (_, Matches::No) => {}
                ("ALLOW", Matches::Yes) => return Verdict::Open { by: rule.shown() },
                ("LIMIT", Matches::Yes) => return Verdict::Limited { by: rule.shown() },
                (_, Matches::Yes) => return Verdict::Blocked { by: rule.shown() },
                // Ours let in few where few were asked for: that is nobody's limit.
                (_, Matches::Perhaps) if allows && rule.names_a_port() && !rule.is_ours() => {
                    limited = Some(rule.shown());
                }
                (_, Matches::Perhaps) => {}
            }
        }
        if self.default_incoming == "allow" {
            return Verdict::open();
        }
        match limited {
            Some(by) => Verdict::Limited { by },
            None => Verdict::Blocked {
                by: format!("ufw's default for incoming traffic is {}", self.default_incoming),
            },
        }
    }

    fn forbidding(&self, opening: &Opening) -> Option<&Rule> {
        let explicit = |rule: &&Rule| {
            let source = rule.from == "Anywhere" || comes_from(&rule.from, opening.from) == Matches::Yes;
            rule.is_about(opening.port) && source && rule.names_a_port()
        };
        self.rules.iter().find(explicit).filter(|rule| matches!(rule.action.as_str(), "DENY" | "REJECT"))
    }

    /// Ours on these ports.
    pub(crate) fn ours(&self, ports: &[u16]) -> Vec<Opening> {
        let mut ours: Vec<Opening> = self.rules.iter().filter_map(Rule::opening_of_ours).collect();
        ours.retain(|opening| ports.contains(&opening.port));
        ours.sort_unstable();
        ours.dedup();
        ours
    }
}

impl Rule {
    fn is_ours(&self) -> bool {
        self.comment.as_deref() == Some(TAG)
    }

    fn opening_of_ours(&self) -> Option<Opening> {
        let port = self.to.strip_suffix("/tcp")?.parse().ok().filter(|_| self.is_ours())?;
        let from = if self.from == "Anywhere" { None } else { Some(self.from.parse().ok()?) };
        Some(Opening { port, from })
    }
}

pub(crate) async fn open(
    state: &State,
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    for opening in openings.iter().filter(|opening| state.verdict(&Asked::alone(**opening)).blocked()) {
        scope::need_root("open a port in", "ufw")?;
        if let Some(rule) = state.forbidding(opening) {
            return Err(Failure::new("open the port", opening, Kind::Foreign, rule.shown())
                .hint("somebody forbids it on purpose: remove that rule first (`ufw status numbered`)"));
        }
        let words = [&["allow".to_owned()], &words(opening)[..], &["comment".into(), TAG.into()]].concat();
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = command::must("open a port with", COMMAND, &args, scope.deadline).await?;
        report.commands.push(output.shown);
        report.done.push(format!("opened {} in ufw, permanently", scope::listed(&[*opening])));
    }
    sync()
}

pub(crate) async fn close(
    state: &State,
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let ports: Vec<u16> = openings.iter().map(|opening| opening.port).collect();
    for opening in state.ours(&ports).iter().filter(|opening| openings.contains(opening)) {
        scope::need_root("close a port in", "ufw")?;
        let words = [&["delete".to_owned(), "allow".to_owned()], &words(opening)[..]].concat();
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = command::must("close a port with", COMMAND, &args, scope.deadline).await?;
        report.commands.push(output.shown);
        report.done.push(format!("closed {} in ufw", scope::listed(&[*opening])));
    }
    sync()
}

/// A rule in ufw's words.
fn words(opening: &Opening) -> Vec<String> {
    match opening.from {
        None => vec![format!("{}/tcp", opening.port)],
        Some(from) => format!("proto tcp from {from} to any port {}", opening.port)
            .split(' ')
            .map(str::to_owned)
            .collect(),
    }
}

fn sync() -> Result<(), Failure> {
    RULE_FILES.iter().try_for_each(|path| scope::sync_file(Path::new(path)))
}

const COMMAND: &str = "ufw";
const RULE_FILES: [&str; 2] = ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"];
const ACTIONS: [&str; 4] = ["ALLOW", "DENY", "REJECT", "LIMIT"];
