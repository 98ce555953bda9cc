//! One SSH connection after login: commands and streams on its channels. How it came to be is
//! `dialer` and `auth`; what to run is the caller's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, DisconnectReason, Handle, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{
    Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Disconnect, Preferred, Sig,
};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::error::{Error, printable};
use super::exec::{Capture, ExecOutput, Stdin, Stream, Tail};
use super::keyring::Asker;
use super::known_hosts::{Checked, HostKeys};
use super::patience::bound;
use super::status::Status;

/// A logged-in connection. Dropping it closes it.
pub(super) struct Session {
    label: String,
    handle: Handle<Client>,
    lost: LastWords,
    channels: Arc<Semaphore>,
    /// The connection that carries this one lives at least as long.
    _through: Option<Arc<Session>>,
}

impl Session {
    pub(super) fn new(
        label: String,
        handle: Handle<Client>,
        lost: LastWords,
        through: Option<Arc<Session>>,
    ) -> Session {
        let channels = Arc::new(Semaphore::new(CHANNELS_MAX));
        Session { label, handle, lost, channels, _through: through }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Says goodbye, so that the server logs an orderly end.
    pub(super) async fn close(&self) {
        // A connection that is already gone needs no goodbye.
        let _ = self.handle.disconnect(Disconnect::ByApplication, "done", "en").await;
    }

    /// Runs one command line to its end.
    pub(super) async fn exec(
        &self,
        what: &str,
        line: &str,
        stdin: Stdin<'_>,
        deadline: Instant,
    ) -> Result<ExecOutput, Error> {
        let doing = format!("running `{what}`");
        bound(&self.label, &doing, deadline, async {
            let (mut read, write) = self.start(what, line).await?;
            let feed = feed(&write, &stdin);
            let collect = self.collect(&mut read, &doing);
            tokio::pin!(feed, collect);
            let given_up = GivenUp(Some(&write));
            // A command may end without reading its input: then nobody waits for the rest.
            let finished = tokio::select! {
                finished = &mut collect => finished,
                () = &mut feed => collect.await,
            };
            given_up.not();
            finished
        })
        .await?
    }

    /// Starts one command line and hands its streams over.
    pub(super) async fn stream(&self, what: &str, line: &str, deadline: Instant) -> Result<Stream, Error> {
        let doing = format!("starting `{what}`");
        let (read, write) = bound(&self.label, &doing, deadline, self.start(what, line)).await??;
        let (to_reader, reader) = tokio::io::duplex(STREAM_BUFFER);
        let (ended_tx, ended) = oneshot::channel();
        let (alive, dropped) = oneshot::channel();
        let stderr = Tail::default();
        let writer = Box::pin(write.half().make_writer());
        let carrier = Carrier {
            read,
            write,
            to_reader,
            stderr: stderr.clone(),
            label: self.label.clone(),
            doing: format!("running `{what}`"),
            lost: self.lost.clone(),
        };
        // Ends by itself: when the channel closes, or as soon as the stream is dropped.
        tokio::spawn(carrier.run(dropped, ended_tx));
        Ok(Stream {
            host: self.label.clone(),
            command: what.to_string(),
            reader: Box::pin(reader),
            writer,
            stderr,
            ended,
            _alive: alive,
        })
    }

    /// A byte stream to another machine, opened by this one.
    pub(super) async fn forward(&self, host: &str, port: u16) -> Result<Channel<Msg>, russh::Error> {
        self.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await
    }

    pub(super) fn lost(&self, doing: &str) -> Error {
        lost(&self.label, doing, &self.lost)
    }

    async fn start(&self, what: &str, line: &str) -> Result<(ChannelReadHalf, Ours), Error> {
        let doing = format!("starting `{what}`");
        let permit = self.channels.clone().acquire_owned().await.map_err(|_| self.lost(&doing))?;
        let mut pause = OPEN_PAUSE_MIN;
        let channel = loop {
            match self.handle.channel_open_session().await {
                Ok(channel) => break channel,
                // sshd counts a session until its command has ended, also one that was given up.
                Err(russh::Error::ChannelOpenFailure(_)) if pause < OPEN_PAUSE_MAX => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(russh::Error::ChannelOpenFailure(why)) => {
                    return Err(self.refused("a session channel", &describe(&why)));
                }
                Err(_) => return Err(self.lost(&doing)),
            }
        };
        let (read, write) = channel.split();
        let write = Ours { taken: Some((write, permit)), given_up: AtomicBool::new(false) };
        write.half().exec(true, line.as_bytes()).await.map_err(|_| self.lost(&doing))?;
        Ok((read, write))
    }

    /// Output up to the channel's end; data may follow the exit status, so nothing stops before.
    async fn collect(&self, read: &mut ChannelReadHalf, doing: &str) -> Result<ExecOutput, Error> {
        let (mut stdout, mut stderr, mut status) = (Capture::default(), Capture::default(), None);
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => stdout.push(&data),
                ChannelMsg::ExtendedData { data, .. } => stderr.push(&data),
                ChannelMsg::Failure => return Err(self.refused("a command", "it does not allow exec")),
                other => status = status.or_else(|| ending(&other)),
            }
        }
        Ok(ExecOutput {
            status: status.ok_or_else(|| self.lost(doing))?,
            truncated: stdout.truncated || stderr.truncated,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
        })
    }

    fn refused(&self, what: &str, why: &str) -> Error {
        Error::Refused { host: self.label.clone(), what: what.to_string(), why: why.to_string() }
    }
}

