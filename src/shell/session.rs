//! The session itself: `connect`, `close`, `sync`.

use super::args::Args;
use super::failure::{Done, Failure};
use super::program::Target;
use super::state::Shell;
use crate::client::Error;

/// `connect [host:port]`: ends the session and starts another one.
pub(super) async fn connect(shell: &mut Shell, args: &Args) -> Done {
    let target = match args.operand(0) {
        None => shell.target.clone(),
        Some(text) => {
            Target::new(text, shell.target.timeout, shell.target.read_only).map_err(Failure::Text)?
        }
    };
    shell.client.close().await;
    shell.replace_client(target);
    Ok(())
}

pub(super) async fn close(shell: &Shell) -> Done {
    shell.client.close().await;
    Ok(())
}

/// `sync path`.
pub(super) async fn sync(shell: &Shell, args: &Args) -> Done {
    match shell.client.sync(args.path()).await {
        Ok(()) => {
            shell.out.line("Sync is OK");
            Ok(())
        }
        Err(Error::Code(code, _)) => {
            shell.out.line(&format!("Sync has failed. rc={}", code.code()));
            Err(Failure::Said)
        }
        Err(error) => Err(error.into()),
    }
}
