//! Everything a command can touch: the client, the streams, what the session remembers. The loop (`run`) owns one.

use jiff::tz::TimeZone;

use super::args::{Args, Style};
use super::completion::Current;
use super::format;
use super::history::History;
use super::output::Out;
use super::program::{Program, Target};
use crate::client::{Client, Events};
use crate::wire::proto::{AddWatchMode, Stat};

/// One session of the shell.
pub(super) struct Shell {
    pub(super) client: Client,
    pub(super) target: Target,
    pub(super) out: Out,
    pub(super) zone: TimeZone,
    pub(super) history: History,
    pub(super) print_watches: bool,
    /// What addWatch takes when it is not told: the mode of the last one (TRAP of the reference).
    pub(super) watch_mode: AddWatchMode,
    /// The events of a client that `connect` has just made.
    pub(super) new_events: Option<Events>,
    pub(super) current: Current,
}

impl Shell {
    pub(super) fn new(program: &Program, out: Out, zone: TimeZone) -> Shell {
        let target = program.target.clone();
        let client = Client::connect(target.to.clone(), target.options());
        Shell {
            current: Current::new(client.clone()),
            client,
            target,
            out,
            zone,
            history: History::default(),
            print_watches: true,
            watch_mode: AddWatchMode::PersistentRecursive,
            new_events: None,
        }
    }

    /// Takes a new client; the loop picks up its events.
    pub(super) fn replace_client(&mut self, target: Target) {
        let client = Client::connect(target.to.clone(), target.options());
        self.new_events = Some(client.events());
        self.current.set(client.clone());
        self.client = client;
        self.target = target;
    }

    /// The Stat block where the form wants it: old forms always have one, on stderr as in 3.4; new
    /// ones with `-s`.
    pub(super) fn stat_block(&self, args: &Args, stat: &Stat) {
        match args.style {
            Style::Old => self.out.complain(&format::stat(stat, &self.zone)),
            Style::New if args.has('s') => self.out.line(&format::stat(stat, &self.zone)),
            Style::New => {}
        }
    }
}
