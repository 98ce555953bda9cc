//! The loop of the shell: lines in, commands run, events printed in between.

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use super::args::{Args, Style, words};
use super::failure::{Done, EXIT_FAILED, EXIT_OK, EXIT_USAGE, Failure};
use super::input::{Line, Lines};
use super::io::Io;
use super::output::Out;
use super::program::Program;
use super::state::Shell;
use super::verbs::Verb;
use super::{acl, format, meta, quota, read, session, watch, write, zone};
use crate::client::{Error, Events, Noticed};

/// What the shell takes from its process, beside the streams.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) tz: Option<OsString>,
    /// Where lines are kept between sessions; `None`: nowhere.
    pub(super) history_file: Option<PathBuf>,
}

impl Surroundings {
    /// The history lies in the XDG state directory if there is one, else in the home directory.
    fn process() -> Surroundings {
        let directory =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let history_file = directory("XDG_STATE_HOME")
            .map(|state| state.join("zkops/history"))
            .or_else(|| directory("HOME").map(|home| home.join(".zkops_history")));
        Surroundings { tz: std::env::var_os("TZ"), history_file }
    }
}

/// What one line came to.
struct Step {
    /// `None`: the line said nothing.
    code: Option<i32>,
    quit: bool,
}

/// Runs the shell to its end and gives the exit code. `args` are the words behind `zkops cli`.
pub async fn run(args: Vec<String>, io: Io) -> i32 {
    run_in(&args, io, Surroundings::process()).await
}

pub(super) async fn run_in(args: &[String], io: Io, surroundings: Surroundings) -> i32 {
    let Io { input, out, err, terminal } = io;
    let out = Out::new(out, err, terminal);
    let program = match Program::parse(args) {
        Ok(program) => program,
        Err(text) => {
            out.complain(&text);
            return EXIT_USAGE;
        }
    };
    program.remarks.iter().for_each(|remark| out.complain(remark));
    let mut shell = Shell::new(&program, out, zone::local(surroundings.tz.as_deref()));
    let code = if program.command.is_empty() {
        let lines = Lines::start(input, surroundings.history_file, shell.current.clone());
        shell.interact(lines, program.wait).await
    } else {
        shell.run_once(&program.command).await
    };
    shell.client.close().await;
    code
}

impl Shell {
    /// The command line's own command.
    async fn run_once(&mut self, words: &[String]) -> i32 {
        self.out.complain(&format!("Connecting to {}", self.target.text));
        let parsed = Args::parse(words);
        let local = parsed.as_ref().map_or(true, |args| args.verb.grammar().local);
        if !local && let Err(code) = self.wait_connected().await {
            return code;
        }
        match parsed {
            Ok(args) if args.verb == Verb::Quit => EXIT_OK,
            Ok(args) => self.execute(&args).await,
            Err(error) => Failure::Args(error).report(Style::New, None, &self.out),
        }
    }

    /// Waits for the session as long as a session lasts.
    async fn wait_connected(&self) -> Result<(), i32> {
        let Err(error) = self.client.connected(self.target.timeout).await else {
            return Ok(());
        };
        let trouble = self.client.status().trouble.map(|text| format!(" ({text})")).unwrap_or_default();
        let what = match error {
            Error::Timeout { ms, .. } => format!("within {ms} ms{trouble}"),
            other => format!(": {other}"),
        };
        let next = "check that the servers run, the address, and the firewall between";
        self.out.complain(&format!("Not connected to {} {what}; {next}", self.target.text));
        Err(EXIT_FAILED)
    }

    async fn interact(&mut self, mut lines: Lines, wait: bool) -> i32 {
        let mut events = Some(self.client.events());
        self.out.line(&format!("Connecting to {}", self.target.text));
        if wait && let Err(code) = self.wait_connected().await {
            return code;
        }
        self.out.line("Welcome to ZooKeeper!");
        let editing = if lines.edits() { "enabled" } else { "disabled" };
        self.out.line(&format!("JLine support is {editing}"));
        let (mut last_code, mut settled) = (EXIT_OK, false);
        loop {
            if lines.edits() && !settled {
                let client = self.client.clone();
                // Not connected by then: the prompt says so.
                let _ = self.with_events(&mut events, client.connected(SETTLE)).await;
                settled = true;
            }
            lines.ask(self.prompt());
            let line = loop {
                tokio::select! {
                    noticed = next_event(&mut events) => if let Some(text) = self.shown(noticed) {
                        lines.print(&text, &self.out);
                    },
                    line = lines.answer() => break line,
                }
            };
            let line = match line {
                Line::Text(line) => line,
                Line::Interrupted => continue,
                Line::End => return last_code,
                Line::Failed(why) => {
                    self.out.complain(&format!("Reading commands failed: {why}"));
                    return EXIT_FAILED;
                }
            };
            let step = self.step(&line, &mut events).await;
            last_code = step.code.unwrap_or(last_code);
            if let Some(new) = self.new_events.take() {
                events = Some(new);
                settled = false;
            }
            if step.quit || self.out.is_broken() {
                return last_code;
            }
        }
    }

    /// One line, with the events that come meanwhile.
    async fn step(&mut self, line: &str, events: &mut Option<Events>) -> Step {
        const NOTHING: Step = Step { code: None, quit: false };
        // An empty line is not counted; one of blanks is, and does nothing.
        if line.is_empty() {
            return NOTHING;
        }
        self.history.add(line);
        let args = match self.resolve(line) {
            Ok(None) => return NOTHING,
            Ok(Some(args)) if args.verb == Verb::Quit => return Step { code: None, quit: true },
            Ok(Some(args)) => args,
            Err(failure) => {
                return Step { code: Some(failure.report(Style::New, None, &self.out)), quit: false };
            }
        };
        let print = self.print_watches;
        let out = self.out.clone();
        let code = during(events, self.execute(&args), |noticed| show(noticed, print, &out)).await;
        // What the command itself brought about is printed before the next prompt.
        while let Some(noticed) = events.as_mut().and_then(Events::try_next) {
            show(Some(noticed), self.print_watches, &self.out);
        }
        Step { code: Some(code), quit: false }
    }

