//! A server from its zoo.cfg to its end: everything is read and checked, then opened, then started; SIGTERM
//! ends it in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};

use super::descriptors::Places;
use super::four_letter::{Whitelist, Words};
use super::limits::Limits;
use super::log::LogThread;
use super::origins::Origins;
use super::peers::Peers;
use super::sockets::Door;
use super::start::{self, Settings, Started};
use super::state::{self, Clock, Parts, State, Stopped};
use super::word_text::{Conf, Context, QuorumConf};
use super::{ask, clients};
use crate::config::{Identity, Invalid, Quorum, Role, ServerConfig};
use crate::ensemble::{Listen, Member, MemberRole};
use crate::server::replica::Replica;
use crate::server::store::{self, RealDisk, Refusal};
use crate::server::zab;

/// Why a server did not start or did not go on. The exit codes are the reference's (operations §10.1).
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Config(#[from] Invalid),
    #[error("{0}")]
    Data(#[from] Refusal),
    /// The data is damaged, and the peers did not make up for it.
    #[error("{damage}\nThe data was not fetched from the other servers: {reason}")]
    Unhealed { damage: Refusal, reason: String },
    #[error("{}", .0.reason)]
    Stopped(Stopped),
    #[error("{0}")]
    Other(String),
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Config(_) => 2,
            Failure::Data(_) => 3,
            // What the others cannot give now they may give soon: a manager that starts it again does right.
            Failure::Unhealed { .. } | Failure::Stopped(_) | Failure::Other(_) => 1,
        }
    }
}

/// Runs `zkops server ARGS` until SIGTERM or SIGINT. `ARGS` are a zoo.cfg and `-Dkey=value` overrides, in any
/// order.
///
/// # Errors
/// What keeps it from starting, or from going on.
pub fn run(args: &[String]) -> Result<(), Failure> {
    let (file, overrides) = arguments(args)?;
    let text = std::fs::read(&file)
        .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
    let read = |path: &Path| std::fs::read(path);
    let (config, warnings) = ServerConfig::parse(&file, &text, &overrides, &read)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let myid = store::identify(&RealDisk, &config.data_dir, &config.owner)?;
    let identity = config.identity(myid)?;
    if let Some(warning) = config.peer_type_warning(&identity) {
        tracing::warn!("{warning}");
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).min(4))
        .thread_name("io")
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("cannot start threads: {error}")))?;
    let result = serve(&runtime, &config, &identity, (&file, text));
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

/// `zoo.cfg` and the overrides.
fn arguments(args: &[String]) -> Result<(PathBuf, Vec<(String, String)>), Failure> {
    let mut file = None;
    let mut overrides = Vec::new();
    for arg in args {
        match arg.strip_prefix("-D") {
            Some(pair) => {
                let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
                overrides.push((key.to_owned(), value.to_owned()));
            }
            None if file.is_none() && !arg.starts_with('-') => file = Some(PathBuf::from(arg)),
            None => return Err(Failure::Usage(format!("unexpected argument `{arg}`"))),
        }
    }
    match file {
        Some(file) => Ok((file, overrides)),
        None => Err(Failure::Usage("which zoo.cfg? Usage: zkops server zoo.cfg [-Dkey=value …]".into())),
    }
}

