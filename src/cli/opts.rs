//! What a user can type, and nothing else: clap's types, turned into goals by the verbs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::duration;
use crate::operator::operate::session::Source;

/// Deploys, repairs and is a ZooKeeper ensemble.
#[derive(Debug, Parser)]
#[command(name = "zkops", version, about, after_help = EXIT_CODES, max_term_width = 110)]
pub(super) struct Opts {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Global {
    /// Results and progress as one JSON document a line on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Record host keys that are in no known_hosts file (changed keys always stop)
    #[arg(long, global = true)]
    pub(super) accept_new_host_keys: bool,
    /// Give up after this long in all (30s, 5m)
    #[arg(long, global = true, value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    pub(super) timeout: Duration,
    /// Replace a lock that another operator's run left behind
    #[arg(long, global = true)]
    pub(super) break_lock: bool,
    /// Tell also what was done already; twice: the program's own log
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Bring every host to what the inventory says, and wait until the ensemble is ready
    Deploy(Deploy),
    /// Show what deploy would do; exit 8 when there is anything
    Plan(Inventory),
    /// Look at the hosts and try every connection, change nothing
    Check(Inventory),
    /// Show how every member is; exit 0 only when all are in sync
    Status(Status),
    /// Start servers that do not run
    Start(Members),
    /// Stop servers
    Stop(Members),
    /// Restart servers, one at a time while the ensemble serves
    Restart(Members),
    /// Bring one member back; its data is moved aside only if nothing milder helps
    Repair(Repair),
    /// Stop the ensemble and remove what deploy put on the hosts
    Destroy(Destroy),
    /// Put a key on every host: asks for the password once
    SshSetup(Inventory),
    /// Run a coordination server in the foreground: zkops server zoo.cfg [-Dkey=value …]
    #[command(disable_help_flag = true)]
    Server(Raw),
    /// The shell: zkops cli [-server host:port[,…][/chroot]] [command …]
    #[command(disable_help_flag = true)]
    Cli(Raw),
    /// Answer an operator's questions on stdin (what deploy runs on the hosts)
    #[command(hide = true)]
    Host(Host),
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
pub(super) struct Inventory {
    /// The inventory; without it, that of the last deployment
    #[arg(value_name = "INVENTORY")]
    pub(super) inventory: Option<PathBuf>,
}

impl Inventory {
    pub(super) fn source(&self) -> Source {
        source(self.inventory.as_ref())
    }
}

#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// The inventory
    #[arg(value_name = "INVENTORY")]
    pub(super) inventory: PathBuf,
    /// Show the plan and stop; exit 8 when there is anything to do
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// The inventory; without it, that of the last deployment
    #[arg(value_name = "INVENTORY")]
    pub(super) inventory: Option<PathBuf>,
    /// Look again and again
    #[arg(long, short)]
    pub(super) watch: bool,
    /// Pause between two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    pub(super) interval: Duration,
}

impl Status {
    pub(super) fn source(&self) -> Source {
        source(self.inventory.as_ref())
    }
}

#[derive(Debug, Args)]
pub(super) struct Members {
    /// Members by name or id; without any, all
    #[arg(value_name = "MEMBER")]
    pub(super) members: Vec<String>,
    /// The inventory; without it, that of the last deployment
    #[arg(long, short, value_name = "FILE")]
    pub(super) inventory: Option<PathBuf>,
    /// Show the plan and stop; exit 8 when there is anything to do
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Members {
    pub(super) fn source(&self) -> Source {
        source(self.inventory.as_ref())
    }
}

#[derive(Debug, Args)]
pub(super) struct Repair {
    /// The member by name or id
    #[arg(value_name = "MEMBER")]
    pub(super) member: String,
    /// The inventory; without it, that of the last deployment
    #[arg(long, short, value_name = "FILE")]
    pub(super) inventory: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Take all data anew from the others, whatever the diagnosis says
    #[arg(long)]
    pub(super) wipe: bool,
    /// Remove what this and earlier repairs moved aside
    #[arg(long)]
    pub(super) purge_old: bool,
    /// Show the plan and stop; exit 8 when there is anything to do
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Repair {
    pub(super) fn source(&self) -> Source {
        source(self.inventory.as_ref())
    }
}

#[derive(Debug, Args)]
pub(super) struct Destroy {
    /// The inventory; without it, that of the last deployment
    #[arg(value_name = "INVENTORY")]
    pub(super) inventory: Option<PathBuf>,
    /// Do not ask for the cluster's name
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Remove the data too
    #[arg(long)]
    pub(super) data: bool,
    /// Show the plan and stop; exit 8 when there is anything to do
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Destroy {
    pub(super) fn source(&self) -> Source {
        source(self.inventory.as_ref())
    }
}

/// Arguments in Apache's style, passed on as they are.
#[derive(Debug, Args)]
pub(super) struct Raw {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
    pub(super) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Host {
    /// Keep up the server that this file describes
    #[arg(long, value_name = "SPEC")]
    pub(super) supervise: Option<PathBuf>,
}

/// The inventory that was named, or that of the last deployment.
fn source(inventory: Option<&PathBuf>) -> Source {
    inventory.map_or(Source::LastDeployed, |path| Source::File(path.clone()))
}

const EXIT_CODES: &str = "\
Exit codes: 0 done or healthy, 1 failed, 2 bad usage or inventory, 3 preflight failed, 4 refused as unsafe,
5 stopped half-way (run again to resume), 6 locked by another operator, 7 hosts unreachable,
8 changes pending (plan), 9 unhealthy (status)";
