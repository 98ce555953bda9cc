//! Watches of their own: `addWatch`, `removewatches`. Those that reads leave are in `read`.

use super::args::Args;
use super::failure::{Done, Failure};
use super::state::Shell;
use crate::wire::proto::{AddWatchMode, WatcherType};

/// `addWatch [-m mode] path`. The mode sticks for later ones without `-m` (TRAP of the reference).
pub(super) async fn add(shell: &mut Shell, args: &Args) -> Done {
    if let Some(mode) = args.value('m') {
        shell.watch_mode = match mode.to_ascii_uppercase().as_str() {
            "PERSISTENT" => AddWatchMode::Persistent,
            "PERSISTENT_RECURSIVE" => AddWatchMode::PersistentRecursive,
            _ => return Err(Failure::Usage(args.verb)),
        };
    }
    shell.client.add_watch(args.path(), shell.watch_mode).await?;
    Ok(())
}

/// `removewatches path [-c|-d|-p|-r|-a] [-l]`; all kinds unless told.
pub(super) async fn remove(shell: &Shell, args: &Args) -> Done {
    let kinds = [
        ('c', WatcherType::Children),
        ('d', WatcherType::Data),
        ('p', WatcherType::Persistent),
        ('r', WatcherType::PersistentRecursive),
    ];
    let kind = kinds.iter().find(|(letter, _)| args.has(*letter)).map_or(WatcherType::Any, |(_, kind)| *kind);
    shell.client.remove_watches(args.path(), kind, args.has('l')).await?;
    Ok(())
}
