//! The shell, `zkops cli`: what `zkCli.sh` is (operations §11), without a JVM.
//!
//! `zkops cli [-server host:port[,…][/chroot]] [-timeout ms] [-r] [-waitforconnection] [command …]`
//!
//! # Old and new forms
//! The commands of 3.4 and those of 3.5 and later differ in what they print. A command typed without
//! options is an **old form** and answers as 3.4 did; an option that 3.4 did not have (`-s -w -b -x -v -R`
//! …) makes it a **new form**:
//!
//! | | old form | new form |
//! |---|---|---|
//! | `get`, `set`, `setAcl`, `ls2` | Stat block always, on stderr | Stat block with `-s` only, on stdout |
//! | watch | a further word: `get /a watch` | `-w` |
//! | version | a further word: `set /a x 3`, `delete /a 3` | `-v 3` |
//! | bad path | `Command failed: java.lang.IllegalArgumentException: <text>` | `<text>` |
//! | no permission | `Authentication is not valid : <path>` | `Insufficient permission : <path>` |
//!
//! So the standard output of `get /a` is the data alone in both worlds. Children are sorted in both.
//! `ls2` and `rmr` exist as in 3.4. The WATCHER block has no ` zxid:` part, as in 3.4 to 3.8.
//!
//! # Channels and exit codes
//! Results go to stdout, `Created …`, errors and usage to stderr. One command given on the command line
//! is run as soon as the session stands; its stdout holds the result and nothing else (`Connecting to …`
//! goes to stderr, WATCHER blocks are left out). Exit code 0, 1 when the command failed or no server was
//! reached, 2 for bad program options, 127 for an unknown command; of a script or an interactive session
//! it is the last command's.
//!
//! | file | what it holds |
//! |---|---|
//! | `program`, `args`, `verbs` | grammar: program options, words and options of a line, the table of commands |
//! | `run` | the loop: lines in, commands run, events printed in between |
//! | `state`, `history` | what a command can touch, the lines typed so far |
//! | `io`, `input`, `output`, `completion` | terminal or pipe, the two streams |
//! | `read`, `write`, `acl`, `watch`, `quota`, `session`, `meta` | one file per family of commands |
//! | `format`, `zone`, `failure` | how results, dates and errors read |
//!
//! Not here: `reconfig`, SASL, TLS, `-client-configuration`.

mod acl;
mod args;
mod completion;
mod failure;
mod format;
mod history;
mod input;
mod io;
mod meta;
mod output;
mod program;
mod quota;
mod read;
mod run;
mod session;
mod state;
mod verbs;
mod watch;
mod write;
mod zone;

pub use io::{Input, Io};
pub use run::run;

#[cfg(test)]
mod tests;