/// The writing half of one of our channels, with its place among them. However its use ends,
/// also by a deadline, the channel is closed: sshd counts the open ones.
struct Ours {
    taken: Option<(ChannelWriteHalf<Msg>, OwnedSemaphorePermit)>,
    given_up: AtomicBool,
}

impl Ours {
    fn half(&self) -> &ChannelWriteHalf<Msg> {
        &self.taken.as_ref().expect("taken only when dropped").0
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let given_up = self.given_up.load(Ordering::Relaxed);
        if let (Some((write, permit)), Ok(runtime)) =
            (self.taken.take(), tokio::runtime::Handle::try_current())
        {
            // Ends by itself: it hands two messages to the connection, or finds it gone.
            runtime.spawn(async move {
                if given_up {
                    // sshd passes it on for users other than root only.
                    let _ = write.signal(Sig::TERM).await;
                }
                let _ = write.close().await;
                drop(permit);
            });
        }
    }
}

/// Marks a command as given up unless told otherwise: its deadline passed.
struct GivenUp<'a>(Option<&'a Ours>);

impl GivenUp<'_> {
    fn not(mut self) {
        self.0 = None;
    }
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(ours) = self.0 {
            ours.given_up.store(true, Ordering::Relaxed);
        }
    }
}

/// The reading side of a [`Stream`]: splits stdout from stderr and learns how it ended.
struct Carrier {
    read: ChannelReadHalf,
    write: Ours,
    to_reader: DuplexStream,
    stderr: Tail,
    label: String,
    doing: String,
    lost: LastWords,
}

impl Carrier {
    async fn run(
        mut self,
        mut dropped: oneshot::Receiver<()>,
        ended: oneshot::Sender<Result<Status, Error>>,
    ) {
        let mut status = None;
        let mut refused = false;
        loop {
            let message = tokio::select! {
                message = self.read.wait() => message,
                _ = &mut dropped => break,
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    // A reader that went away ends the stream at the next turn.
                    tokio::select! {
                        _ = self.to_reader.write_all(&data) => {}
                        _ = &mut dropped => break,
                    }
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => self.stderr.push(&data),
                Some(ChannelMsg::Eof) => {
                    let _ = self.to_reader.shutdown().await;
                }
                Some(ChannelMsg::Failure) => {
                    refused = true;
                    break;
                }
                Some(other) => status = status.or_else(|| ending(&other)),
                None => break,
            }
        }
        drop(self.write);
        let outcome = match status {
            Some(status) => Ok(status),
            None if refused => Err(Error::Refused {
                host: self.label,
                what: "a command".to_string(),
                why: "it does not allow exec".to_string(),
            }),
            None => Err(lost(&self.label, &self.doing, &self.lost)),
        };
        // Nobody may be waiting for the outcome any more.
        let _ = ended.send(outcome);
    }
}

async fn feed(write: &Ours, stdin: &Stdin<'_>) {
    let write = write.half();
    if let Some(first) = stdin.first.clone()
        && write.data_bytes(first).await.is_err()
    {
        return;
    }
    let mut sent = 0;
    for chunk in stdin.chunks() {
        let size = chunk.len();
        // A failure here means that the channel is closing; the reading side says why.
        if write.data_bytes(chunk).await.is_err() {
            return;
        }
        sent += size;
        stdin.sent(sent);
    }
    let _ = write.eof().await;
}