    /// The command of a line; `redo` becomes the line it names. `None`: nothing but blanks.
    fn resolve(&mut self, line: &str) -> Result<Option<Args>, Failure> {
        let typed = words(line);
        if typed.is_empty() {
            return Ok(None);
        }
        let args = Args::parse(&typed)?;
        if args.verb != Verb::Redo {
            return Ok(Some(args));
        }
        let number = args.path().parse().ok().filter(|number| *number < self.history.last_number());
        let line = number.and_then(|number| self.history.get(number)).map(str::to_owned);
        let line = line.ok_or_else(|| Failure::text("Command index out of range"))?;
        let repeated = words(&line);
        if repeated.first().is_some_and(|name| Verb::named(name) == Some(Verb::Redo)) {
            return Err(Failure::text("No redoing redos"));
        }
        self.history.replace_last(&line);
        if repeated.is_empty() {
            return Ok(None);
        }
        Ok(Some(Args::parse(&repeated)?))
    }

    /// Runs a command and prints what it has to say.
    async fn execute(&mut self, args: &Args) -> i32 {
        let dead = self.client.state().is_final();
        let done = if dead && !args.verb.grammar().local {
            Err(Failure::Client(Error::Closed))
        } else {
            self.dispatch(args).await
        };
        match done {
            Ok(()) => EXIT_OK,
            Err(failure) => failure.report(args.style, Some(args.verb), &self.out),
        }
    }

    async fn dispatch(&mut self, args: &Args) -> Done {
        match args.verb {
            Verb::AddAuth => acl::add_auth(self, args).await,
            Verb::AddWatch => watch::add(self, args).await,
            Verb::Close => session::close(self).await,
            Verb::Config => read::config(self, args).await,
            Verb::Connect => session::connect(self, args).await,
            Verb::Create => write::create(self, args).await,
            Verb::Delete => write::delete(self, args).await,
            Verb::DeleteAll | Verb::Rmr => write::delete_all(self, args).await,
            Verb::DelQuota => quota::delete(self, args).await,
            Verb::Get => read::get(self, args).await,
            Verb::GetAcl => acl::get(self, args).await,
            Verb::GetAllChildrenNumber => read::all_children_number(self, args).await,
            Verb::GetEphemerals => read::ephemerals(self, args).await,
            Verb::Help => meta::help(self, args),
            Verb::History => meta::history(self),
            Verb::ListQuota => quota::list(self, args).await,
            Verb::Ls | Verb::Ls2 => read::list(self, args).await,
            Verb::PrintWatches => meta::print_watches(self, args),
            // Both are the loop's business; on the command line there is nothing to quit or repeat.
            Verb::Quit => Ok(()),
            Verb::Redo => Err(Failure::text("Command index out of range")),
            Verb::RemoveWatches => watch::remove(self, args).await,
            Verb::Set => write::set(self, args).await,
            Verb::SetAcl => acl::set(self, args).await,
            Verb::SetQuota => quota::set(self, args).await,
            Verb::Stat => read::stat(self, args).await,
            Verb::Sync => session::sync(self, args).await,
            Verb::Version => meta::version(self),
            Verb::WhoAmI => acl::who_am_i(self).await,
        }
    }

    fn prompt(&self) -> String {
        format!("[zk: {}({}) {}] ", self.target.text, self.client.state(), self.history.next_number())
    }

    async fn with_events<T>(&self, events: &mut Option<Events>, work: impl Future<Output = T>) -> T {
        during(events, work, |noticed| show(noticed, self.print_watches, &self.out)).await
    }

    fn shown(&self, noticed: Option<Noticed>) -> Option<String> {
        self.print_watches.then(|| text(noticed?)).flatten()
    }
}

/// Waits for `work`, handing over the events that come first.
async fn during<T>(
    events: &mut Option<Events>,
    work: impl Future<Output = T>,
    mut on_event: impl FnMut(Option<Noticed>),
) -> T {
    tokio::pin!(work);
    loop {
        for _ in 0..EVENTS_IN_A_ROW {
            tokio::select! {
                // An event that a write fired stands before the write's own answer (client-protocol §1.8).
                biased;
                noticed = next_event(events) => on_event(noticed),
                done = &mut work => return done,
            }
        }
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = std::future::ready(()) => {}
        }
    }
}

/// The next event; a stream that has ended yields `None` once and then nothing.
async fn next_event(events: &mut Option<Events>) -> Option<Noticed> {
    let Some(stream) = events else {
        return std::future::pending().await;
    };
    let noticed = stream.next().await;
    if noticed.is_none() {
        *events = None;
    }
    noticed
}

fn show(noticed: Option<Noticed>, print: bool, out: &Out) {
    if let Some(text) = noticed.filter(|_| print).and_then(text) {
        out.line(&text);
    }
}

fn text(noticed: Noticed) -> Option<String> {
    match noticed {
        Noticed::Event(event) => Some(format::event(&event)),
        Noticed::Missed(count) => Some(format!("\nWATCHER::\n\n{count} events came too fast to be printed")),
    }
}

/// Events printed before a command gets its turn, however many come.
const EVENTS_IN_A_ROW: usize = 64;
/// How long a terminal waits for the session before its first prompt, so that it reads CONNECTED.
const SETTLE: Duration = Duration::from_secs(1);
