//! What a user can type to the verbs about a server's files, as `opts` has it for the others.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::{examples, moment};
use crate::forensics::inquiry::op::{self, Wanted};
use crate::forensics::inquiry::question::{Question, Znode};
use crate::wire::ids::{SessionId, Zxid};

#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true, subcommand_negates_reqs = true)]
pub(super) struct Txnlog {
    #[command(subcommand)]
    pub(super) verb: Option<TxnlogVerb>,
    #[command(flatten)]
    pub(super) print: LogPrint,
}

#[derive(Debug, Subcommand)]
pub(super) enum TxnlogVerb {
    /// Print transactions, all or those that are asked for; what txnlog does without another word
    #[command(after_help = examples::TXNLOG)]
    Print(Box<LogPrint>),
    /// Tell what became of a znode: who made and who deleted it, when, from which session
    #[command(after_help = examples::TXNLOG)]
    Who(LogWho),
    /// Judge whether the logs are whole: every file, and from one to the next
    #[command(after_help = examples::TXNLOG)]
    Check(LogCheck),
    /// Copy the beginning of a log, up to a zxid, to a file that is not there yet
    #[command(after_help = examples::TXNLOG)]
    Chop(LogChop),
}

#[derive(Debug, Default, PartialEq, Args)]
pub(super) struct LogPrint {
    /// Log files, or a directory or zoo.cfg that leads to them
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
    /// What happened to this znode; ops within a multi and ends of sessions included
    #[arg(long, value_name = "ZNODE")]
    pub(super) path: Option<String>,
    /// With --path: and to everything below it
    #[arg(long, requires = "path")]
    pub(super) children: bool,
    /// What this session did
    #[arg(long, value_name = "0x…", value_parser = session)]
    pub(super) session: Option<SessionId>,
    /// Kinds of transactions; create and delete mean every kind of these, ends of ephemerals included
    #[arg(
        long,
        value_name = "OP",
        value_delimiter = ',',
        ignore_case = true,
        value_parser = PossibleValuesParser::new(op::NAMES)
    )]
    pub(super) op: Vec<String>,
    /// From this time on: 2026-11-30T03:55:58Z, "2026-11-30 03:55" (UTC), or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(super) since: Option<i64>,
    /// Up to this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(super) until: Option<i64>,
    /// From this zxid on
    #[arg(long, value_name = "0x…", value_parser = zxid)]
    pub(super) from_zxid: Option<Zxid>,
    /// Up to this zxid
    #[arg(long, value_name = "0x…", value_parser = zxid)]
    pub(super) to_zxid: Option<Zxid>,
    /// Where this text stands in a path or in data
    #[arg(long, value_name = "TEXT")]
    pub(super) grep: Option<String>,
    /// Show the data that was written
    #[arg(long)]
    pub(super) data: bool,
}

impl LogPrint {
    /// Something of it was typed, as in front of another verb, where it would mean nothing.
    pub(super) fn is_typed(&self) -> bool {
        *self != LogPrint::default()
    }

    /// # Errors
    /// What is no path of a znode.
    pub(super) fn question(&self) -> Result<Question, String> {
        let znode = self.path.as_ref().map(|path| Znode::typed(path, self.children)).transpose()?;
        Ok(Question {
            znode,
            session: self.session,
            ops: self.op.iter().filter_map(|name| Wanted::named(name)).collect(),
            since_ms: self.since,
            until_ms: self.until,
            from: self.from_zxid,
            to: self.to_zxid,
            text: self.grep.clone(),
        })
    }
}

#[derive(Debug, Args)]
pub(super) struct LogWho {
    /// A directory or zoo.cfg that leads to the logs, or a log file
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// The znode
    #[arg(value_name = "ZNODE")]
    pub(super) znode: String,
}

