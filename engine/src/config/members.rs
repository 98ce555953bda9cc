//! The server lines of zoo.cfg, or of its dynamic file: where they stand, and what must hold between them. The
//! grammar of one line is `ensemble`'s.

use std::io;
use std::path::Path;

use super::keys::Keys;
use crate::ensemble::{Member, grammar};
use crate::formats::properties::{self, Property};

/// What the lines say.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Each with the value of its line as written, by id.
    pub(super) members: Vec<(Member, String)>,
    /// 0 for a static list, else the dynamic file's suffix.
    pub(super) version: i64,
}

impl Listed {
    pub(super) fn voters(&self) -> usize {
        self.members.iter().filter(|(member, _)| member.votes()).count()
    }

    /// The lines as written plus the version line: what `conf` shows.
    pub(super) fn text(&self) -> String {
        let lines: String =
            self.members.iter().map(|(member, text)| format!("server.{}={text}\n", member.id)).collect();
        format!("{lines}version={:x}", self.version)
    }
}

/// Reads the membership from the lines of zoo.cfg, or from its `dynamicConfigFile`.
pub(super) fn read(keys: &mut Keys, zoo_cfg: &Path, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Listed {
    let lines = std::mem::take(&mut keys.membership);
    let file = zoo_cfg.display().to_string();
    let Some(dynamic) = keys.path("dynamicConfigFile") else {
        let listed = collect(keys, &file, &lines);
        // Kept: a problem with the list as a whole points at its first line.
        keys.membership = lines;
        return listed;
    };
    keys.membership = lines;
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
            return Listed::default();
        }
    };
    let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
    let version = i64::from_str_radix(suffix, 16).unwrap_or(0).max(0);
    Listed { version, ..collect(keys, &path.display().to_string(), &properties) }
}

fn collect(keys: &mut Keys, file: &str, lines: &[Property]) -> Listed {
    let mut listed = Listed::default();
    for line in lines {
        let at = format!("{file}:{}", line.line);
        match line.key.split_once('.') {
            Some(("server", id)) => member(keys, &mut listed, at, id, line),
            Some(("group" | "weight", _)) => keys.problem_at(
                at,
                &line.key,
                format!("{} asks for hierarchical quorums", line.key),
                "this server counts every voter once; remove the group and weight lines on all servers",
            ),
            _ if line.key == "version" => keys.problem_at(
                at,
                &line.key,
                "a version line does not belong here".to_owned(),
                "remove it: the version is the suffix of the file's name",
            ),
            _ => keys.problem_at(
                at,
                &line.key,
                format!("{} does not belong among the server lines", line.key),
                "move it to zoo.cfg",
            ),
        }
    }
    listed.members.sort_by_key(|(member, _)| member.id);
    listed
}

fn member(keys: &mut Keys, listed: &mut Listed, at: String, id: &str, line: &Property) {
    let Some(id) = grammar::parse_id(id) else {
        let advice = "write server.N=… with a number from 0 on";
        return keys.problem_at(at, &line.key, format!("{id:?} is not a server's number"), advice);
    };
    match Member::parse(id, &line.value) {
        Ok(member) if member.secure_client.is_some() => keys.problem_at(
            at,
            &line.key,
            format!("server.{id} has a secure client port"),
            "this server speaks no TLS yet; remove the third part of the line",
        ),
        Ok(member) => add(keys, listed, at, member, line.value.clone()),
        Err(fault) => {
            let at = format!("{at}:{}", line.column + fault.column - 1);
            keys.problem_at(at, &line.key, format!("server.{id}: {fault}"), fault.advice());
        }
    }
}

fn add(keys: &mut Keys, listed: &mut Listed, at: String, member: Member, text: String) {
    let key = format!("server.{}", member.id);
    let same = listed.members.iter().map(|(other, _)| other).find(|other| {
        other.id == member.id || other.addresses.iter().any(|address| member.addresses.contains(address))
    });
    match same {
        Some(other) if other.id == member.id => {
            let what = format!("server.{} is listed twice", member.id);
            keys.problem_at(at, &key, what, "give every server its own number");
        }
        Some(other) => {
            let what = format!("server.{} has the address of server.{}", member.id, other.id);
            keys.problem_at(at, &key, what, "give every server its own address or its own ports");
        }
        None => listed.members.push((member, text)),
    }
}
