//! The `server.N` lines (operations §10.3), from zoo.cfg or from its dynamic file: checked here,
//! with line numbers, so that what goes on to `zab` cannot be wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use super::keys::Keys;
use super::settings::Listen;
use crate::formats::properties::{self, Property};
use crate::wire::ids::ServerId;

/// The members of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    by_id: BTreeMap<i64, Member>,
    /// The version of the configuration: 0 for a static one, else the dynamic file's suffix.
    pub version: i64,
}

/// One `server.N` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: ServerId,
    pub role: MemberRole,
    /// Host, quorum port, election port; more than one only with several addresses.
    pub addresses: Vec<(String, u16, u16)>,
    /// Where clients connect, when the line says so.
    pub client: Option<Listen>,
    /// The value as written.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberRole {
    /// Votes.
    Participant,
    /// Follows without a vote.
    Observer,
}

impl Members {
    pub fn get(&self, id: ServerId) -> Option<&Member> {
        self.by_id.get(&id.0)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.iter().filter(|member| member.role == MemberRole::Participant)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The lines as written plus the version line: what `zab::Membership` parses.
    pub fn text(&self) -> String {
        let lines: String =
            self.iter().map(|member| format!("server.{}={}\n", member.id, member.text)).collect();
        format!("{lines}version={:x}", self.version)
    }

    /// `1, 2, 3`, for messages.
    pub(super) fn listed_ids(&self) -> String {
        self.iter().map(|member| member.id.to_string()).collect::<Vec<_>>().join(", ")
    }
}

impl MemberRole {
    pub(super) fn parse(text: &str) -> Option<MemberRole> {
        match text.to_ascii_lowercase().as_str() {
            "participant" => Some(MemberRole::Participant),
            "observer" => Some(MemberRole::Observer),
            _ => None,
        }
    }
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemberRole::Participant => "participant",
            MemberRole::Observer => "observer",
        })
    }
}

