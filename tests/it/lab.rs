//! Real hosts for tests: `tests/lab/lab` under a name of its own, taken down when dropped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::ensemble::SOON;
use crate::run::{Ended, ZKOPS, eventually, run, run_with_stdin};
use crate::terminal::Terminal;

/// A running lab. Hosts are `node-1` … at 10.77.0.11 …, the operator is the controller at 10.77.0.1.
pub(crate) struct Lab {
    name: String,
    hosts: usize,
    env: Vec<(String, String)>,
    /// No host has an IPv4 address.
    v6_alone: bool,
    /// HOME of the operator: records, history and keys of a test stay its own.
    home: tempfile::TempDir,
}

/// How hosts are made where the default (systemd, firewalld) is not what the test is about.
#[derive(Default)]
pub(crate) struct Make<'a> {
    pub(crate) firewalls: Option<&'a str>,
    pub(crate) plain: bool,
    /// "only" or "dual": hosts are fd77::11 … too, or that alone.
    pub(crate) v6: Option<&'a str>,
}

impl Lab {
    #[track_caller]
    pub(crate) fn up(hosts: usize) -> Lab {
        Lab::made(hosts, &Make::default())
    }

    #[track_caller]
    pub(crate) fn made(hosts: usize, make: &Make<'_>) -> Lab {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Namespace names are the machine's: the process id keeps two runs apart.
        let name = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut env = vec![("LAB_NAME".to_owned(), name.clone())];
        if let Some(firewalls) = make.firewalls {
            env.push(("LAB_FW".into(), firewalls.into()));
        }
        if make.plain {
            env.push(("LAB_INIT".into(), "plain".into()));
        }
        if let Some(v6) = make.v6 {
            env.push(("LAB_V6".into(), v6.into()));
        }
        let home = tempfile::tempdir().expect("a temporary directory");
        let lab = Lab { name, hosts, env, v6_alone: make.v6 == Some("only"), home };
        lab.lab(&["up", &hosts.to_string()]).ok();
        lab
    }

    /// A command of the lab itself: `kill node-1`, `cut node-2`, `fill node-3 /` …
    #[track_caller]
    pub(crate) fn lab(&self, args: &[&str]) -> Ended {
        run(script(), args, &self.env())
    }

