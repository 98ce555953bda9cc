//! Servers on loopback, each a real process with a directory and ports of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::run::{ZKOPS, eventually};

/// How long a start, an election or a sync may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Servers of one ensemble, or one standalone server. All end when dropped.
pub(crate) struct Ensemble {
    dir: tempfile::TempDir,
    servers: Vec<Server>,
    /// How many descriptors each process may have, where that is less than the machine's own bound.
    descriptors: Option<u32>,
    _ports: Option<Ports>,
}

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) client_port: u16,
    pub(crate) quorum_port: u16,
    pub(crate) election_port: u16,
}

struct Server {
    place: Place,
    child: Option<Child>,
}

impl Ensemble {
    /// `members` servers on loopback, the last `observers` of them observers, with `extra` lines in each
    /// zoo.cfg; not yet started.
    pub(crate) fn new(members: usize, observers: usize, extra: &str) -> Ensemble {
        let reserved = Ports::reserve(members * 3);
        let host = "127.0.0.1".to_owned();
        let places = reserved.numbers.chunks(3).map(|ports| Place {
            host: host.clone(),
            client_port: ports[0],
            quorum_port: ports[1],
            election_port: ports[2],
        });
        let extra = format!("tickTime=500\ninitLimit=20\nsyncLimit=10\n{extra}");
        let mut ensemble = Ensemble::at(&places.collect::<Vec<_>>(), observers, &extra);
        ensemble._ports = Some(reserved);
        ensemble
    }

    /// Servers at these places, the last `observers` of them observers, with `settings` in each zoo.cfg.
    pub(crate) fn at(places: &[Place], observers: usize, settings: &str) -> Ensemble {
        let members = places.len();
        let mut lines = String::new();
        if members > 1 {
            for (n, place) in places.iter().enumerate() {
                let role = if n >= members - observers { ":observer" } else { "" };
                let Place { host, quorum_port, election_port, .. } = place;
                lines += &format!("server.{}={host}:{quorum_port}:{election_port}{role}\n", n + 1);
            }
        }
        let servers = places.iter().map(|place| Server { place: place.clone(), child: None }).collect();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ensemble = Ensemble { dir, servers, descriptors: None, _ports: None };
        for (n, place) in (1..).zip(places) {
            let data = ensemble.data(n);
            std::fs::create_dir_all(&data).expect("the directory is ours");
            std::fs::write(data.join("myid"), format!("{n}\n")).expect("the directory is ours");
            let text = format!(
                "dataDir={}\nclientPort={}\nclientPortAddress={}\n4lw.commands.whitelist=*\n\
                 preAllocSize=64\n{settings}\n{lines}",
                data.display(),
                place.client_port,
                place.host,
            );
            std::fs::write(ensemble.config(n), text).expect("the directory is ours");
        }
        ensemble
    }

    /// All started, and serving.
    pub(crate) fn started(members: usize) -> Ensemble {
        Ensemble::cramped(members, "")
    }

    /// As [`Ensemble::started`], with `extra` lines in each zoo.cfg: whatever is done to them, they do with few
    /// descriptors.
    pub(crate) fn cramped(members: usize, extra: &str) -> Ensemble {
        let mut ensemble = Ensemble::new(members, 0, extra);
        ensemble.descriptors = Some(256);
        (1..=members).for_each(|n| ensemble.start(n));
        ensemble.await_serving();
        ensemble
    }

    pub(crate) fn start(&mut self, n: usize) {
        let limits = self.descriptors.map(|most| format!("ulimit -n {most}"));
        match limits {
            Some(limits) => self.start_limited(n, &limits),
            None => {
                let mut command = Command::new(ZKOPS);
                command.arg("server").arg(self.config(n));
                self.start_as(n, command);
            }
        }
    }

    /// Starts a server under a shell's limits (`ulimit …`).
    pub(crate) fn start_limited(&mut self, n: usize, limits: &str) {
        let mut command = Command::new("/bin/sh");
        let config = self.config(n);
        command.args(["-c", &format!("{limits}; exec {ZKOPS} server {}", config.display())]);
        self.start_as(n, command);
    }

