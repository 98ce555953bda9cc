//! Who votes, by what anybody's config says (quorum-protocol §1.3), and whether two servers that go by two such lists
//! can decide against each other.
//!
//! It is read as leniently as every release writes it: ids and roles alone count here, so that no address that is
//! spelled in a way of its own hides another list. [`Membership::parse`] is for what is to be acted upon.

use std::collections::BTreeSet;
use std::fmt;

use super::membership::Membership;
use crate::wire::ids::ServerId;

/// Who votes, at one version of the config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voters {
    ids: BTreeSet<ServerId>,
    version: i64,
    /// They are not counted alike: groups and weights decide.
    is_weighted: bool,
}

impl Voters {
    /// What a config text says; `None` when it lists nobody.
    pub fn read(text: &[u8]) -> Option<Voters> {
        let text = String::from_utf8_lossy(text);
        let mut voters = Voters { ids: BTreeSet::new(), version: 0, is_weighted: false };
        let mut is_list = false;
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key.trim().split_once('.') {
                Some(("server", id)) => {
                    let Ok(id) = id.parse().map(ServerId) else { continue };
                    is_list = true;
                    let addresses = value.split(';').next().unwrap_or_default();
                    let role = addresses.rsplit(':').next().unwrap_or_default().trim();
                    if !role.eq_ignore_ascii_case("observer") {
                        voters.ids.insert(id);
                    }
                }
                Some(("group" | "weight", _)) => voters.is_weighted = true,
                None if key.trim() == "version" => {
                    voters.version = i64::from_str_radix(value.trim(), 16).unwrap_or(0);
                }
                _ => {}
            }
        }
        is_list.then_some(voters)
    }

    pub fn version(&self) -> i64 {
        self.version
    }

    /// Whether they are the same servers, at whatever version.
    pub fn are_same(&self, other: &Voters) -> bool {
        self.ids == other.ids && self.is_weighted == other.is_weighted
    }

    /// Why servers that go by these two lists must not count each other; `None`: they may.
    ///
    /// The same voters may at any version. So may those of two lists that were never reconfigured when every majority
    /// of one meets every majority of the other, as while a list is changed in all zoo.cfgs one after the other.
    pub fn conflict(&self, theirs: &Voters) -> Option<String> {
        if self.are_same(theirs) {
            return None;
        }
        let lists = format!("it goes by the voters {theirs}, this server by {self}");
        if self.is_weighted != theirs.is_weighted {
            return Some(format!("{lists}: groups and weights are not supported"));
        }
        if self.version != 0 || theirs.version != 0 {
            return Some(format!(
                "{lists}: the ensemble was reconfigured while it ran, which this server cannot follow. Write the list \
                 that is in force into its zoo.cfg and restart it"
            ));
        }
        self.have_disjoint_majorities(theirs).then(|| {
            format!(
                "{lists}: a majority of one list need not meet a majority of the other. Give all servers the same list: \
                 one more or one fewer at a time, or all while they are stopped"
            )
        })
    }

    /// Whether a majority of each can be picked without a server in common.
    fn have_disjoint_majorities(&self, other: &Voters) -> bool {
        let shared = self.ids.intersection(&other.ids).count();
        // Those that only one list has are picked first.
        let wanted = |voters: &Voters| {
            let total = voters.ids.len();
            (total / 2 + 1).saturating_sub(total - shared)
        };
        wanted(self) + wanted(other) <= shared
    }
}

impl From<&Membership> for Voters {
    fn from(membership: &Membership) -> Voters {
        Voters { ids: membership.voters().collect(), version: membership.version(), is_weighted: false }
    }
}

impl fmt::Display for Voters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, id) in self.ids.iter().take(SHOWN_MAX).enumerate() {
            write!(f, "{}{id}", if index == 0 { "" } else { ", " })?;
        }
        if let more @ 1.. = self.ids.len().saturating_sub(SHOWN_MAX) {
            write!(f, " and {more} more")?;
        }
        if self.version != 0 {
            write!(f, " (version {:x})", self.version)?;
        }
        Ok(())
    }
}

/// A line of the log names no more: a peer may have said anything.
const SHOWN_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(ids: &[i64], version: i64) -> Voters {
        let lines: String = ids.iter().map(|id| format!("server.{id}=h{id}:1:2:participant\n")).collect();
        Voters::read(format!("{lines}version={version:x}").as_bytes()).unwrap()
    }

    #[test]
    fn every_release_s_text_names_its_voters() {
        for text in [
            "server.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2:observer;0:0:0:0:0:0:0:0:2181\nserver.3=c:1:2\nversion=0",
            "server.1=fe80:0:0:0:0:0:0:1:1:2\r\n server.3 = [::1]:1:2|b:3:4:PARTICIPANT;;2281\nserver.9=x:1:2:Observer\n",
        ] {
            assert_eq!(Voters::read(text.as_bytes()), Some(voters(&[1, 3], 0)), "{text}");
        }
        let later = Voters::read(b"server.1=a:1:2:participant\nversion=10000000f").unwrap();
        assert_eq!(later.to_string(), "1 (version 10000000f)");
        for nothing in [&b""[..], b"version=7", b"server.x=a:1:2", b"\xff\xfe"] {
            assert_eq!(Voters::read(nothing), None);
        }
        let membership = Membership::parse("server.1=a:1:2\nserver.2=b:1:2:observer").unwrap();
        assert_eq!(Voters::from(&membership), voters(&[1], 0));
    }

    #[test]
    fn static_lists_go_together_when_every_majority_of_one_meets_every_majority_of_the_other() {
        let lists: Vec<Vec<i64>> =
            (1_u32..64).map(|mask| (1..=6).filter(|id| (mask >> (id - 1)) & 1 == 1).collect()).collect();
        let majorities = |list: &[i64]| -> Vec<u32> {
            let mask = list.iter().fold(0_u32, |mask, id| mask | 1 << id);
            let is_majority = |part: &u32| part & !mask == 0 && part.count_ones() as usize > list.len() / 2;
            (0_u32..128).filter(is_majority).collect()
        };
        for (one, other) in lists.iter().flat_map(|one| lists.iter().map(move |other| (one, other))) {
            let ours = majorities(one);
            let meet = majorities(other).iter().all(|theirs| ours.iter().all(|mine| mine & theirs != 0));
            assert_eq!(voters(one, 0).conflict(&voters(other, 0)).is_none(), meet, "{one:?} {other:?}");
        }
        assert!(voters(&[1, 2, 3], 0).conflict(&voters(&[1, 2, 3, 4], 0)).is_none());
        assert!(voters(&[1, 2, 3], 0).conflict(&voters(&[1, 2, 3, 4, 5], 0)).is_some());
    }

    #[test]
    fn versions_matter_only_where_the_voters_differ() {
        let ours = voters(&[1, 2, 3], 0);
        assert_eq!(ours.conflict(&voters(&[3, 2, 1], 1 << 32)), None);
        let what = ours.conflict(&voters(&[1, 2, 3, 4], 1 << 32)).unwrap();
        assert!(what.starts_with(
            "it goes by the voters 1, 2, 3, 4 (version 100000000), this server by 1, 2, 3: the "
        ));
        let weighted =
            Voters::read(b"server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\ngroup.1=1:2:3\nversion=0")
                .unwrap();
        assert!(ours.conflict(&weighted).unwrap().ends_with("groups and weights are not supported"));
    }
}
