//! The program's own options, in front of the command (operations §11.1).

use std::time::Duration;

use crate::client::{ConnectString, Options};

/// What `zkops cli` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) target: Target,
    /// Wait for the session before anything else.
    pub(super) wait: bool,
    /// Empty: read commands from the input.
    pub(super) command: Vec<String>,
    /// What was skipped, one line each.
    pub(super) remarks: Vec<String>,
}

/// Where and how to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// As typed: the prompt shows it.
    pub(super) text: String,
    pub(super) to: ConnectString,
    pub(super) timeout: Duration,
    pub(super) read_only: bool,
}

impl Target {
    pub(super) fn new(text: &str, timeout: Duration, read_only: bool) -> Result<Target, String> {
        let to = text.parse().map_err(|error| format!("{error}"))?;
        Ok(Target { text: text.to_owned(), to, timeout, read_only })
    }

    pub(super) fn options(&self) -> Options {
        Options {
            session_timeout: self.timeout,
            // A short session timeout must not cut a slow command short.
            request_timeout: self.timeout.max(REQUEST_TIMEOUT_MIN),
            read_only: self.read_only,
            ..Options::default()
        }
    }
}

impl Program {
    /// Reads the options up to the first word that is none; unknown ones are skipped, as the reference
    /// does, but said.
    ///
    /// # Errors
    /// One line for stderr.
    pub(super) fn parse(args: &[String]) -> Result<Program, String> {
        let mut words = args.iter();
        let value = |words: &mut std::slice::Iter<'_, String>, option: &str| {
            words.next().cloned().ok_or_else(|| format!("Error: no argument found for option {option}"))
        };
        let (mut server, mut timeout) = (SERVER_DEFAULT.to_owned(), TIMEOUT_MS_DEFAULT.to_owned());
        let (mut read_only, mut wait) = (false, false);
        let (mut command, mut remarks) = (Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            match word.as_str() {
                "-server" => server = value(&mut words, word)?,
                "-timeout" => timeout = value(&mut words, word)?,
                "-client-configuration" => {
                    let file = value(&mut words, word)?;
                    remarks.push(format!(
                        "-client-configuration {file} skipped: there is no such file format here"
                    ));
                }
                "-r" => read_only = true,
                "-waitforconnection" => wait = true,
                other if other.starts_with('-') => remarks.push(format!("unknown option {other} skipped")),
                _ => {
                    command.push(word.clone());
                    command.extend(words.by_ref().cloned());
                }
            }
        }
        let ms = timeout
            .parse::<u64>()
            .ok()
            .filter(|ms| (1..=i32::MAX as u64).contains(ms))
            .ok_or_else(|| format!("-timeout {timeout}: give milliseconds, 1 to {}", i32::MAX))?;
        let target = Target::new(&server, Duration::from_millis(ms), read_only)?;
        Ok(Program { target, wait, command, remarks })
    }
}

const SERVER_DEFAULT: &str = "localhost:2181";
const REQUEST_TIMEOUT_MIN: Duration = Duration::from_secs(30);
const TIMEOUT_MS_DEFAULT: &str = "30000";