#[derive(Debug, Args)]
pub(super) struct LogCheck {
    /// Directories or zoo.cfgs that lead to the logs, or log files
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LogChop {
    /// The log file
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The last transaction that is copied
    #[arg(long, value_name = "0x…", value_parser = zxid)]
    pub(super) to_zxid: Zxid,
    /// The copy; nothing that is there is replaced
    #[arg(long, value_name = "NEW")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true, subcommand_negates_reqs = true)]
pub(super) struct Snapshot {
    #[command(subcommand)]
    pub(super) verb: Option<SnapshotVerb>,
    #[command(flatten)]
    pub(super) print: TreePrint,
}

#[derive(Debug, Subcommand)]
pub(super) enum SnapshotVerb {
    /// Print the znodes, all or those that are asked for; what snapshot does without another word
    #[command(after_help = examples::SNAPSHOT)]
    Print(TreePrint),
    /// Print the znodes in whose path or data a text stands
    #[command(after_help = examples::SNAPSHOT)]
    Search(TreeSearch),
    /// Judge whether snapshots are whole
    #[command(after_help = examples::SNAPSHOT)]
    Check(TreeCheck),
    /// Tell what differs between two snapshots; exit 8 when anything does
    #[command(after_help = examples::SNAPSHOT)]
    Compare(TreeCompare),
}

#[derive(Debug, Default, PartialEq, Args)]
pub(super) struct TreePrint {
    /// A snapshot, or a directory or zoo.cfg that leads to some: the newest that is whole is taken
    #[arg(value_name = "PATH", required = true)]
    pub(super) path: Option<PathBuf>,
    /// This znode and everything below it
    #[arg(long = "path", value_name = "ZNODE")]
    pub(super) below: Option<String>,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// The sessions, too
    #[arg(long)]
    pub(super) sessions: bool,
    /// Not the znodes but the largest subtrees: so many of them
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20", require_equals = true)]
    pub(super) sizes: Option<u16>,
}

/// What of each znode.
#[derive(Debug, Default, PartialEq, Args)]
pub(super) struct Shown {
    /// Ephemerals of this session alone
    #[arg(long, value_name = "0x…", value_parser = session)]
    pub(super) session: Option<SessionId>,
    /// Show all of its stat
    #[arg(long)]
    pub(super) stat: bool,
    /// Show its ACL
    #[arg(long)]
    pub(super) acl: bool,
    /// Show its data
    #[arg(long)]
    pub(super) data: bool,
}

#[derive(Debug, Args)]
pub(super) struct TreeSearch {
    /// A snapshot, or a directory or zoo.cfg that leads to some: the newest that is whole is taken
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// What stands in the path or in the data
    #[arg(value_name = "TEXT")]
    pub(super) text: String,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct TreeCheck {
    /// Snapshots, or directories or zoo.cfgs that lead to some: all of them are judged
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct TreeCompare {
    /// One, as print takes it
    #[arg(value_name = "A")]
    pub(super) a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(super) b: PathBuf,
}

/// Reads a zxid as everything prints it.
///
/// # Errors
/// What fits behind clap's "invalid value".
fn zxid(text: &str) -> Result<Zxid, &'static str> {
    hex(text).map(Zxid).ok_or("write it as it is printed: 0x100000a00")
}

fn session(text: &str) -> Result<SessionId, &'static str> {
    hex(text).map(SessionId).ok_or("write it as it is printed: 0x1000012345")
}

fn hex(text: &str) -> Option<i64> {
    let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'))?;
    u64::from_str_radix(digits, 16).ok().map(u64::cast_signed)
}

#[cfg(test)]
mod tests {
    use super::{Zxid, session, zxid};

    #[test]
    fn ids_are_read_as_they_are_printed() {
        assert_eq!(zxid("0x100000a00"), Ok(Zxid(0x1_0000_0a00)));
        assert_eq!(
            session("0xff00000000000001").map(|id| id.to_string()).as_deref(),
            Ok("0xff00000000000001")
        );
        for text in ["", "0x", "100000a00", "0x+1", "0xg", "0x11112222333344445", "-1"] {
            assert!(zxid(text).is_err(), "{text}");
        }
    }
}
