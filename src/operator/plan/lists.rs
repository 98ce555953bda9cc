//! The lists of members as the hosts have them: who takes part, and where, by one zoo.cfg. Lists are compared here, and
//! read leniently: a line spoilt by hand still tells what it can. What follows from a difference is `moves`',
//! `identity`'s and `doubles`' business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::desired::Desired;
use crate::ensemble::{self, grammar};
use crate::wire::ids::ServerId;

/// One list of members, by id.
pub type List = BTreeMap<ServerId, Place>;

/// A member as a list has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Empty where the line cannot be read.
    pub host: String,
    pub quorum: u16,
    pub election: u16,
    pub voter: bool,
}

/// The list of the zoo.cfg of member `id`. Without server lines it is that of a standalone server, and empty.
pub fn read(config: &str) -> List {
    let lines = config.lines().filter_map(|line| line.trim().strip_prefix("server."));
    lines.filter_map(|line| line.split_once('=')).filter_map(|(id, value)| place(id.trim(), value)).collect()
}

/// One address in two spellings is one address.
pub fn same_address(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one.to_canonical() == other.to_canonical(),
        _ => one.eq_ignore_ascii_case(other),
    }
}

/// The list that the inventory asks for.
pub fn wanted(desired: &Desired) -> List {
    if desired.members.len() < 2 {
        return List::new();
    }
    let place = |member: &super::desired::DesiredMember| Place {
        host: member.address.clone(),
        quorum: member.ports.quorum,
        election: member.ports.election,
        voter: member.voter,
    };
    desired.members.values().map(|member| (member.id, place(member))).collect()
}

/// What a zoo.cfg says behind `key=`; of several lines the last, as the server takes it.
pub fn setting<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    let of = |line: &'a str| Some(line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?.trim());
    config.lines().filter_map(of).next_back()
}

/// What two lists say of the same members differently, in words: `node-3: 10.0.0.13:2888:3888 or 10.0.0.14:2888:3888`.
pub(crate) fn differences(desired: &Desired, one: &List, other: &List) -> Vec<String> {
    let ids: BTreeSet<ServerId> = one.keys().chain(other.keys()).copied().collect();
    let differ = ids.into_iter().filter(|id| one.get(id) != other.get(id));
    let word = |place: Option<&Place>| place.map_or_else(|| "not listed".to_owned(), Place::to_string);
    differ
        .map(|id| format!("{}: {} or {}", desired.name(id), word(one.get(&id)), word(other.get(&id))))
        .collect()
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = if self.voter { "" } else { ":observer" };
        write!(f, "{}:{}:{}{role}", self.host, self.quorum, self.election)
    }
}

fn place(id: &str, value: &str) -> Option<(ServerId, Place)> {
    let id = grammar::parse_id(id)?;
    let place = match ensemble::Member::parse(id, value) {
        Ok(member) => {
            let address = member.address();
            Place {
                host: address.host.clone(),
                quorum: address.quorum_port,
                election: address.election_port,
                voter: member.votes(),
            }
        }
        Err(_) => Place { host: String::new(), quorum: 0, election: 0, voter: !value.contains(":observer") },
    };
    Some((id, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whatever_else_the_file_says() {
        let text = "# server.9=x:1:2\ndataDir=/d\n server.1=10.0.0.11:2888:3888:participant\n\
                    server.2 = [fd00::2]:2888:3888:observer;2181\nserver.x=1\nserver.3=spoilt:observer\n";
        let list = read(text);
        let words: Vec<String> = list.iter().map(|(id, place)| format!("{id} {place}")).collect();
        assert_eq!(words, ["1 10.0.0.11:2888:3888", "2 fd00::2:2888:3888:observer", "3 :0:0:observer"]);
    }

    #[test]
    fn of_a_setting_the_last_line_counts() {
        assert_eq!(
            setting("clientPort=1\n clientPort = 2181\nclientPortAddress=x\n", "clientPort"),
            Some("2181")
        );
        assert_eq!(setting("#clientPort=1\n", "clientPort"), None);
    }
}
