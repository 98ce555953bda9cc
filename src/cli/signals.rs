//! What ^C and TERM do to a run: the first asks it to stop, which ends looks at once and changes after the step at hand;
//! the second ends the program as if nobody had listened. Verbs that only look from here keep the system's way.

use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::env::Env;
use super::opts::Verb;
use crate::report::{Exit, Failure};

/// What `work` comes to, with signals heard meanwhile.
pub(super) async fn heard(
    env: &Env,
    verb: &Verb,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    // Nothing is begun there that would have to be ended.
    if matches!(verb, Verb::Status(_) | Verb::Host(_) | Verb::Version) {
        return work.await;
    }
    let listen = |kind| {
        signal(kind)
            .map_err(|why| Failure::new(Exit::Failed, format!("signals cannot be listened to: {why}")))
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let terminal = Terminal::now();
    let ends = async {
        let (name, _) = next(&mut interrupt, &mut terminate).await;
        env.caller.events.note(format!(
            "{name}: stopping; a step that is at hand comes to its end first (a second one ends at once)"
        ));
        env.caller.interrupt(name);
        let (name, code) = next(&mut interrupt, &mut terminate).await;
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

/// The signal's name, and the exit code of who is ended by it.
async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = interrupt.recv() => ("SIGINT", 130),
        _ = terminate.recv() => ("SIGTERM", 143),
    }
}

/// How the terminal was set before anything was asked on it: a question that is cut off leaves it silent.
struct Terminal(Option<rustix::termios::Termios>);

impl Terminal {
    fn now() -> Terminal {
        Terminal(rustix::termios::tcgetattr(std::io::stdin()).ok())
    }

    fn restore(&self) {
        if let Some(settings) = &self.0 {
            // A terminal that went away needs nothing.
            let _gone =
                rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, settings);
        }
    }
}
