//! The host's side: reads frames, answers each in a task of its own, ends when stdin closes. It
//! keeps no state between runs and none between requests but the temporary listeners.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answers::{Agent, Settings};
use super::fence::{Fence, Pass};
use super::frame;
use super::protocol::{Answer, Ask, Hello, PREAMBLE, PROTOCOL};
use crate::operator::host::failure::{Failure, Kind};

/// Serves until `read` ends. `zkops host` calls this with its stdin and stdout.
///
/// # Errors
/// When a frame cannot be read or written; a clean end of `read` is none.
pub async fn serve(
    read: impl AsyncRead + Send + Unpin + 'static,
    write: impl AsyncWrite + Send + Unpin + 'static,
) -> io::Result<()> {
    serve_with(read, write, Settings::default()).await
}

/// [`serve`] with other settings.
pub(crate) async fn serve_with(
    mut read: impl AsyncRead + Send + Unpin + 'static,
    write: impl AsyncWrite + Send + Unpin + 'static,
    settings: Settings,
) -> io::Result<()> {
    let agent = Arc::new(Agent::new(settings));
    let (outgoing, queue) = mpsc::channel(AT_ONCE);
    let writer = tokio::spawn(send(write, queue));
    let mut answering = JoinSet::new();
    let result = match frame::read::<Hello>(&mut read).await {
        Ok(Some(hello)) if hello.protocol == PROTOCOL => {
            take(&mut read, &agent, &outgoing, &mut answering).await
        }
        // Our own hello has told the other side, which says it to its operator.
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    let finish = async { while answering.join_next().await.is_some() {} };
    // Over time: what is left is dropped; files are replaced whole or not at all.
    let _ = timeout(FAREWELL, finish).await;
    answering.shutdown().await;
    drop(outgoing);
    match writer.await {
        Ok(Ok(())) => result,
        // The other side is gone: then nobody reads, which ends us in the usual way.
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => result,
        Ok(Err(error)) => result.and(Err(error)),
        Err(error) => Err(io::Error::other(error)),
    }
}

async fn take(
    read: &mut (impl AsyncRead + Unpin),
    agent: &Arc<Agent>,
    outgoing: &mpsc::Sender<Vec<u8>>,
    answering: &mut JoinSet<()>,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let fence = Arc::new(Fence::default());
    loop {
        let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
        while answering.try_join_next().is_some() {}
        let Some(ask) = frame::read::<Ask>(read).await? else { return Ok(()) };
        let (agent, fence, outgoing) = (agent.clone(), fence.clone(), outgoing.clone());
        answering.spawn(async move {
            let _permit = permit;
            let id = ask.id;
            let result = match fence.pass(&ask).await {
                Pass::Go(step) => {
                    let result = agent.answer(ask).await;
                    if let Some(step) = step {
                        fence.done(step);
                    }
                    result
                }
                Pass::Refused(answer) => answer,
            };
            let answer = Answer { id, result };
            let bytes = frame::encode(&answer).or_else(|error| {
                let failure = Failure::new("answer", "the request", Kind::TooLarge, error);
                frame::encode(&Answer { id, result: Err(failure.hint("ask for less at once")) })
            });
            if let Ok(bytes) = bytes {
                // The writer ended: nobody reads.
                let _ = outgoing.send(bytes).await;
            }
        });
    }
}

async fn send(mut write: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut hello = PREAMBLE.to_vec();
    hello.extend(frame::encode(&Hello::ours())?);
    frame::write(&mut write, &hello).await?;
    while let Some(bytes) = queue.recv().await {
        frame::write(&mut write, &bytes).await?;
    }
    Ok(())
}

/// Requests answered at once; more wait unread.
const AT_ONCE: usize = 64;
/// When stdin closes in the middle of a change, the change is finished if it is quick.
const FAREWELL: Duration = Duration::from_secs(5);
