//! File contents from the inventory: zoo.cfg, myid and the service unit, through templates embedded at build.
//! Pure: it writes no file and knows no host. The same member always renders to the same bytes, which is what
//! makes a second deploy change nothing.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod quote;

use std::collections::BTreeMap;

use serde::Serialize;
use tera::{Context, Tera};

use crate::ensemble::{self, Address, MemberRole};
use crate::formats::marker::{CLUSTER_KEY, MEMBER_KEY};
use crate::operator::inventory::{Cluster, Member, Role};

/// Why a file cannot be rendered: a template of ours is wrong, which its tests would have shown.
#[derive(Debug, thiserror::Error)]
#[error("template {template}: {why}")]
pub struct Error {
    template: &'static str,
    why: String,
}

/// Where a member's files are on its host, with no `~` left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    pub install_dir: String,
    pub binary: String,
    pub config: String,
    /// What the server may write beside its data.
    pub dynamic_dir: String,
    pub data_dir: String,
    pub data_log_dir: Option<String>,
}

impl Paths {
    /// The directories that the server writes in.
    fn written(&self) -> Vec<&str> {
        let log = self.data_log_dir.as_deref().filter(|log| *log != self.data_dir);
        [Some(&*self.data_dir), log, Some(&*self.dynamic_dir)].into_iter().flatten().collect()
    }

    fn any_below(&self, tops: &[&str]) -> bool {
        let below = |path: &str| {
            tops.iter().any(|top| {
                path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        below(&self.install_dir) || self.written().into_iter().any(below)
    }
}

#[derive(Serialize)]
struct Setting {
    key: String,
    value: String,
}

/// The zoo.cfg of one member: what every server needs, the inventory's `zoo:` keys, then all members. Only the
/// cluster's uuid is missing, which stands on its hosts.
///
/// # Errors
/// Only a broken template.
pub fn zoo_cfg(cluster: &Cluster, member: &Member, paths: &Paths) -> Result<String, Error> {
    let mut settings: BTreeMap<String, String> = [
        ("tickTime", "2000"),
        ("initLimit", "10"),
        ("syncLimit", "5"),
        ("4lw.commands.whitelist", FOUR_LETTER_WORDS),
        // Logs fill the disk otherwise: the reference leaves this off.
        ("autopurge.snapRetainCount", "3"),
        ("autopurge.purgeInterval", "24"),
        // A wiped server must not vote away what it has forgotten (disk-format §8).
        ("db.autocreate", "false"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    // Whose data the server may start on (law 8). The cluster's uuid is on its hosts: the plan adds it.
    settings.insert(CLUSTER_KEY.into(), cluster.name.clone());
    settings.insert(MEMBER_KEY.into(), member.id.to_string());
    settings.insert("dataDir".into(), paths.data_dir.clone());
    settings.insert("clientPort".into(), member.ports.client.to_string());
    if let Some(log) = &paths.data_log_dir {
        settings.insert("dataLogDir".into(), log.clone());
    }
    if member.role == Role::Observer {
        settings.insert("peerType".into(), "observer".into());
    }
    for key in member.zoo.keys().filter_map(|key| key.strip_prefix("zookeeper.")) {
        settings.remove(key);
    }
    settings.extend(member.zoo.iter().map(|(key, value)| (key.clone(), value.clone())));
    let settings: Vec<Setting> =
        settings.into_iter().map(|(key, value)| Setting { key, value: escaped(&value) }).collect();
    // One server is a standalone one: a lone server line would only be ignored (operations §10.1).
    let listed = if cluster.members.len() > 1 { &cluster.members[..] } else { &[] };
    let servers: Vec<String> = listed.iter().map(|other| line(other).to_string()).collect();
    let mut context = Context::new();
    context.insert("settings", &settings);
    context.insert("servers", &servers);
    fill("zoo.cfg", ZOO_CFG, cluster, member, context)
}

/// The systemd unit of one member.
///
/// # Errors
/// Only a broken template.
pub fn unit(cluster: &Cluster, member: &Member, paths: &Paths) -> Result<String, Error> {
    let mut context = Context::new();
    context.insert("command", &quote::command(&paths.binary, &["server", &paths.config]));
    let mounts = [&*paths.install_dir].into_iter().chain(paths.written());
    context.insert("mounts", &quote::paths(mounts.filter(|path| *path != paths.dynamic_dir)));
    context.insert("writable", &quote::paths(paths.written()));
    // What a server has there would be hidden from it.
    context.insert("private_tmp", &!paths.any_below(&["/tmp", "/var/tmp"]));
    context.insert("protect_home", &!paths.any_below(&["/home", "/root", "/run/user"]));
    fill("zkops.service", UNIT, cluster, member, context)
}

/// The unit's name: of the cluster, and of the member where several share a host.
pub fn unit_name(cluster: &Cluster, member: &Member) -> String {
    match cluster.on_host(&member.host) {
        1 => format!("zkops-{}", cluster.name),
        _ => format!("zkops-{}-{}", cluster.name, member.name),
    }
}

fn fill(
    template: &'static str,
    text: &str,
    cluster: &Cluster,
    member: &Member,
    mut context: Context,
) -> Result<String, Error> {
    context.insert("cluster", cluster);
    context.insert("member", member);
    let why = |error: tera::Error| Error { template, why: error.to_string() };
    let mut tera = Tera::default();
    // These are no web pages: nothing is escaped behind our back.
    tera.autoescape_on(Vec::<&str>::new());
    tera.add_raw_template(template, text).map_err(why)?;
    tera.render(template, &context).map_err(why)
}

/// The member as the others' zoo.cfg lists it.
fn line(member: &Member) -> ensemble::Member {
    let address = Address {
        host: member.host.clone(),
        quorum_port: member.ports.quorum,
        election_port: member.ports.election,
    };
    let role = match member.role {
        Role::Participant => MemberRole::Participant,
        Role::Observer => MemberRole::Observer,
    };
    ensemble::Member { id: member.id, addresses: vec![address], role, client: None, secure_client: None }
}

/// A value as a Java properties file takes it (operations §10.1).
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\")
}

const ZOO_CFG: &str = include_str!("../../../templates/zoo.cfg.tera");
const UNIT: &str = include_str!("../../../templates/zkops.service.tera");

/// Words that status and repair ask for, and those that people expect to work. None that answers with a session's
/// id (`cons`, `dump`, `wchp`, `wchc`): from the id the password follows, and the session can be taken over.
const FOUR_LETTER_WORDS: &str = "srvr,stat,mntr,ruok,conf,envi,isro,wchs";

#[cfg(test)]
mod tests;