/// `zoo_cfg` is the file that all of it was read from, with its content.
fn serve(
    runtime: &Runtime,
    config: &ServerConfig,
    identity: &Identity,
    zoo_cfg: (&Path, Vec<u8>),
) -> Result<(), Failure> {
    let settings = Settings::new(config, identity);
    let clock = Clock::start();
    let now = clock.now();
    let seed = (now.wall_ms as u64) ^ u64::from(std::process::id()).rotate_left(32);
    let Started { store, replica, notes, wound } = start::open(RealDisk, &settings, seed, now)?;
    notes.iter().for_each(|note| tracing::info!("{note}"));
    say_loaded(&settings, &replica, wound.as_ref());
    let _context = runtime.enter();
    let (stop_sender, stop) = watch::channel(false);
    let (to_state, from_clients) = mpsc::channel(CHANNEL_LEN);
    let (peer_inputs, from_peers) = mpsc::channel(PEER_CHANNEL_LEN);
    let (log_events, from_log) = mpsc::channel(LOG_CHANNEL_LEN);
    let (asker, asks) = ask::channel();

    let members = settings.zab.as_ref().map_or(0, |zab| zab.membership.members().count());
    let places = Places::of_this_process(members);
    let whitelist = Whitelist::new(&config.four_letter_words.join(","));
    let words = Words::new(asker, whitelist, words(config, identity, clock, zoo_cfg));
    let peers = match &config.role {
        Role::Standalone => None,
        Role::Quorum(quorum) => {
            let tasks = (runtime.handle().clone(), places.peers.clone());
            Some(open_peers(quorum, config, identity, peer_inputs, &stop, tasks)?)
        }
    };
    let fsync_warning = Duration::from_millis(config.storage.fsync_warning_ms);
    let log = LogThread::start(store, fsync_warning, log_events.clone())
        .map_err(|error| Failure::Other(format!("cannot start the log thread: {error}")))?;
    let owed = clients::owed(config.pipeline.frame_bytes_max);
    let parts = Parts {
        replica,
        clock,
        peers,
        log,
        dirs: settings.dirs,
        log_events,
        owed: owed.clone(),
        purge: config.storage.purge_interval_ms.map(|interval_ms| (interval_ms, config.storage.purge_retain)),
    };
    let state = State { parts, from_clients, from_peers, from_log, asks, stop: stop.clone() };
    if let Some(at) = &identity.client {
        let limits = Limits::new(
            config.pipeline.frame_bytes_max,
            [config.max_client_cnxns, config.max_cnxns].map(|max| max.unwrap_or(0) as usize),
            SILENCE_MAX,
            places.clients.clone(),
            owed,
        );
        let (words, limits) = (Arc::new(words), Arc::new(limits));
        runtime.spawn(client_door(at, config).open(move |listener| {
            clients::accept(listener, to_state.clone(), words.clone(), limits.clone(), stop.clone())
        }));
    }
    runtime.spawn(stop_on_signal(stop_sender));
    // Whoever listens for it is not killed by it: a file that may not grow is an error like a full disk.
    let _file_size_limit = signal(SignalKind::from_raw(SIGXFSZ));
    run_state(state).map_err(|failure| match (failure, wound) {
        (Failure::Stopped(Stopped { reason, wounded: true }), Some(damage)) => {
            Failure::Unhealed { damage, reason }
        }
        (failure, _) => failure,
    })
}

fn say_loaded(settings: &Settings, replica: &Replica, wound: Option<&Refusal>) {
    match wound {
        Some(damage) => tracing::warn!("{damage}\n{}", start::healing_words(settings)),
        None => tracing::info!(
            zxid = %replica.last_zxid(),
            znodes = replica.tree().node_count(),
            epoch = %replica.epoch(),
            "data loaded"
        ),
    }
}

/// The state thread is this thread: its loop has a timer and channels, and its sockets live elsewhere.
fn run_state(state: State) -> Result<(), Failure> {
    let thread = std::thread::Builder::new().name("state".into()).spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| Stopped::from(error.to_string()))?;
        runtime.block_on(state::run(state))
    });
    let thread = thread.map_err(|error| Failure::Other(format!("cannot start the state thread: {error}")))?;
    match thread.join() {
        Ok(result) => result.map_err(Failure::Stopped),
        Err(_) => {
            Err(Failure::Other("the state thread panicked: this is a bug, its message is above".into()))
        }
    }
}

async fn stop_on_signal(stop: watch::Sender<bool>) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be received: end this server with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("asked to stop");
    stop.send_replace(true);
}