/// Reads the membership from the lines of zoo.cfg, or from its `dynamicConfigFile`.
pub(super) fn read(keys: &mut Keys, zoo_cfg: &Path, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Members {
    let lines = std::mem::take(&mut keys.membership);
    let located = lines.iter().map(|line| (keys.line(line.line), line.clone())).collect();
    // Kept: a problem with the list as a whole points at its first line.
    keys.membership = lines;
    let Some(dynamic) = keys.path("dynamicConfigFile") else {
        return collect(keys, located);
    };
    if !keys.membership.is_empty() {
        let what = "server lines stand here and in the file that dynamicConfigFile names".to_owned();
        keys.problem(
            "server.",
            what,
            "keep them in one place: remove them here, or remove dynamicConfigFile",
        );
    }
    let path = zoo_cfg.parent().unwrap_or(Path::new("")).join(&dynamic);
    let parsed = match read(&path) {
        Ok(text) => properties::parse(&text).map_err(|(line, what)| format!("line {line}: {what}")),
        Err(error) => Err(error.to_string()),
    };
    let properties = match parsed {
        Ok(properties) => properties,
        Err(why) => {
            let what = format!("cannot read {}: {why}", path.display());
            keys.problem(
                "dynamicConfigFile",
                what,
                "restore that file, or put the server lines here instead",
            );
            return Members::default();
        }
    };
    let located =
        properties.into_iter().map(|line| (format!("{}:{}", path.display(), line.line), line)).collect();
    let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
    let version = i64::from_str_radix(suffix, 16).unwrap_or(0).max(0);
    Members { version, ..collect(keys, located) }
}

fn collect(keys: &mut Keys, lines: Vec<(String, Property)>) -> Members {
    let mut members = Members::default();
    for (at, line) in lines {
        match line.key.split_once('.') {
            Some(("server", id)) => match parse_line(id, &line.value) {
                Ok(member) => add(keys, &mut members, at, member),
                Err((what, advice)) => keys.problem_at(at, what, &advice),
            },
            Some(("group" | "weight", _)) => keys.problem_at(
                at,
                format!("{} asks for hierarchical quorums", line.key),
                "this server counts every voter once; remove the group and weight lines on all servers",
            ),
            _ if line.key == "version" => keys.problem_at(
                at,
                "a version line does not belong here".to_owned(),
                "remove it: the version is the suffix of the file's name",
            ),
            _ => keys.problem_at(
                at,
                format!("{} does not belong among the server lines", line.key),
                "move it to zoo.cfg",
            ),
        }
    }
    members
}

fn add(keys: &mut Keys, members: &mut Members, at: String, member: Member) {
    let same = members.iter().find(|other| {
        other.id == member.id || other.addresses.iter().any(|address| member.addresses.contains(address))
    });
    match same {
        Some(other) if other.id == member.id => {
            let what = format!("server.{} is listed twice", member.id);
            keys.problem_at(at, what, "give every server its own number");
        }
        Some(other) => {
            let what = format!("server.{} has the address of server.{}", member.id, other.id);
            keys.problem_at(at, what, "give every server its own address or its own ports");
        }
        None => drop(members.by_id.insert(member.id.0, member)),
    }
}

type Fault = (String, String);

const FORM: &str = "write server.N=host:quorumPort:electionPort[:participant|:observer][;[host:]clientPort]";

fn parse_line(id: &str, text: &str) -> Result<Member, Fault> {
    let fault = |what: String| (what, FORM.to_owned());
    let id = id
        .parse::<i64>()
        .ok()
        .filter(|id| *id >= 0)
        .ok_or_else(|| fault(format!("{id:?} is not a server's number")))?;
    let mut parts = text.split(';').map(str::trim);
    let addresses = parts.next().unwrap_or_default();
    let client = parts.next().filter(|client| !client.is_empty());
    if parts.next().is_some_and(|secure| !secure.is_empty()) {
        let advice = "this server speaks no TLS yet; remove the third part of the line".to_owned();
        return Err((format!("server.{id} has a secure client port"), advice));
    }
    let mut roles = Vec::new();
    let mut parsed = Vec::new();
    for address in addresses.split('|') {
        let (address, role) = parse_address(id, address.trim())?;
        roles.push(role);
        parsed.push(address);
    }
    if roles.iter().any(|role| *role != roles[0]) {
        return Err(fault(format!("the addresses of server.{id} have different roles")));
    }
    let client = client.map(|client| parse_client(id, client)).transpose()?;
    Ok(Member { id: ServerId(id), role: roles[0], addresses: parsed, client, text: text.to_owned() })
}

fn parse_address(id: i64, text: &str) -> Result<((String, u16, u16), MemberRole), Fault> {
    let fault = |what: String| (what, FORM.to_owned());
    let (host, rest) = split_host(text)
        .ok_or_else(|| fault(format!("server.{id}: {text:?} is not host:quorumPort:electionPort")))?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (quorum, election, role) = match parts[..] {
        [quorum, election] => (quorum, election, Some(MemberRole::Participant)),
        [quorum, election, role] => (quorum, election, MemberRole::parse(role)),
        _ => return Err(fault(format!("server.{id}: {text:?} does not have three or four parts"))),
    };
    let role = role.ok_or_else(|| fault(format!("server.{id}: the role in {text:?} is unknown")))?;
    let port = |text: &str| {
        let port = text.parse::<u16>().ok().filter(|&port| port > 0);
        port.ok_or_else(|| fault(format!("server.{id}: {text:?} is not a port")))
    };
    let (quorum, election) = (port(quorum)?, port(election)?);
    if quorum == election {
        let advice = "give it two ports, like 2888:3888".to_owned();
        return Err((format!("server.{id} has port {quorum} for both the quorum and elections"), advice));
    }
    Ok(((host.to_owned(), quorum, election), role))
}

fn parse_client(id: i64, text: &str) -> Result<Listen, Fault> {
    let (host, port) = match split_host(text) {
        Some((host, port)) => (Some(host.to_owned()), port),
        None => (None, text),
    };
    match port.parse::<u16>() {
        Ok(port) => Ok(Listen { host, port }),
        Err(_) => Err((format!("server.{id}: {text:?} is not [host:]clientPort"), FORM.to_owned())),
    }
}

/// `host:rest` or `[v6]:rest`; brackets are taken off.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(v6) => v6.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == ',');
    plain.then_some((host, rest))
}
