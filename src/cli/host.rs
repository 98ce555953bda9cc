//! `zkops host`: what deploy starts on a host. It speaks frames, not text.

use super::opts::Host;
use crate::operator::host;
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Host) -> Result<Exit, Failure> {
    let failed = |why: String| Failure::new(Exit::Failed, why);
    match &opts.supervise {
        Some(spec) => host::supervise(spec).await.map_err(|why| failed(why.to_string()))?,
        None => host::serve(tokio::io::stdin(), tokio::io::stdout())
            .await
            .map_err(|why| failed(why.to_string()))?,
    }
    Ok(Exit::Done)
}
