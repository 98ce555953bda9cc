//! How a command that failed reads (operations §11.2), and the exit code it leaves.

use super::args::{ArgsError, Style};
use super::output::Out;
use super::verbs::{Verb, usage};
use crate::client::Error;
use crate::wire::proto::ErrorCode;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    Args(ArgsError),
    /// The usage of this command, for words that make no sense together.
    Usage(Verb),
    /// Whatever the client or the server said.
    Client(Error),
    /// A line of our own, for stderr.
    Text(String),
    /// Everything has been said already.
    Said,
}

pub(super) type Done = Result<(), Failure>;

pub(super) const EXIT_OK: i32 = 0;
pub(super) const EXIT_FAILED: i32 = 1;
pub(super) const EXIT_USAGE: i32 = 2;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Client(error)
    }
}

impl From<ArgsError> for Failure {
    fn from(error: ArgsError) -> Failure {
        Failure::Args(error)
    }
}

impl Failure {
    pub(super) fn text(text: impl Into<String>) -> Failure {
        Failure::Text(text.into())
    }

    /// Of a word that stands where a version is expected.
    pub(super) fn no_version(word: &str) -> Failure {
        Failure::Text(format!("version {word} is not a number"))
    }

    /// Prints it and gives the exit code.
    pub(super) fn report(&self, style: Style, verb: Option<Verb>, out: &Out) -> i32 {
        match self {
            Failure::Args(ArgsError::UnknownVerb(name)) => {
                out.complain(&usage());
                out.complain(&format!("Command not found: Command not found {name}"));
                return EXIT_UNKNOWN_COMMAND;
            }
            Failure::Args(ArgsError::TooFew(verb)) | Failure::Usage(verb) => {
                out.complain(&verb.grammar().usage_lines());
            }
            Failure::Args(ArgsError::UnknownOption(verb, word)) => {
                let class = "org.apache.commons.cli.UnrecognizedOptionException";
                out.complain(&format!("{class}: Unrecognized option: {word}"));
                out.complain(&verb.grammar().usage_lines());
            }
            Failure::Args(ArgsError::MissingValue(verb, letter)) => {
                let class = "org.apache.commons.cli.MissingArgumentException";
                out.complain(&format!("{class}: Missing argument for option: {letter}"));
                out.complain(&verb.grammar().usage_lines());
            }
            Failure::Client(Error::Closed) => out.line("Not connected"),
            Failure::Client(error) => {
                for line in lines(error, style, verb) {
                    out.complain(&line);
                }
            }
            Failure::Text(text) => out.complain(text),
            Failure::Said => {}
        }
        EXIT_FAILED
    }
}

/// The reference's words for an error.
pub(super) fn lines(error: &Error, style: Style, verb: Option<Verb>) -> Vec<String> {
    let (code, path) = match error {
        Error::Code(code, path) | Error::Multi { code, path, .. } => (*code, path),
        // What the walkthrough shows: 3.4 let the exception through.
        Error::Path(why) if style == Style::Old => {
            return vec![format!("Command failed: java.lang.IllegalArgumentException: {why}")];
        }
        other => return vec![other.to_string()],
    };
    let general = Error::Code(code, path.clone()).to_string();
    vec![match code {
        ErrorCode::NoNode => format!("Node does not exist: {path}"),
        ErrorCode::NodeExists => format!("Node already exists: {path}"),
        ErrorCode::NotEmpty => format!("Node not empty: {path}"),
        ErrorCode::NoChildrenForEphemerals => format!("Ephemerals cannot have children: {path}"),
        ErrorCode::NoAuth if style == Style::Old => format!("Authentication is not valid : {path}"),
        ErrorCode::NoAuth => format!("Insufficient permission : {path}"),
        ErrorCode::InvalidAcl if verb == Some(Verb::Create) => {
            return vec![general, format!("Acl is not valid : {path}")];
        }
        ErrorCode::InvalidAcl => format!("Acl is not valid : {path}"),
        ErrorCode::BadArguments => format!("Arguments are not valid : {path}"),
        ErrorCode::BadVersion => format!("version No is not valid : {path}"),
        ErrorCode::NotReadOnly => format!("Not a read-only call: {path}"),
        ErrorCode::QuotaExceeded => format!("Quota has exceeded : {path}"),
        ErrorCode::EphemeralOnLocalSession => {
            return vec!["Unable to create ephemeral node on a local session".to_owned(), general];
        }
        _ => general,
    }]
}

const EXIT_UNKNOWN_COMMAND: i32 = 127;