    /// Starts `command` as server `n`: the same directory, ports and log, perhaps another implementation.
    pub(crate) fn start_as(&mut self, n: usize, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.log(n)).expect("the directory is ours");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.servers[n - 1].child = Some(child);
    }

    /// Freezes a server: it takes nothing more in, and ends by `kill` without having done so.
    pub(crate) fn freeze(&self, n: usize) {
        let child = self.servers[n - 1].child.as_ref().expect("the server runs");
        let frozen = Command::new("kill").args(["-STOP", &child.id().to_string()]).status();
        assert!(frozen.expect("kill is there").success(), "server {n} cannot be frozen");
        // A signal is on its way for a while; every thread must have come to a stop.
        eventually(&format!("server {n} is frozen"), SOON, || {
            let states = thread_states(child.id());
            if !states.is_empty() && states.chars().all(|state| state == 'T') { Ok(()) } else { Err(states) }
        });
    }

    /// Lets a frozen server go on as if no time had passed.
    pub(crate) fn thaw(&self, n: usize) {
        let pid = self.pid(n).expect("the server runs");
        let thawed = Command::new("kill").args(["-CONT", &pid.to_string()]).status();
        assert!(thawed.expect("kill is there").success(), "server {n} cannot be thawed");
    }

    /// How many servers there are, running or not.
    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// The process that was started as server `n`, whether or not it still runs.
    pub(crate) fn pid(&self, n: usize) -> Option<u32> {
        self.servers[n - 1].child.as_ref().map(Child::id)
    }

    /// Whether server `n` has ended by itself, and how.
    pub(crate) fn ended(&mut self, n: usize) -> Option<std::process::ExitStatus> {
        self.servers[n - 1].child.as_mut()?.try_wait().expect("our own child can be asked")
    }

    /// SIGKILL: nothing is flushed, no connection is closed in order.
    pub(crate) fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.servers[n - 1].child.take() {
            child.kill().expect("our own child can be killed");
            child.wait().expect("our own child can be waited for");
        }
    }

    /// SIGTERM; gives the exit code.
    pub(crate) fn stop(&mut self, n: usize) -> i32 {
        let child = self.servers[n - 1].child.as_ref().expect("the server runs");
        Command::new("kill").arg(child.id().to_string()).status().expect("kill is there");
        self.await_end(n)
    }

    /// Waits until a server ends by itself; gives the exit code.
    pub(crate) fn await_end(&mut self, n: usize) -> i32 {
        let mut child = self.servers[n - 1].child.take().expect("the server runs");
        let what = format!("server {n} ends");
        let status = eventually(&what, SOON, || child.try_wait().ok().flatten().ok_or("still running"));
        status.code().unwrap_or(-1)
    }

    /// Waits until every server that runs serves, with one leader among them.
    pub(crate) fn await_serving(&self) {
        let running: Vec<usize> =
            (1..=self.servers.len()).filter(|n| self.servers[n - 1].child.is_some()).collect();
        eventually("the ensemble serves", SOON, || {
            let modes: Vec<String> = running.iter().map(|n| self.mode(*n).unwrap_or_default()).collect();
            let leaders = modes.iter().filter(|mode| *mode == "leader" || *mode == "standalone").count();
            match leaders == 1 && modes.iter().all(|mode| !mode.is_empty()) {
                true => Ok(()),
                false => Err(format!("modes {modes:?}\n{}", self.logs())),
            }
        });
    }

    /// The word behind `Mode:`, if the server serves.
    pub(crate) fn mode(&self, n: usize) -> Option<String> {
        let text = self.ask(n, "srvr")?;
        text.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    pub(crate) fn leader(&self) -> usize {
        eventually("there is a leader", SOON, || {
            (1..=self.servers.len()).find(|n| self.mode(*n).as_deref() == Some("leader")).ok_or("none")
        })
    }

    /// A four-letter word's answer.
    pub(crate) fn ask(&self, n: usize, word: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address(n)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(word.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    pub(crate) fn client_port(&self, n: usize) -> u16 {
        self.servers[n - 1].place.client_port
    }

    pub(crate) fn address(&self, n: usize) -> String {
        format!("{}:{}", self.servers[n - 1].place.host, self.client_port(n))
    }

    /// Where learners find server `n` when it leads.
    pub(crate) fn quorum_address(&self, n: usize) -> String {
        let Place { host, quorum_port, .. } = &self.servers[n - 1].place;
        format!("{host}:{quorum_port}")
    }

    pub(crate) fn election_address(&self, n: usize) -> String {
        let Place { host, election_port, .. } = &self.servers[n - 1].place;
        format!("{host}:{election_port}")
    }

    /// All client addresses, as clients take them.
    pub(crate) fn addresses(&self) -> String {
        (1..=self.servers.len()).map(|n| self.address(n)).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn data(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("data-{n}"))
    }

    pub(crate) fn config(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("zoo-{n}.cfg"))
    }

    pub(crate) fn log(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("server-{n}.log"))
    }

    /// The end of every server's log, for the message of a failing test.
    pub(crate) fn logs(&self) -> String {
        (1..=self.servers.len())
            .map(|n| {
                let text = std::fs::read_to_string(self.log(n)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().rev().take(12).collect();
                let tail: Vec<&str> = lines.into_iter().rev().collect();
                format!("--- server {n}\n{}\n", tail.join("\n"))
            })
            .collect()
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        (1..=self.servers.len()).for_each(|n| self.kill(n));
    }
}

/// One letter per thread, as in /proc/PID/stat.
fn thread_states(pid: u32) -> String {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return String::new() };
    let stats =
        threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    stats.filter_map(|stat| stat.rsplit(") ").next()?.chars().next()).collect()
}