fn open_peers(
    quorum: &Quorum,
    config: &ServerConfig,
    identity: &Identity,
    inputs: mpsc::Sender<Vec<zab::Input>>,
    stop: &watch::Receiver<bool>,
    tasks: (Handle, [Arc<Semaphore>; 2]),
) -> Result<Peers, Failure> {
    let Some(own) = quorum.membership.get(identity.me).map(Member::address) else {
        return Err(Failure::Other(format!("server.{} has no address in zoo.cfg", identity.me)));
    };
    let host = (!quorum.listen_on_all_ips).then(|| own.host.clone());
    let door = |what, port| Door { what, host: host.clone(), port, backlog: None };
    let doors = [door("election", own.election_port), door("quorum", own.quorum_port)];
    let timeout = Duration::from_millis(config.election.cnx_timeout_ms);
    Ok(Peers::start(doors, timeout, inputs, stop.clone(), tasks, config.pipeline.txn_bytes_max))
}

fn client_door(at: &Listen, config: &ServerConfig) -> Door {
    let backlog = config.client_port_listen_backlog.and_then(|backlog| i32::try_from(backlog).ok());
    Door { what: "client", host: at.host.clone(), port: at.port, backlog }
}

fn words(
    config: &ServerConfig,
    identity: &Identity,
    clock: Clock,
    (file, text): (&Path, Vec<u8>),
) -> Context {
    let now = clock.now();
    let (data_dir, data_log_dir) = (config.data_dir.join("version-2"), config.data_log_dir.join("version-2"));
    let quorum = match &config.role {
        Role::Standalone => None,
        Role::Quorum(quorum) => {
            let own = quorum.membership.get(identity.me).map(Member::address);
            let (quorum_port, election_port) =
                own.map_or((0, 0), |address| (address.quorum_port, address.election_port));
            Some(QuorumConf {
                init_limit: quorum.init_limit_ticks,
                sync_limit: quorum.sync_limit_ticks,
                election_port,
                quorum_port,
                observer: identity.role == MemberRole::Observer,
                membership: quorum.lines.clone(),
            })
        }
    };
    Context {
        membership: match &config.role {
            Role::Standalone => None,
            Role::Quorum(quorum) => Some(quorum.membership.clone()),
        },
        version: crate::VERSION.to_owned(),
        origins: Origins::new(file, text, &[&data_dir, &data_log_dir]),
        conf: Conf {
            client_port: identity.client.as_ref().map_or(-1, |at| at.port.into()),
            data_dir,
            data_log_dir,
            tick_ms: config.tick_ms,
            clients_per_ip_max: config.max_client_cnxns.unwrap_or(0) as usize,
            session_timeout_ms_min: i32::try_from(config.min_session_timeout_ms).unwrap_or(i32::MAX),
            session_timeout_ms_max: i32::try_from(config.max_session_timeout_ms).unwrap_or(i32::MAX),
            backlog: config.client_port_listen_backlog.map_or(-1, |backlog| backlog as i32),
            server_id: if quorum.is_some() { identity.me.0 } else { 0 },
            quorum,
        },
        origin_wall_ms: now.wall_ms - now.ms as i64,
    }
}

/// A file has reached the size that `ulimit -f` allows. The number is the same on every Linux that this is built for.
const SIGXFSZ: i32 = 25;

/// Messages of clients that wait for the state thread. A full channel slows the sockets down.
const CHANNEL_LEN: usize = 4096;

/// The same for peers, whose messages each carry what one read of a socket brought in.
const PEER_CHANNEL_LEN: usize = 256;

/// What the log and snapshot threads have told: they wait when the state thread is behind.
const LOG_CHANNEL_LEN: usize = 1024;

/// A connection that has not said all of its first frame in this time is closed (`sessionlessCnxnTimeout`).
const SILENCE_MAX: Duration = Duration::from_millis(10_000);
