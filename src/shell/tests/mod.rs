//! The shell against the fake server: lines in, text out. Standard error is kept apart, and both are
//! kept together as a terminal would show them.

mod commands;
mod grammar;
mod modes;
mod transcript;

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::run::{Surroundings, run_in};
use super::{Input, Io};
use crate::client::fake::Fake;

/// What a shell said.
#[derive(Clone, Default)]
struct Said {
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
    both: Arc<Mutex<Vec<u8>>>,
}

/// One stream that also writes to the transcript.
struct Tee(Arc<Mutex<Vec<u8>>>, Arc<Mutex<Vec<u8>>>);

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        self.1.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Said {
    fn io(&self, input: Input, terminal: bool) -> Io {
        Io {
            input,
            out: Box::new(Tee(self.out.clone(), self.both.clone())),
            err: Box::new(Tee(self.err.clone(), self.both.clone())),
            terminal,
        }
    }

    fn text(stream: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(stream.lock().unwrap().clone()).unwrap()
    }

    fn out(&self) -> String {
        Said::text(&self.out)
    }

    fn err(&self) -> String {
        Said::text(&self.err)
    }

    fn both(&self) -> String {
        Said::text(&self.both)
    }
}

/// The walkthrough's hosts live in China.
fn china() -> Surroundings {
    Surroundings { tz: Some("CST-8".into()), history_file: None }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A script through a pipe; the exit code and what was said behind the banner.
async fn script(fake: &Fake, lines: &str) -> (i32, Said) {
    let said = Said::default();
    let io = said.io(Input::Lines(Box::new(Cursor::new(lines.to_owned()))), false);
    let code = run_in(&strings(&["-server", &fake.server()]), io, china()).await;
    for stream in [&said.out, &said.both] {
        let mut stream = stream.lock().unwrap();
        let text = String::from_utf8(stream.clone()).unwrap();
        let banner =
            format!("Connecting to {}\nWelcome to ZooKeeper!\nJLine support is disabled\n", fake.server());
        let text = text.strip_prefix(&banner).unwrap_or_else(|| panic!("no banner in {text:?}"));
        *stream = text.replacen(CONNECTED, "", 1).into_bytes();
    }
    (code, said)
}

/// A script must say exactly this on both streams together, and exit so.
async fn check(fake: &Fake, lines: &str, expected: &str, code: i32) {
    let (exit, said) = script(fake, lines).await;
    assert_eq!(said.both(), expected, "after {lines:?}");
    assert_eq!(exit, code, "after {lines:?}");
}

/// One command on the command line: exit code, stdout, stderr without the first line.
async fn once(fake: &Fake, command: &[&str]) -> (i32, String, String) {
    let said = Said::default();
    let io = said.io(Input::Lines(Box::new(Cursor::new(""))), false);
    let server = fake.server();
    let args = [&["-server", &server], command].concat();
    let code = run_in(&strings(&args), io, china()).await;
    let err = said.err();
    let rest = err.strip_prefix(&format!("Connecting to {server}\n")).unwrap().to_owned();
    (code, said.out(), rest)
}

const LIMIT: Duration = Duration::from_secs(20);

const CONNECTED: &str = "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null\n";
