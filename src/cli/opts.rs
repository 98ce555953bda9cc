//! What a user can type, and nothing else: clap's types, turned into goals by the verbs. The examples in each verb's
//! help stand in `examples`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::opts_files::{Snapshot, Txnlog};
use super::{duration, examples, moment};
use crate::operator::operate::session::Source;

/// Deploys, repairs and is a ZooKeeper ensemble.
#[derive(Debug, Parser)]
#[command(name = "zkops", version, about, after_help = examples::PROGRAM, max_term_width = 110)]
pub(super) struct Opts {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub(super) struct Global {
    /// Results, progress and errors as one JSON document a line on stdout
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
    /// Write an inventory, from user@host words or by questions
    #[command(after_help = examples::INIT)]
    Init(Init),
    /// Bring every host to what the inventory says, and wait until the ensemble is ready
    #[command(after_help = examples::DEPLOY)]
    Deploy(Deploy),
    /// Show what deploy would do; exit 8 when there is anything
    #[command(after_help = examples::PLAN)]
    Plan(Whole),
    /// Look at the hosts and try every connection, change nothing
    #[command(after_help = examples::CHECK)]
    Check(Whole),
    /// Show how every member is; exit 0 only when all are in sync
    #[command(after_help = examples::STATUS)]
    Status(Status),
    /// Show what the members' servers wrote, in one order by this machine's clock
    #[command(after_help = examples::LOGS)]
    Logs(Logs),
    /// Start servers that do not run
    #[command(after_help = examples::START)]
    Start(Members),
    /// Stop servers; asks before it stops all of them
    #[command(after_help = examples::STOP)]
    Stop(Stop),
    /// Say whether members may go down now: exit 0, or 4 with the reason
    #[command(after_help = examples::OK_TO_STOP)]
    OkToStop(OkToStop),
    /// Restart servers, one at a time while the ensemble serves
    #[command(after_help = examples::RESTART)]
    Restart(Members),
    /// Bring one member back; its data stays unless you agree to more
    #[command(after_help = examples::REPAIR)]
    Repair(Repair),
    /// Stop the ensemble and remove what deploy put on the hosts
    #[command(after_help = examples::DESTROY)]
    Destroy(Destroy),
    /// Put a key on every host: asks for the password once
    #[command(after_help = examples::SSH_SETUP)]
    SshSetup(Inventory),
    /// Run a coordination server in the foreground: zkops server zoo.cfg [-Dkey=value …]
    #[command(
        long_about = examples::SERVER_ABOUT,
        override_usage = examples::SERVER_USAGE,
        after_help = examples::SERVER,
        help_template = examples::APACHE_TEMPLATE
    )]
    Server(Raw),
    /// The shell: zkops cli [-server host:port[,…][/chroot]] [command …]
    #[command(
        long_about = examples::CLI_ABOUT,
        override_usage = examples::CLI_USAGE,
        after_help = examples::CLI,
        help_template = examples::APACHE_TEMPLATE
    )]
    Cli(Raw),
    /// What stands in txn logs: print and filter, who changed a znode
    #[command(after_help = examples::TXNLOG)]
    Txnlog(Box<Txnlog>),
    /// What stands in snapshots: print, search, check and compare
    #[command(after_help = examples::SNAPSHOT)]
    Snapshot(Snapshot),
    /// Answer an operator's questions on stdin (what deploy runs on the hosts)
    #[command(hide = true)]
    Host(Host),
    /// Print the inventory's JSON Schema, for editors
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Print what makes a shell complete these words
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Print the manual page, or write those of all verbs
    #[command(after_help = examples::MAN)]
    Man(Man),
    /// Print the version
    #[command(after_help = examples::VERSION)]
    Version,
}

impl Verb {
    /// Members whose hosts are left out.
    pub(super) fn without(&self) -> &[String] {
        match self {
            Verb::Deploy(opts) => &opts.without.without,
            Verb::Plan(opts) | Verb::Check(opts) => &opts.without.without,
            Verb::Start(opts) | Verb::Restart(opts) => &opts.without.without,
            Verb::Stop(opts) => &opts.which.without.without,
            Verb::Repair(opts) => &opts.without.without,
            Verb::Destroy(opts) => &opts.without.without,
            _ => &[],
        }
    }