fn ending(message: &ChannelMsg) -> Option<Status> {
    match message {
        ChannelMsg::ExitStatus { exit_status } => Some(Status::Code(*exit_status as i32)),
        ChannelMsg::ExitSignal { signal_name, .. } => Some(Status::Signal(match signal_name {
            Sig::Custom(name) => name.clone(),
            known => format!("{known:?}"),
        })),
        _ => None,
    }
}

pub(super) fn describe(why: &ChannelOpenFailure) -> String {
    match why {
        ChannelOpenFailure::AdministrativelyProhibited => "prohibited by its configuration".to_string(),
        ChannelOpenFailure::ConnectFailed => "it could not connect".to_string(),
        ChannelOpenFailure::UnknownChannelType => "it does not know that kind of channel".to_string(),
        ChannelOpenFailure::ResourceShortage => "it is short of resources".to_string(),
        ChannelOpenFailure::Other { reason, .. } => reason.clone(),
    }
}

fn lost(label: &str, doing: &str, words: &LastWords) -> Error {
    Error::Lost { host: label.to_string(), doing: doing.to_string(), why: words.get() }
}

/// Why the connection ended, as far as it said: written by the connection's task.
#[derive(Debug, Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    pub(super) fn get(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.clone().unwrap_or_else(|| "the other side closed it".to_string())
    }

    fn set(&self, words: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(printable(&words));
    }
}

/// What russh asks during a connection's life.
pub(super) struct Client {
    pub(super) host_keys: HostKeys,
    pub(super) asker: Arc<Asker>,
    pub(super) lost: LastWords,
}

/// Either our own refusal of a host key, or the library's failure.
#[derive(Debug)]
pub(super) enum ClientError {
    HostKey(Box<Error>),
    Ssh(russh::Error),
}

impl From<russh::Error> for ClientError {
    fn from(e: russh::Error) -> ClientError {
        ClientError::Ssh(e)
    }
}

impl client::Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            // No certificate algorithm was offered, so this server breaks the protocol.
            PublicKeyOrCertificate::Certificate(_) => return Ok(false),
        };
        let host_keys = self.host_keys.clone();
        let shown = key.clone();
        let refused = |why: Error| ClientError::HostKey(Box::new(why));
        match tokio::task::spawn_blocking(move || host_keys.check(&shown)).await {
            Ok(Ok(Checked::Good)) => Ok(true),
            Ok(Ok(Checked::Unknown)) => {
                self.asker.trust(&self.host_keys, &key).await.map(|()| true).map_err(refused)
            }
            Ok(Err(e)) => Err(refused(e)),
            Err(_) => Ok(false),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ClientError>) -> Result<(), ClientError> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.lost.set(info.message.trim().to_string());
                Ok(())
            }
            DisconnectReason::Error(e) => {
                match &e {
                    ClientError::Ssh(russh::Error::KeepaliveTimeout) => {
                        self.lost.set(format!("no answer to {KEEPALIVES_MAX} keepalives in a row"));
                    }
                    ClientError::Ssh(e) => self.lost.set(e.to_string()),
                    ClientError::HostKey(_) => {}
                }
                Err(e)
            }
        }
    }
}

/// Settings of every connection. `window_size` is our receive window: it bounds pulls on links
/// with a long round trip. Compression stays off: what is large is sent compressed already.
pub(super) fn settings(preferred: Preferred, keepalive: Duration) -> client::Config {
    client::Config {
        nodelay: true,
        keepalive_interval: Some(keepalive),
        keepalive_max: KEEPALIVES_MAX,
        window_size: 16 << 20,
        preferred,
        ..client::Config::default()
    }
}

/// So many without an answer, and the connection is lost.
const KEEPALIVES_MAX: usize = 3;
/// Below sshd's default MaxSessions of 10.
const CHANNELS_MAX: usize = 8;
/// A refused channel is asked for again for some 6 s.
const OPEN_PAUSE_MIN: Duration = Duration::from_millis(50);
const OPEN_PAUSE_MAX: Duration = Duration::from_millis(6400);
/// What a stream holds for a reader that is busy.
const STREAM_BUFFER: usize = 256 << 10;
