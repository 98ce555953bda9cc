//! The members' zoo.cfg read with the server's own parser before any host hears of it: what the server would refuse is
//! refused here, at the key of the inventory that caused it, and so is what it would pass over without a word.

use std::io;
use std::path::Path;

use super::paths;
use crate::config::{Examined, Problem, Role, ServerConfig, Warning};
use crate::operator::inventory::{About, Cluster, Complaint, Member, Severity, instead_of, nearest};
use crate::operator::render;

/// What is wrong, or doubtful, with the settings of all members.
pub(super) fn judge(cluster: &Cluster) -> Vec<Complaint> {
    cluster.members.iter().flat_map(|member| of_member(cluster, member)).collect()
}

fn of_member(cluster: &Cluster, member: &Member) -> Vec<Complaint> {
    let paths = paths::of(member);
    // A broken template is said where the file is needed.
    let Ok(text) = render::zoo_cfg(cluster, member, &paths) else { return Vec::new() };
    // Nothing that deploy writes names another file.
    let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let read = ServerConfig::examine(Path::new(&paths.config), text.as_bytes(), &[], &none);
    let Examined { config, problems, warnings } = read;
    let mut all: Vec<Complaint> = problems.into_iter().map(|one| problem(member, one)).collect();
    all.extend(warnings.into_iter().flat_map(|one| warning(member, &paths.config, one)));
    all.extend(leader_serves(member, &config));
    all
}

fn complaint(member: &Member, about: About, code: &'static str, message: String) -> Complaint {
    Complaint {
        member: member.name.clone(),
        about,
        severity: Severity::Error,
        code,
        message,
        label: String::new(),
        help: None,
    }
}

fn problem(member: &Member, problem: Problem) -> Complaint {
    let about = problem.key.map_or(About::Member, About::Value);
    let message = match about {
        // Else nothing would say that zoo.cfg is meant.
        About::Member => format!("zoo.cfg of `{}`: {}", member.name, problem.what),
        _ => problem.what,
    };
    let label = "the server would not start".to_owned();
    let help = Some(problem.advice);
    Complaint { label, help, ..complaint(member, about, "zoo-value", message) }
}

fn warning(member: &Member, file: &str, warning: Warning) -> Vec<Complaint> {
    match warning {
        Warning::Unknown(keys) => keys.into_iter().map(|named| unknown(member, named.key)).collect(),
        Warning::WithoutEffect(keys) => {
            let idle = |key: String| {
                let message = format!("`{key}` has no effect here");
                let help = Some(
                    "no server of zkops reads it: remove it, or leave it for Apache ZooKeeper".to_owned(),
                );
                let severity = Severity::Warning;
                Complaint { severity, help, ..complaint(member, About::Key(key), "zoo-no-effect", message) }
            };
            keys.into_iter().map(|named| idle(named.key)).collect()
        }
        // What is no key's is said of the inventory's members already.
        Warning::Said { key: None, .. } => Vec::new(),
        Warning::Said { key: Some(key), text } => {
            let severity = Severity::Warning;
            let text = text.strip_prefix(&format!("{file}: ")).unwrap_or(&text).to_owned();
            vec![Complaint { severity, ..complaint(member, About::Value(key), "zoo-note", text) }]
        }
    }
}

fn unknown(member: &Member, key: String) -> Complaint {
    let help = match nearest(&key, ServerConfig::known_keys()).map(|near| (near, instead_of(near))) {
        Some((near, None)) => format!("did you mean `{near}`?"),
        // To write that would be the next mistake.
        Some((near, Some(instead))) => format!("deploy writes `{near}` itself: set {instead}"),
        None => "neither zkops nor Apache ZooKeeper has it: remove it".to_owned(),
    };
    let message = format!("zoo.cfg has no key `{key}`");
    let label = "unknown".to_owned();
    Complaint { label, help: Some(help), ..complaint(member, About::Key(key), "zoo-key", message) }
}

/// A leader without clients answers nobody at its client port: nothing here could tell it from a server that is stuck.
fn leader_serves(member: &Member, config: &ServerConfig) -> Option<Complaint> {
    let Role::Quorum(quorum) = &config.role else { return None };
    let about = About::Value("leaderServes".to_owned());
    let message = "with `leaderServes: no` no deployment could be seen to be ready".to_owned();
    let label = "the leader would answer nobody".to_owned();
    let help =
        "remove it: leaders take clients here; let clients connect to the other members to spare the leader";
    let refused = complaint(member, about, "zoo-value", message);
    (!quorum.leader_serves).then(|| Complaint { label, help: Some(help.to_owned()), ..refused })
}
