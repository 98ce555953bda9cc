//! The members of an ensemble at one version of the config, from and to the text of quorum-protocol §1.3.

use std::collections::BTreeMap;
use std::fmt;

use super::grammar::{self, Fault};
use super::member::Member;
use crate::formats::properties;
use crate::wire::ids::ServerId;

/// The members of an ensemble, at one version of the config. At least one votes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    members: BTreeMap<ServerId, Member>,
    version: i64,
}

/// What is wrong with a list of members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    #[error("member list, line {line}, column {column}: {problem}")]
    Line { line: usize, column: usize, problem: String },
    #[error("member list: server.{0} is listed twice; every server needs an id of its own")]
    Duplicate(ServerId),
    #[error("member list: no participant; add a server.N line without `:observer`")]
    NoVoter,
}

impl Membership {
    /// # Errors
    /// An id that two members have, or nobody who votes.
    pub fn new(
        version: i64,
        members: impl IntoIterator<Item = Member>,
    ) -> Result<Membership, MembershipError> {
        let mut membership = Membership { members: BTreeMap::new(), version };
        for member in members {
            let id = member.id;
            if membership.members.insert(id, member).is_some() {
                return Err(MembershipError::Duplicate(id));
            }
        }
        let somebody_votes = membership.members.values().any(Member::votes);
        if somebody_votes { Ok(membership) } else { Err(MembershipError::NoVoter) }
    }

    /// Reads `server.N=…` lines and an optional `version=<hex>` line, in a properties file's syntax.
    pub fn parse(text: &str) -> Result<Membership, MembershipError> {
        let mut version = 0;
        let mut members = Vec::new();
        let wrong = |line, column, problem: &str| {
            Err(MembershipError::Line { line, column, problem: problem.to_owned() })
        };
        let lines = match properties::parse(text.as_bytes()) {
            Ok(lines) => lines,
            Err((line, what)) => return wrong(line, 1, &what),
        };
        for line in lines {
            match line.key.split_once('.') {
                Some(("server", id)) => {
                    let Some(id) = grammar::parse_id(id) else {
                        return wrong(line.line, 1, &format!("{id:?} is not a server's number"));
                    };
                    match Member::parse(id, &line.value) {
                        Ok(member) => members.push(member),
                        Err(fault) => {
                            let Fault { column, .. } = fault;
                            let problem = format!("server.{id}: {fault}");
                            return wrong(line.line, line.column + column - 1, &problem);
                        }
                    }
                }
                Some(("group" | "weight", _)) => {
                    let what = "hierarchical quorums are not supported; remove group and weight lines";
                    return wrong(line.line, 1, what);
                }
                _ if line.key == "version" => match i64::from_str_radix(&line.value, 16) {
                    Ok(found) => version = found,
                    Err(_) => {
                        let problem = format!("the version {:?} is not a hexadecimal number", line.value);
                        return wrong(line.line, line.column, &problem);
                    }
                },
                _ => return wrong(line.line, 1, &format!("{:?} does not belong there", line.key)),
            }
        }
        Membership::new(version, members)
    }

    pub fn version(&self) -> i64 {
        self.version
    }

    pub fn get(&self, id: ServerId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// All members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The ids of the participants, ascending.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> {
        self.members.values().filter(|member| member.votes()).map(|member| member.id)
    }

    pub fn is_voter(&self, id: ServerId) -> bool {
        self.get(id).is_some_and(Member::votes)
    }
}

/// The config text that NEWLEADER, notifications and `/zookeeper/config` carry.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for member in self.members.values() {
            writeln!(f, "{member}")?;
        }
        write!(f, "version={:x}", self.version)
    }
}
