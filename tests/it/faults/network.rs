//! Servers and clients on one bridge, each in a network namespace of its own; cables are cut one direction at a time.
//!
//! The bridge lies in a namespace too, without any way out. The test's own thread moves in there: what it asks and
//! whom it starts is on the bridge, and no cut concerns it.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::run::{run, run_with_stdin};

/// An end of a cable: server `n`, or all clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Server(usize),
    Clients,
}

/// All namespaces go when dropped.
pub(crate) struct Network {
    name: String,
    servers: usize,
}

impl Network {
    pub(crate) fn up(servers: usize) -> Network {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Namespace names are the machine's: the process id keeps two runs apart.
        let name = format!("f{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run("ip", &["netns", "add", &name], &[]).ok();
        // From here on it is taken down, also when the rest fails.
        let network = Network { name, servers };
        enter(&network.name);
        ip("link set lo up\nlink add br0 type bridge\nlink set br0 up\naddr add 10.78.0.1/24 dev br0\n");
        for end in network.ends() {
            let (namespace, cable) = (network.namespace(end), cable(end));
            run("ip", &["netns", "add", &namespace], &[]).ok();
            ip(&format!(
                "link add {cable} type veth peer name eth0 netns {namespace}\nlink set {cable} master br0 up\n"
            ));
            let inside = format!("link set lo up\nlink set eth0 up\naddr add {}/24 dev eth0\n", address(end));
            run_with_stdin("ip", &["-n", &namespace, "-batch", "-"], &[], &inside).ok();
        }
        nft("table bridge faults {
               set cut { type ifname . ifname; }
               chain forward { type filter hook forward priority 0; iifname . oifname @cut drop; }
             }");
        network
    }

    /// Nothing gets from one to the other any more; the other direction is left as it is.
    pub(crate) fn cut(&self, from: End, to: End) {
        nft(&format!("add element bridge faults cut {{ {} . {} }}", cable(from), cable(to)));
    }

    pub(crate) fn cut_both_ways(&self, one: End, other: End) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Nothing gets from one side to the other.
    pub(crate) fn split(&self, one: &[End], other: &[End]) {
        for end in one {
            other.iter().for_each(|across| self.cut_both_ways(*end, *across));
        }
    }

    /// All cables are whole again.
    pub(crate) fn heal(&self) {
        nft("flush set bridge faults cut");
    }

    /// A program that will run at this end.
    pub(crate) fn command(&self, end: End, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(end), program]);
        command
    }

    pub(crate) fn namespace(&self, end: End) -> String {
        format!("{}-{}", self.name, cable(end))
    }

    fn ends(&self) -> Vec<End> {
        (1..=self.servers).map(End::Server).chain([End::Clients]).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let names = self.ends().into_iter().map(|end| self.namespace(end)).chain([self.name.clone()]);
        for name in names {
            // Half-built ones lack some; a namespace vanishes with its last user and its cables with it.
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// Moves the calling thread, and whatever it starts, into a namespace.
pub(crate) fn enter(namespace: &str) {
    let path = PathBuf::from("/run/netns").join(namespace);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network))
        .unwrap_or_else(|error| panic!("{namespace}: {error}: the tests need root"));
}

pub(crate) fn address(end: End) -> String {
    match end {
        End::Server(n) => format!("10.78.0.{}", 10 + n),
        End::Clients => "10.78.0.100".to_owned(),
    }
}

fn cable(end: End) -> String {
    match end {
        End::Server(n) => format!("s{n}"),
        End::Clients => "clients".to_owned(),
    }
}

fn ip(batch: &str) {
    run_with_stdin("ip", &["-batch", "-"], &[], batch).ok();
}

fn nft(rules: &str) {
    run_with_stdin("nft", &["-f", "-"], &[], rules).ok();
}
