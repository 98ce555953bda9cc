//! Writing: `create`, `set`, `delete`, `deleteall` and `rmr`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::acl::parse_acl;
use super::args::Args;
use super::failure::{self, Done, Failure};
use super::read::subtree;
use super::state::Shell;
use crate::client::{Error, MultiOp};
use crate::wire::proto::{Acl, CreateMode, ErrorCode, TTL_MS_MAX};

/// `create [-s] [-e] [-c] [-t ttl] path [data] [acl]`.
pub(super) async fn create(shell: &Shell, args: &Args) -> Done {
    let (sequential, ephemeral) = (args.has('s'), args.has('e'));
    let ttl_ms = ttl(args)?;
    if args.has('c') && (sequential || ephemeral) {
        return Err(Failure::text(
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        ));
    }
    let data = args.operand(1).map(|data| Bytes::copy_from_slice(data.as_bytes()));
    let acl = match args.operand(2) {
        Some(text) => parse_acl(text, &shell.out)?,
        None => Acl::open(),
    };
    let path = match ttl_ms {
        Some(ttl_ms) => shell.client.create_ttl(args.path(), data, acl, sequential, ttl_ms).await?.path,
        None => {
            let mode = match (args.has('c'), ephemeral, sequential) {
                (true, ..) => CreateMode::Container,
                (_, true, true) => CreateMode::EphemeralSequential,
                (_, true, false) => CreateMode::Ephemeral,
                (_, false, true) => CreateMode::PersistentSequential,
                (_, false, false) => CreateMode::Persistent,
            };
            shell.client.create(args.path(), data, acl, mode).await?
        }
    };
    shell.out.complain(&format!("Created {path}"));
    Ok(())
}

fn ttl(args: &Args) -> Result<Option<i64>, Failure> {
    let Some(text) = args.value('t') else {
        return Ok(None);
    };
    if args.has('e') {
        return Err(Failure::text("TTLs cannot be used with Ephemeral znodes"));
    }
    if args.has('c') {
        return Err(Failure::text("TTLs cannot be used with Container znodes"));
    }
    let ttl_ms: i64 = text.parse().map_err(|_| Failure::text("-t argument must be a long value"))?;
    if !(1..=TTL_MS_MAX).contains(&ttl_ms) {
        return Err(Failure::Text(format!("ttl must be positive and cannot be larger than: {TTL_MS_MAX}")));
    }
    Ok(Some(ttl_ms))
}

/// `set path data [-s] [-v version] [-b]`, `set path data version`.
pub(super) async fn set(shell: &Shell, args: &Args) -> Done {
    let text = args.operand(1).unwrap_or_default();
    let data = if args.has('b') {
        let bytes =
            STANDARD.decode(text).map_err(|why| Failure::Text(format!("{text} is not base64: {why}")))?;
        Bytes::from(bytes)
    } else {
        Bytes::copy_from_slice(text.as_bytes())
    };
    let stat =
        shell.client.set(args.path(), Some(data), args.version(2).map_err(Failure::no_version)?).await?;
    shell.stat_block(args, &stat);
    Ok(())
}

/// `delete [-v version] path`, `delete path version`.
pub(super) async fn delete(shell: &Shell, args: &Args) -> Done {
    shell.client.delete(args.path(), args.version(1).map_err(Failure::no_version)?).await?;
    Ok(())
}

/// `deleteall path [-b size]` and `rmr path`: leaves first, in transactions; not atomic as a whole.
pub(super) async fn delete_all(shell: &Shell, args: &Args) -> Done {
    let batch = match args.value('b') {
        None => DELETE_BATCH,
        Some(text) => text
            .parse::<i32>()
            .ok()
            .and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| Failure::text("-b argument must be an int value"))?,
    };
    let root = args.path();
    if root == "/" {
        return Err(Failure::text("/ cannot be deleted: name the subtrees that shall go, one by one"));
    }
    let stat = shell.client.exists(root, false).await?;
    if stat.is_none() {
        return Err(Error::Code(ErrorCode::NoNode, root.to_owned()).into());
    }
    let mut nodes = subtree(shell, root).await?;
    // Parents stand before their children, so the other way round leaves go first.
    nodes.reverse();
    let mut failed = None;
    for nodes in nodes.chunks(batch.max(1)) {
        if nodes.len() == 1 || delete_batch(shell, nodes).await.is_err() {
            // A batch fails as a whole, for one node that changed: the others still go.
            for node in nodes {
                match shell.client.delete(node, None).await {
                    Ok(()) | Err(Error::Code(ErrorCode::NoNode, _)) => {}
                    // The first one is the cause: a parent fails because its child did.
                    Err(error) => drop(failed.get_or_insert(error)),
                }
            }
        }
    }
    let Some(error) = failed else {
        return Ok(());
    };
    for line in failure::lines(&error, args.style, Some(args.verb)) {
        shell.out.complain(&line);
    }
    Err(Failure::text("Failed to delete some node(s) in the subtree!"))
}

async fn delete_batch(shell: &Shell, nodes: &[String]) -> Result<(), Error> {
    let ops = nodes.iter().map(|node| MultiOp::Delete { path: node.clone(), version: None });
    shell.client.multi(ops.collect()).await.map(drop)
}

/// Nodes in one transaction of deleteall.
const DELETE_BATCH: usize = 1000;
