//! Who answers where: every member's address, and those where members were before, are asked for the server's own id and
//! for the members that it runs with. What is not answered says nothing: who serves is asked elsewhere.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::servers;
use crate::client::{Server, four_letter};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::ways::Ways;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{Answer, Facts, Former};
use crate::operator::plan::{lists, server};
use crate::wire::ids::ServerId;

/// Adds who answers where, at the members' places and at those where they were before, and how the servers there are.
pub async fn elsewhere(fleet: &Fleet, facts: &mut Facts, deadline: Duration) {
    let (ways, deadline) = (fleet.ways(), deadline.min(PATIENCE));
    let before: Vec<&DesiredMember> = fleet.former().map(|(member, _)| member).collect();
    let there = before.iter().map(|member| there(&fleet.desired, member, &ways, deadline));
    let (answers, there) =
        tokio::join!(answers(&fleet.desired, before.iter().copied(), &ways, deadline), join_all(there));
    facts.elsewhere.answers = answers;
    for (member, server) in before.iter().zip(there) {
        let at = |old: &&mut Former| old.member == member.id && old.address == member.address;
        if let Some(old) = facts.elsewhere.former.iter_mut().find(at) {
            old.server = server;
        }
    }
}

/// The server at an old place.
async fn there(desired: &Desired, member: &DesiredMember, ways: &Ways, deadline: Duration) -> server::Server {
    let alone = Desired { members: [(member.id, member.clone())].into(), ..desired.clone() };
    let view = servers::servers(&alone, ways, &BTreeSet::new(), deadline).await.remove(&member.id);
    server::Server::from_here(view.unwrap_or_default())
}

/// The server at an old place, where it answers and serves nobody: it may look for the others, and does not say who it is.
pub async fn waits(
    desired: &Desired,
    member: &DesiredMember,
    ways: &Ways,
    deadline: Duration,
) -> Option<server::Server> {
    let alone = Desired { members: [(member.id, member.clone())].into(), ..desired.clone() };
    let view = servers::quietly(&alone, ways, deadline).await.remove(&member.id)?;
    let server = server::Server::from_here(view);
    server.not_serving().is_some().then_some(server)
}

/// Asks everybody at once; `former` are members as they were elsewhere.
pub async fn answers<'a>(
    desired: &Desired,
    former: impl IntoIterator<Item = &'a DesiredMember>,
    ways: &Ways,
    deadline: Duration,
) -> Vec<Answer> {
    let former: Vec<&DesiredMember> = former.into_iter().collect();
    let places = desired.members.values().chain(former);
    join_all(places.map(|member| answer(member, ways, deadline))).await.into_iter().flatten().collect()
}

async fn answer(member: &DesiredMember, ways: &Ways, deadline: Duration) -> Option<Answer> {
    let route = ways.to(member).ok()?;
    let standing = servers::standing(member, ways, deadline).await;
    let member = &*standing;
    let server = Server { host: member.address.clone(), port: member.ports.client };
    let text = four_letter::ask(&route, &server, "conf", deadline).await.ok()?;
    let (says, list) = read(&text);
    Some(Answer { member: member.id, address: member.address.clone(), says, list })
}

/// The id and the members of an answer to `conf` (operations §8.2).
fn read(text: &str) -> (Option<ServerId>, Option<lists::List>) {
    let says = lists::setting(text, "serverId").and_then(|id| id.parse().ok());
    // A server on its own has no id, and says 0.
    let says = says.filter(|id| *id != 0).map(ServerId);
    let list = lists::read(text);
    (says, (!list.is_empty()).then_some(list))
}

/// A server that lives answers in milliseconds; an old place may be dead.
const PATIENCE: Duration = Duration::from_millis(1_000);

#[cfg(test)]
mod tests {
    use super::read;
    use crate::wire::ids::ServerId;

    #[test]
    fn conf_says_who_it_is_and_with_whom() {
        let text = "clientPort=2181\nserverId=3\ninitLimit=10\nmembership: \n\
                    server.1=10.0.0.11:2888:3888:participant\nserver.3=10.0.0.13:2888:3888:participant\nversion=0";
        let (says, list) = read(text);
        assert_eq!(says, Some(ServerId(3)));
        assert_eq!(list.map(|list| list.len()), Some(2));
        assert_eq!(read("nothing of the kind"), (None, None));
        assert_eq!(read("clientPort=2181\nserverId=0").0, None, "a server on its own");
    }
}