/// Ports of 127.0.0.1 that nothing else takes while this lives: they lie below those the kernel gives to
/// outgoing connections, and each is held as a UDP port of an address that no server uses, so that tests of
/// other processes pass it over and nobody finds the TCP port taken.
pub(crate) struct Ports {
    pub(crate) numbers: Vec<u16>,
    _held: Vec<UdpSocket>,
}

impl Ports {
    pub(crate) fn reserve(count: usize) -> Ports {
        const FIRST: u16 = 10_000;
        const COUNT: u16 = 22_000;
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let mut ports = Ports { numbers: Vec::new(), _held: Vec::new() };
        // Processes start looking at different places.
        let start = std::process::id().wrapping_mul(97);
        for _ in 0..COUNT {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = FIRST + (start.wrapping_add(step) % u32::from(COUNT)) as u16;
            if let Ok(held) = UdpSocket::bind(("127.0.0.77", port))
                && TcpListener::bind(("127.0.0.1", port)).is_ok()
            {
                ports.numbers.push(port);
                ports._held.push(held);
            }
            if ports.numbers.len() == count {
                return ports;
            }
        }
        panic!("loopback has no {count} free ports from {FIRST} on");
    }
}

/// The Python that `tests/run` prepared and a script of `tests/kazoo`.
pub(crate) fn kazoo_script(script: &str) -> [String; 2] {
    let venv = std::env::var("ZKOPS_TEST_VENV").unwrap_or_else(|_| "/var/cache/zklab/venv".to_owned());
    let python = Path::new(&venv).join("bin/python");
    assert!(
        python.exists(),
        "{} is missing: run the tests with tests/run, which installs kazoo",
        python.display()
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kazoo").join(script);
    [python.display().to_string(), script.display().to_string()]
}

pub(crate) fn kazoo(script: &str) -> Command {
    let [python, script] = kazoo_script(script);
    let mut command = Command::new(python);
    command.arg(script);
    command
}

/// `tests/kazoo/writer.py` at work.
pub(crate) struct Writer {
    child: Child,
    acked: BufReader<std::process::ChildStdout>,
}

impl Writer {
    /// Starts `command` (kazoo's writer, with its arguments) and waits for its first acknowledged write.
    pub(crate) fn start(mut command: Command) -> Writer {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python is there");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut writer = Writer { child, acked: BufReader::new(stdout) };
        writer.await_acks(1);
        writer
    }

    /// Waits until so many more writes are acknowledged.
    pub(crate) fn await_acks(&mut self, count: usize) {
        for _ in 0..count {
            let mut line = String::new();
            let read = self.acked.read_line(&mut line).expect("the writer's output is text");
            assert!(read > 0, "the writer ended early");
        }
    }

    /// Ends it and checks that nothing acknowledged is lost; gives its closing lines (acked, gap, lost).
    #[track_caller]
    pub(crate) fn finish(mut self) -> String {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.acked.read_to_string(&mut text).expect("the writer's output is text");
        let status = self.child.wait().expect("our own child can be waited for");
        let closing: Vec<&str> =
            text.lines().filter(|line| !line.starts_with(|c: char| c.is_ascii_digit())).collect();
        assert!(status.success(), "acknowledged writes are lost: {closing:?}");
        closing.join(", ")
    }
}