    /// The same, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(script());
        command.args(args).envs(self.env());
        command
    }

    /// A shell command outside of all hosts; `$LAB` is the lab's own program.
    #[track_caller]
    pub(crate) fn script(&self, command: &str) -> Ended {
        let lab = script().display().to_string();
        run("bash", &["-c", command], &[self.env(), vec![("LAB", &lab)]].concat())
    }

    /// A shell command in the host, not over the network: works when it is cut off.
    #[track_caller]
    pub(crate) fn on(&self, node: usize, command: &str) -> Ended {
        self.lab(&["exec", &format!("node-{node}"), command])
    }

    /// `zkops ARGS` as the operator on the controller.
    #[track_caller]
    pub(crate) fn zkops(&self, args: &[&str]) -> Ended {
        self.zkops_typing(args, "")
    }

    #[track_caller]
    pub(crate) fn zkops_typing(&self, args: &[&str], stdin: &str) -> Ended {
        self.ctl_typing(&[&[ZKOPS], args].concat(), stdin)
    }

    /// Any program on the controller.
    #[track_caller]
    pub(crate) fn ctl(&self, command: &[&str]) -> Ended {
        self.ctl_typing(command, "")
    }

    /// `zkops ARGS` on a second controller that reaches nothing but one host (`lab far`).
    #[track_caller]
    pub(crate) fn zkops_from_far(&self, args: &[&str]) -> Ended {
        let home = self.home().display().to_string();
        let env =
            [self.env(), vec![("HOME", &home), ("XDG_STATE_HOME", &home), ("SSH_AUTH_SOCK", "")]].concat();
        run(script(), &[&["farctl", ZKOPS], args].concat(), &env)
    }

    #[track_caller]
    fn ctl_typing(&self, command: &[&str], stdin: &str) -> Ended {
        let mut env = self.env();
        let home = self.home().display().to_string();
        env.push(("HOME", &home));
        env.push(("XDG_STATE_HOME", &home));
        env.push(("SSH_AUTH_SOCK", ""));
        run_with_stdin(script(), &[&["ctl"], command].concat(), &env, stdin)
    }

    /// The same, not yet started, for a test that talks to it or kills it.
    pub(crate) fn ctl_command(&self, command: &[&str]) -> Command {
        // Not through the lab's script: a kill must hit the program itself.
        let mut ctl = Command::new("ip");
        ctl.args(["netns", "exec", &self.name]).args(command);
        ctl.env("HOME", self.home()).env("XDG_STATE_HOME", self.home()).env("SSH_AUTH_SOCK", "");
        ctl
    }

    /// `zkops ARGS` in a terminal, as the operator on the controller.
    #[track_caller]
    pub(crate) fn terminal(&self, args: &[&str]) -> Terminal {
        self.terminal_in(&self.name, args)
    }

    /// The same on the second controller, that of `lab far`.
    #[track_caller]
    pub(crate) fn terminal_from_far(&self, args: &[&str]) -> Terminal {
        self.terminal_in(&format!("{}-far", self.name), args)
    }

    #[track_caller]
    fn terminal_in(&self, namespace: &str, args: &[&str]) -> Terminal {
        let home = self.home().display().to_string();
        let env = [("HOME", home.as_str()), ("XDG_STATE_HOME", &home), ("SSH_AUTH_SOCK", "")];
        Terminal::start(&format!("ip netns exec {namespace} {ZKOPS} {}", args.join(" ")), &env)
    }

    /// Whoever runs the tests may ignore HUP (nohup, a service), and so would the program: it respects that.
    pub(crate) fn zkops_command(&self, args: &[&str]) -> Command {
        self.ctl_command(&[&["env", "--default-signal=HUP", ZKOPS], args].concat())
    }

    /// Lines typed into the shell of a host's server; everything it says.
    #[track_caller]
    pub(crate) fn cli(&self, node: usize, lines: &str) -> String {
        let server = match self.address(node) {
            v6 if v6.contains(':') => format!("[{v6}]:2181"),
            v4 => format!("{v4}:2181"),
        };
        // One stream, as a terminal shows it.
        let command = format!("exec {ZKOPS} cli -server {server} 2>&1");
        let ended = self.ctl_typing(&["sh", "-c", &command], lines);
        assert!(ended.code >= 0, "{ended}");
        ended.stdout
    }

    /// The word behind `Mode:`, if the host's server serves.
    pub(crate) fn mode(&self, node: usize) -> Option<String> {
        let ask = format!("exec 3<>/dev/tcp/{}/2181; echo srvr >&3; timeout 3 cat <&3", self.address(node));
        let text = self.ctl(&["timeout", "5", "bash", "-c", &ask]).stdout;
        text.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    /// Every host's mode, empty where it does not serve.
    pub(crate) fn modes(&self) -> Vec<String> {
        (1..=self.hosts).map(|node| self.mode(node).unwrap_or_default()).collect()
    }

    #[track_caller]
    pub(crate) fn node_that_is(&self, role: &str) -> usize {
        eventually(&format!("a {role}"), SOON, || {
            self.modes().iter().position(|mode| mode == role).map(|at| at + 1).ok_or("none")
        })
    }

    /// Waits until `zkops status` is content.
    #[track_caller]
    pub(crate) fn await_healthy(&self) {
        eventually("the ensemble is healthy", SOON, || {
            let status = self.zkops(&["status"]);
            if status.code == 0 { Ok(()) } else { Err(status.to_string()) }
        });
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn ip(node: usize) -> String {
        format!("10.77.0.{}", node + 10)
    }

    /// Where the host is reached in this lab.
    pub(crate) fn address(&self, node: usize) -> String {
        if self.v6_alone { format!("fd77::{}", node + 10) } else { Lab::ip(node) }
    }

    /// The directory of the lab's own keys and disks.
    pub(crate) fn dir(&self) -> PathBuf {
        PathBuf::from(format!("/var/cache/zklab/run/{}", self.name))
    }

    /// The everyday inventory for all hosts, with `extra` lines at its end.
    #[track_caller]
    pub(crate) fn inventory(&self, extra: &str) -> String {
        let dir = self.dir().display().to_string();
        let mut text = format!(
            "cluster: orders\nssh: {{ user: root, key: {dir}/id, known_hosts: {dir}/known_hosts }}\nnodes:\n"
        );
        for node in 1..=self.hosts {
            text += &format!("  node-{node}: {{ id: {node}, ip: \"{}\" }}\n", self.address(node));
        }
        text += extra;
        self.write("orders.yml", &text)
    }

    /// A file in the operator's home; gives its path.
    #[track_caller]
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.home().join(name);
        std::fs::write(&path, text).expect("the operator's home is writable");
        path.display().to_string()
    }

    fn env(&self) -> Vec<(&str, &str)> {
        self.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let down = run(script(), &["down"], &self.env());
        if down.code != 0 && !std::thread::panicking() {
            panic!("the lab was not taken down: {down}");
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab")
}
