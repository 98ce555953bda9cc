//! An ensemble that `zkops deploy` put on this machine: three servers on loopback, no SSH, no root.

use std::path::Path;

use crate::ensemble::Ports;
use crate::run::{Ended, ZKOPS, run};
use crate::terminal::Terminal;

/// An inventory with `connection: local`, a HOME of its own, and ports nobody else has. What was
/// deployed from it is destroyed when dropped.
pub(crate) struct Local {
    home: tempfile::TempDir,
    ports: Ports,
}

impl Local {
    #[track_caller]
    pub(crate) fn new() -> Local {
        let local =
            Local { home: tempfile::tempdir().expect("a temporary directory"), ports: Ports::reserve(9) };
        let mut text = "cluster: trial\nconnection: local\nnodes:\n".to_owned();
        for (n, ports) in local.ports.numbers.chunks(3).enumerate() {
            let n = n + 1;
            let [client, quorum, election] = ports else { panic!("three ports a node") };
            text += &format!(
                "  node-{n}: {{ id: {n}, ip: 127.0.0.1, ports: {{ client: {client}, quorum: {quorum}, election: {election} }} }}\n"
            );
        }
        std::fs::write(local.inventory(), text).expect("the home is writable");
        local
    }

    #[track_caller]
    pub(crate) fn deployed() -> Local {
        let local = Local::new();
        local.zkops(&["deploy", &local.inventory()]).ok();
        local
    }

    pub(crate) fn inventory(&self) -> String {
        self.home().join("trial.yml").display().to_string()
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The directory of a member's data.
    pub(crate) fn data(&self, node: usize) -> String {
        let found = run("find", &[&self.home().display().to_string(), "-name", "myid"], &[]).ok().stdout;
        let mine = found
            .lines()
            .find(|path| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == node.to_string()));
        mine.and_then(|path| path.strip_suffix("/myid")).expect("the member has a myid").to_owned()
    }

    /// `zkops ARGS` without a terminal.
    #[track_caller]
    pub(crate) fn zkops(&self, args: &[&str]) -> Ended {
        let home = self.home().display().to_string();
        run(ZKOPS, args, &[("HOME", &home), ("XDG_STATE_HOME", &home)])
    }

    /// `zkops ARGS` in a terminal.
    #[track_caller]
    pub(crate) fn terminal(&self, args: &[&str]) -> Terminal {
        let home = self.home().display().to_string();
        Terminal::start(&format!("{ZKOPS} {}", args.join(" ")), &[("HOME", &home), ("XDG_STATE_HOME", &home)])
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Nothing is left to destroy where nothing was deployed, or the test did it itself.
        let gone = self.zkops(&["destroy", &self.inventory(), "--cluster", "trial", "--data"]);
        if ![0, 7].contains(&gone.code) && !std::thread::panicking() {
            panic!("the ensemble was not taken down: {gone}");
        }
    }
}
