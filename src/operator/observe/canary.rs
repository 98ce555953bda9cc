//! The last proof of law 4: a write committed through the leader and read back through every
//! member. The node is ephemeral: it goes with the session that made it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;

use super::servers::{self, NoAnswer};
use crate::client;
use crate::operator::fleet::ways::Ways;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::wire::ids::ServerId;
use crate::wire::proto::{Acl, CreateMode, ErrorCode};

/// Writes `token` through `leader` and reads it through everybody else.
///
/// # Errors
/// Where it failed, in words.
pub async fn read_back(
    desired: &Desired,
    ways: &Ways,
    leader: ServerId,
    token: &str,
    deadline: Duration,
) -> Result<(), String> {
    let Some(writer) = desired.members.get(&leader) else {
        return Err(format!("server {leader} is not in the inventory"));
    };
    let started = Instant::now();
    let route = ways.to(writer)?;
    let read_back = servers::session(writer, &route, deadline, async |client| {
        // Not below the root: its users' sequence numbers and child watches are none of our business.
        let path = format!("/zookeeper/zkops-canary-{token}");
        let data = Bytes::from(token.to_owned());
        let written = client.create(&path, Some(data.clone()), Acl::open(), CreateMode::Ephemeral).await;
        match written {
            Ok(_) => {}
            // The parent's ACL keeps us out, and a quorum has agreed on saying so: committed, only
            // there is nothing to read back.
            Err(client::Error::Code(ErrorCode::NoAuth, _)) => return Ok(()),
            Err(error) => return Err(format!("{}: the canary was not written: {error}", writer.name)),
        }
        let left = deadline.saturating_sub(started.elapsed());
        let readers = desired.members.values().map(|member| read(member, ways, &path, &data, left));
        join_all(readers).await.into_iter().collect()
    });
    read_back.await.map_err(NoAnswer::why)
}

async fn read(
    member: &DesiredMember,
    ways: &Ways,
    path: &str,
    expected: &Bytes,
    deadline: Duration,
) -> Result<(), String> {
    let route = ways.to(member)?;
    let read = servers::session(member, &route, deadline, async |client| {
        // A follower may lag; after a sync it answers from what was committed before.
        client.sync(path).await.map_err(|error| format!("sync: {error}"))?;
        let node = client.get(path, false).await.map_err(|error| error.to_string())?;
        if node.data.as_ref() == Some(expected) { Ok(()) } else { Err("another value came back".to_owned()) }
    })
    .await;
    read.map_err(|why| format!("{}: the canary was not read back: {}", member.name, why.why()))
}
