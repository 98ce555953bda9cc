//! Asks a human on the terminal; without one nobody answers.

use std::io::IsTerminal;

use dialoguer::{Confirm, Input, Password};

use crate::operator::operate::ask::{Answer, Ask, Question};
use crate::operator::transport::{self, Secret};
use crate::report::Report;

/// The terminal that zkops was started on.
pub(super) struct Terminal {
    report: Report,
}

impl Terminal {
    pub(super) fn new(report: Report) -> Terminal {
        Terminal { report }
    }
}

impl Ask for Terminal {
    fn consent(&self, question: &Question<'_>) -> Answer {
        self.report.text(&question.plan().to_string());
        if !someone_is_there() {
            return Answer::Nobody;
        }
        let text = question.to_string();
        let agreed = self.report.asked(|| match question.word() {
            None => Confirm::new().with_prompt(text).default(false).interact().unwrap_or(false),
            Some(word) => typed(text).is_ok_and(|typed| typed.trim() == word),
        });
        if agreed { Answer::Yes } else { Answer::No }
    }

    fn secret(&self, question: &transport::Question) -> Option<Secret> {
        if !someone_is_there() {
            return None;
        }
        let text = match question {
            transport::Question::Passphrase { key, .. } => format!("passphrase of {}", key.display()),
            transport::Question::Password { user, host, .. } => format!("password of {user} on {host}"),
            transport::Question::Sudo { user, host, .. } => format!("sudo password of {user} on {host}"),
            transport::Question::HostKey { host, algorithm, fingerprint, file } => {
                let text = format!(
                    "nobody knows yet whether this is {host}\n  {algorithm} key {fingerprint}\n  a yes records it in {}\ngo on (yes/no/fingerprint)",
                    file.display()
                );
                return self.report.asked(|| typed(text)).ok().map(Secret::new);
            }
        };
        let password = Password::new().with_prompt(text).allow_empty_password(true);
        self.report.asked(|| password.interact()).ok().map(Secret::new)
    }
}

/// Behind the prompt stands a colon: it has no other mark at its end.
fn typed(prompt: String) -> dialoguer::Result<String> {
    Input::new().with_prompt(prompt).allow_empty(true).interact_text()
}

/// Questions are asked on a terminal alone.
pub(super) fn someone_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
