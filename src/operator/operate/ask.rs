//! The one way to a person: what may be asked before something is carried out, and what an answer other than yes ends
//! in. Who asks how (a terminal, a script of a test, a console) is the caller's.

use std::fmt;
use std::sync::Arc;

use crate::operator::plan::step::Plan;
use crate::operator::transport::{self, Prompt, Secret};
use crate::report::{Exit, Failure};

/// Asks a person.
pub trait Ask: Send + Sync + 'static {
    /// Shows the question with its plan and takes the answer.
    fn consent(&self, question: &Question<'_>) -> Answer;

    /// A passphrase or password, on a thread where waiting is allowed; `None`: nobody is there, or they gave up.
    fn secret(&self, question: &transport::Question) -> Option<Secret>;
}

/// What a person is asked to agree to.
#[derive(Clone, Debug, PartialEq)]
pub enum Question<'a> {
    /// The plan as it stands; a yes is enough, and silence is a no.
    CarryOut { plan: &'a Plan },
    /// Every server of an ensemble stops; a yes is enough.
    StopAll { plan: &'a Plan, cluster: &'a str },
    /// The end of an ensemble: its name is to be typed.
    Destroy { plan: &'a Plan, cluster: &'a str, data: bool },
    /// A milder cure did not help: the member's data goes aside; a yes is enough.
    MoveAside { plan: &'a Plan, member: &'a str },
    /// Data of another cluster goes aside: that cluster's name is to be typed.
    ForeignData { plan: &'a Plan, cluster: &'a str },
}

/// What the person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes, or the name that was to be typed.
    Yes,
    No,
    /// There is nobody to ask.
    Nobody,
}

impl<'a> Question<'a> {
    /// What will be done.
    pub fn plan(&self) -> &'a Plan {
        match self {
            Question::CarryOut { plan } | Question::StopAll { plan, .. } | Question::Destroy { plan, .. } => {
                plan
            }
            Question::MoveAside { plan, .. } | Question::ForeignData { plan, .. } => plan,
        }
    }

    /// What agrees beforehand, as one would type it.
    fn beforehand(&self) -> String {
        match self {
            Question::CarryOut { .. } | Question::Destroy { data: false, .. } => "--yes".to_owned(),
            Question::StopAll { .. } => "--all".to_owned(),
            // What cannot be taken back is not agreed to by habit.
            Question::Destroy { data: true, cluster, .. } => format!("--cluster {cluster}"),
            Question::MoveAside { .. } => "--move-data-aside".to_owned(),
            Question::ForeignData { cluster, .. } => format!("--foreign-data {cluster}"),
        }
    }

    /// The word that must be typed letter by letter; `None`: a yes will do.
    pub fn word(&self) -> Option<&'a str> {
        match self {
            Question::CarryOut { .. } | Question::StopAll { .. } | Question::MoveAside { .. } => None,
            Question::Destroy { cluster, .. } | Question::ForeignData { cluster, .. } => Some(cluster),
        }
    }
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::CarryOut { .. } => f.write_str("carry this out?"),
            Question::StopAll { cluster, .. } => {
                write!(f, "stop all of {cluster}? Nobody is served until it is started again")
            }
            Question::Destroy { cluster, data: true, .. } => {
                write!(f, "type {cluster} to destroy it WITH ITS DATA")
            }
            Question::Destroy { cluster, data: false, .. } => {
                write!(f, "type {cluster} to destroy it (data stays)")
            }
            Question::MoveAside { member, .. } => {
                write!(f, "move the data of {member} aside and take all of it anew from the others?")
            }
            Question::ForeignData { cluster, .. } => {
                write!(f, "type {cluster} to move the data of that cluster aside")
            }
        }
    }
}

/// Goes on only after a yes.
///
/// # Errors
/// Exit code 1 after a no; 2 when nobody is there to ask, with the flag that says yes beforehand.
pub(super) fn agreed(ask: &dyn Ask, question: &Question<'_>) -> Result<(), Failure> {
    let failure = match (ask.consent(question), question.word()) {
        (Answer::Yes, _) => return Ok(()),
        (Answer::No, None) => Failure::new(Exit::Failed, "not confirmed"),
        (Answer::No, Some(word)) => Failure::new(Exit::Failed, format!("{word:?} was not typed")),
        (Answer::Nobody, _) => Failure::new(Exit::Usage, format!("there is nobody to ask: {question}"))
            .next(format!("say yes beforehand: {}", question.beforehand())),
    };
    Err(failure.state("nothing was changed"))
}

/// The transport's questions, passed on.
pub(super) struct Secrets(pub(super) Arc<dyn Ask>);

impl Prompt for Secrets {
    fn ask(&self, question: &transport::Question) -> Option<Secret> {
        self.0.secret(question)
    }
}
