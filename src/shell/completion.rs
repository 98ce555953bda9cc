//! Completion: the first word from the table of commands, a later word that starts with `/` from the
//! children of its parent. It asks the servers for at most a moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use tokio::runtime::Handle;

use super::verbs::TABLE;
use crate::client::Client;

/// The client of the moment, shared with the thread that edits lines.
#[derive(Clone)]
pub(super) struct Current(Arc<Mutex<Client>>);

impl Current {
    pub(super) fn new(client: Client) -> Current {
        Current(Arc::new(Mutex::new(client)))
    }

    pub(super) fn set(&self, client: Client) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    fn get(&self) -> Client {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) struct Completion {
    current: Current,
    runtime: Handle,
}

impl Completion {
    pub(super) fn new(current: Current, runtime: Handle) -> Completion {
        Completion { current, runtime }
    }

    fn children(&self, path: &str) -> Vec<String> {
        let client = self.current.get();
        if !client.state().is_connected() {
            return Vec::new();
        }
        let asked = async { tokio::time::timeout(ASK_LIMIT, client.children(path, false)).await };
        match self.runtime.block_on(asked) {
            Ok(Ok((names, _))) => names,
            _ => Vec::new(),
        }
    }
}

/// Where the word at the cursor starts, and what could stand there. `children` gives a node's.
pub(super) fn candidates(before: &str, children: impl FnOnce(&str) -> Vec<String>) -> (usize, Vec<String>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &before[start..];
    if before[..start].trim().is_empty() {
        let names = TABLE.iter().map(|row| row.name).filter(|name| name.starts_with(word));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        if let [only] = names.as_mut_slice() {
            only.push(' ');
        }
        return (start, names);
    }
    let Some(slash) = word.rfind('/').filter(|_| word.starts_with('/')) else {
        return (start, Vec::new());
    };
    let parent = if slash == 0 { "/" } else { &word[..slash] };
    let (kept, prefix) = word.split_at(slash + 1);
    let names = children(parent).into_iter().filter(|name| name.starts_with(prefix));
    (start, names.map(|name| format!("{kept}{name}")).collect())
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(candidates(&line[..at], |path| self.children(path)))
    }
}

impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

/// A Tab that takes longer finds nothing.
const ASK_LIMIT: Duration = Duration::from_secs(1);
