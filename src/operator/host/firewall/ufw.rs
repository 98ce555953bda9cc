//! ufw: `ufw allow PORT/tcp` with our comment, which ufw itself makes permanent at once. The
//! first rule that matches decides, so a rule of somebody else's about our port is respected.

use std::path::Path;

use tokio::time::Instant;

use super::matching::covers;
use super::records::{FirewallReport, Verdict};
use super::scope::{self, Scope, TAG};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::machine::command;

/// `ufw status verbose` of an active firewall.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// "deny", "reject" or "allow".
    default_incoming: String,
    rules: Vec<Rule>,
}

/// One line about incoming IPv4 traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// `2181/tcp`, `2181,2888/tcp`, `10.0.0.11 2181/tcp`, `Anywhere`, `OpenSSH`.
    pub(crate) to: String,
    pub(crate) action: String,
    pub(crate) from: String,
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
/// found by its name. IPv6 twins and outgoing or routed traffic are left out.
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
    if to.contains("(v6)") || rest.contains("(v6)") {
        return None;
    }
    let (from, comment) = match rest.split_once('#') {
        Some((from, comment)) => (from, Some(comment.trim().to_string())),
        None => (rest, None),
    };
    Some(Rule { to: to.to_string(), action: action.to_string(), from: from.trim().to_string(), comment })
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
    pub(crate) fn verdict(&self, port: u16) -> Verdict {
        let mut limited = None;
        for rule in self.rules.iter().filter(|rule| rule.is_about(port)) {
            let everybody = rule.from == "Anywhere" && !rule.to.contains(" on ");
            match (rule.action.as_str(), everybody) {
                ("ALLOW", true) => return Verdict::Open,
                ("LIMIT", true) => return Verdict::Limited { by: rule.shown() },
                (_, true) => return Verdict::Blocked { by: rule.shown() },
                ("ALLOW" | "LIMIT", false) if rule.names_a_port() => limited = Some(rule.shown()),
                (_, false) => {}
            }
        }
        if self.default_incoming == "allow" {
            return Verdict::Open;
        }
        match limited {
            Some(by) => Verdict::Limited { by },
            None => Verdict::Blocked {
                by: format!("ufw's default for incoming traffic is {}", self.default_incoming),
            },
        }
    }

    fn forbidding(&self, port: u16) -> Option<&Rule> {
        let explicit = |rule: &&Rule| rule.is_about(port) && rule.from == "Anywhere" && rule.names_a_port();
        self.rules.iter().find(explicit).filter(|rule| matches!(rule.action.as_str(), "DENY" | "REJECT"))
    }

    fn has_ours(&self, port: u16) -> bool {
        let to = format!("{port}/tcp");
        self.rules.iter().any(|rule| rule.to == to && rule.comment.as_deref() == Some(TAG))
    }
}

pub(crate) async fn open(
    state: &State,
    ports: &[u16],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    for port in ports.iter().filter(|port| state.verdict(**port).blocked()) {
        scope::need_root("open a port in", "ufw")?;
        if let Some(rule) = state.forbidding(*port) {
            return Err(Failure::new("open the port", port, Kind::Foreign, rule.shown())
                .hint("somebody forbids it on purpose: remove that rule first (`ufw status numbered`)"));
        }
        let spec = format!("{port}/tcp");
        let args = ["allow", &spec, "comment", TAG];
        let output = command::must("open a port with", COMMAND, &args, scope.deadline).await?;
        report.commands.push(output.shown);
        report.done.push(format!("opened {spec} in ufw, permanently"));
    }
    sync()
}

pub(crate) async fn close(
    state: &State,
    ports: &[u16],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    for port in ports.iter().filter(|port| state.has_ours(**port)) {
        let spec = format!("{port}/tcp");
        let output =
            command::must("close a port with", COMMAND, &["delete", "allow", &spec], scope.deadline).await?;
        report.commands.push(output.shown);
        report.done.push(format!("closed {spec} in ufw"));
    }
    sync()
}

fn sync() -> Result<(), Failure> {
    RULE_FILES.iter().try_for_each(|path| scope::sync_file(Path::new(path)))
}

const COMMAND: &str = "ufw";
const RULE_FILES: [&str; 2] = ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"];
const ACTIONS: [&str; 4] = ["ALLOW", "DENY", "REJECT", "LIMIT"];
