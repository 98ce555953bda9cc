//! What ^C, TERM and a terminal that goes away (HUP) do to a run: the first asks it to stop, which ends looks at once and
//! changes after the step at hand; the second ends the program as if nobody had listened. Verbs that only look from here
//! keep the system's way, and a HUP that somebody wants ignored (nohup) stays ignored.

use std::future::pending;
use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::env::Env;
use super::opts::Verb;
use crate::report::{Exit, Failure};

/// What `work` comes to, with signals heard meanwhile.
pub(super) async fn heard<T>(
    env: &Env,
    verb: &Verb,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    // Nothing is begun there that would have to be ended.
    if matches!(verb, Verb::Status(_) | Verb::Logs(_) | Verb::Host(_) | Verb::Version) {
        return work.await;
    }
    let mut signals = Signals::listen()
        .map_err(|why| Failure::new(Exit::Failed, format!("signals cannot be listened to: {why}")))?;
    let terminal = Terminal::now();
    let ends = async {
        let (name, _) = signals.next().await;
        env.caller.events.note(format!(
            "{name}: stopping; a step that is at hand comes to its end first (a second one ends at once)"
        ));
        env.caller.interrupt(name);
        let (name, code) = signals.next().await;
        terminal.restore();
        let ended = Failure::new(Exit::Halfway, format!("ended at once by a second {name}"))
            .state("a step that was at hand may have been done; locks that were held run out in a minute")
            .next("run the same command again: what is done is found done");
        env.report.failure(&ended);
        process::exit(code)
    };
    let done = tokio::select! {
        biased;
        done = work => done,
        never = ends => never,
    };
    terminal.restore();
    done
}

/// The signals that end a run.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None`: whoever started us wants it ignored.
    hangup: Option<Signal>,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hangup = if ignores_hangup(&status) { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Signals { interrupt, terminate, hangup })
    }

    /// The signal's name, and the exit code of who is ended by it.
    async fn next(&mut self) -> (&'static str, i32) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => ("SIGINT", 130),
            _ = self.terminate.recv() => ("SIGTERM", 143),
            _ = hangup => ("SIGHUP", 129),
        }
    }
}

/// What the kernel says of this process: its signals are numbered from the lowest bit.
fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// How the terminal was set before anything was asked on it: a question that is cut off leaves it silent.
struct Terminal(Option<rustix::termios::Termios>);

impl Terminal {
    fn now() -> Terminal {
        Terminal(rustix::termios::tcgetattr(io::stdin()).ok())
    }

    fn restore(&self) {
        if let Some(settings) = &self.0 {
            // A terminal that went away needs nothing.
            let _gone =
                rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn a_hangup_that_is_to_be_ignored_stays_ignored() {
        let status =
            |mask: &str| format!("Name:\tzkops\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(!ignores_hangup(&status("0000000000001000")));
        assert!(!ignores_hangup(""));
    }
}
