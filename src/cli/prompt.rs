//! The only place that asks a human anything, and only before something is applied.

use std::io::IsTerminal;

use dialoguer::{Confirm, Input, Password};

use crate::operator::transport::{Prompt, Question, Secret};
use crate::report::{Exit, Failure, Report};

/// Asks for passphrases and passwords on the terminal; without one nobody answers.
pub(super) struct Terminal {
    report: Report,
}

impl Terminal {
    pub(super) fn new(report: Report) -> Terminal {
        Terminal { report }
    }
}

impl Prompt for Terminal {
    fn ask(&self, question: &Question) -> Option<Secret> {
        if !someone_is_there() {
            return None;
        }
        let text = match question {
            Question::Passphrase { key, .. } => format!("passphrase of {}", key.display()),
            Question::Password { user, host, .. } => format!("password of {user} on {host}"),
        };
        self.report.pause();
        Password::new().with_prompt(text).allow_empty_password(true).interact().ok().map(Secret::new)
    }
}

/// Asks a question whose safe answer is no.
///
/// # Errors
/// Refused; or nobody is there to ask, and `flag` was not given.
pub(super) fn confirm(report: &Report, question: &str, flag: &str) -> Result<(), Failure> {
    someone(question, flag)?;
    report.pause();
    match Confirm::new().with_prompt(question).default(false).interact() {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(Failure::new(Exit::Failed, "not confirmed").state("nothing was changed")),
    }
}

/// Asks for a name to be typed, letter by letter.
///
/// # Errors
/// Another name was typed; or nobody is there to ask, and `flag` was not given.
pub(super) fn typed(report: &Report, question: &str, expected: &str, flag: &str) -> Result<(), Failure> {
    someone(question, flag)?;
    report.pause();
    let answer: Result<String, _> = Input::new().with_prompt(question).allow_empty(true).interact_text();
    match answer {
        Ok(answer) if answer.trim() == expected => Ok(()),
        _ => {
            Err(Failure::new(Exit::Failed, format!("{expected:?} was not typed"))
                .state("nothing was changed"))
        }
    }
}

fn someone(question: &str, flag: &str) -> Result<(), Failure> {
    if someone_is_there() {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, format!("there is nobody to ask: {question}"))
        .state("nothing was changed")
        .next(format!("say yes beforehand: {flag}")))
}

fn someone_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