    /// The ensemble it is about.
    pub(super) fn source(&self) -> Source {
        match self {
            Verb::Deploy(opts) => Source::File(opts.path()),
            Verb::Plan(opts) | Verb::Check(opts) => opts.which.source(),
            Verb::Status(opts) => opts.which.source(),
            Verb::Logs(opts) => opts.source(),
            Verb::Start(opts) | Verb::Restart(opts) => opts.source(),
            Verb::Stop(opts) => opts.which.source(),
            Verb::OkToStop(opts) => opts.source(),
            Verb::Repair(opts) => opts.source(),
            Verb::Destroy(opts) => opts.which.source(),
            Verb::SshSetup(opts) => opts.source(),
            _ => Source::LastDeployed,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Hosts, each as [user@]host[:port]; localhost several times: servers on this machine
    #[arg(value_name = "HOST")]
    pub(super) hosts: Vec<String>,
    /// Write it here; without it, to stdout
    #[arg(long, short, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// The cluster's name
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Replace the file without asking
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Inventory {
    /// The inventory; without it, that of the last deployment
    #[arg(value_name = "INVENTORY", conflicts_with = "inventory")]
    pub(super) file: Option<PathBuf>,
    /// The inventory, as every verb takes it
    #[arg(long, short, value_name = "FILE")]
    pub(super) inventory: Option<PathBuf>,
}

impl Inventory {
    pub(super) fn source(&self) -> Source {
        source(self.file.as_ref().or(self.inventory.as_ref()))
    }
}

/// Hosts that are down for longer do not keep the others from being worked on.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Without {
    /// Leave the hosts of these members out, where the others are a quorum of all voters; what is left to do for
    /// them is said and remembered
    #[arg(long, value_name = "MEMBER", value_delimiter = ',')]
    pub(super) without: Vec<String>,
}

/// The inventory of a verb about the whole ensemble that can go without some hosts.
#[derive(Debug, Args)]
pub(super) struct Whole {
    #[command(flatten)]
    pub(super) which: Inventory,
    #[command(flatten)]
    pub(super) without: Without,
}

#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// The inventory
    #[arg(value_name = "INVENTORY", conflicts_with = "inventory", required_unless_present = "inventory")]
    pub(super) file: Option<PathBuf>,
    /// The inventory, as every verb takes it
    #[arg(long, short, value_name = "FILE")]
    pub(super) inventory: Option<PathBuf>,
    #[command(flatten)]
    pub(super) without: Without,
    /// Show the plan and stop; exit 8 when there is anything to do
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The old host of a member that moves will never run it again: all others block its address
    #[arg(long)]
    pub(super) old_host_is_gone: bool,
}

impl Deploy {
    /// The one of the two that was typed.
    pub(super) fn path(&self) -> PathBuf {
        self.file.clone().or_else(|| self.inventory.clone()).expect("clap lets no other line through")
    }
}

#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) which: Inventory,
    /// Look again and again; a look changes nothing
    #[arg(long, short)]
    pub(super) watch: bool,
    /// One line and exit codes 0 to 3, as monitoring plugins have them (Nagios, Icinga, Checkmk)
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    pub(super) nagios: bool,
    /// Metrics in the text format of Prometheus
    #[arg(long, conflicts_with_all = ["watch", "nagios", "json"])]
    pub(super) prometheus: bool,
    /// Pause between two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    pub(super) interval: Duration,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Members by name or id; without any, all
    #[arg(value_name = "MEMBER")]
    pub(super) members: Vec<String>,
    /// The inventory; without it, that of the last deployment
    #[arg(long, short, value_name = "FILE")]
    pub(super) inventory: Option<PathBuf>,
    /// Nothing older than this (10m, 2026-11-30T03:55:58Z, "2026-11-30 03:55" in UTC)
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(super) since: Option<i64>,
    /// The last so many lines of each member, 10000 at most
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) lines: u16,
    /// Go on with what is written from now on
    #[arg(long, short)]
    pub(super) follow: bool,
}

impl Logs {
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
    #[command(flatten)]
    pub(super) without: Without,
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
pub(super) struct Stop {
    #[command(flatten)]
    pub(super) which: Members,
    /// All of them: the ensemble serves nobody then
    #[arg(long, conflicts_with = "members")]
    pub(super) all: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct OkToStop {
    /// Members by name or id; several: all of them at once
    #[arg(value_name = "MEMBER", required = true)]
    pub(super) members: Vec<String>,
    /// The inventory; without it, that of the last deployment
    #[arg(long, short, value_name = "FILE")]
    pub(super) inventory: Option<PathBuf>,
}

impl OkToStop {
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
    #[command(flatten)]
    pub(super) without: Without,
    /// Do not ask before the mild cure, which leaves the data where it is
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Agree beforehand: damaged data goes aside if starting the server did not heal it
    #[arg(long)]
    pub(super) move_data_aside: bool,
    /// Agree beforehand: data of the cluster of this name, in this member's place, goes aside
    #[arg(long, value_name = "CLUSTER")]
    pub(super) foreign_data: Option<String>,
    /// Move all data aside and take it anew from the others, whatever is found
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
    #[command(flatten)]
    pub(super) which: Inventory,
    #[command(flatten)]
    pub(super) without: Without,
    /// Do not ask; with --data the cluster's name is wanted instead (--cluster)
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Remove the data too
    #[arg(long)]
    pub(super) data: bool,
    /// The cluster's name, as one would type it when asked
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Show the plan and stop; exit 8 when there is anything to do
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub(super) shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write one page a verb into this directory
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
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
