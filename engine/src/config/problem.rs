//! What is to be said about a zoo.cfg: all problems at once, and warnings.

use std::fmt;

use super::settings::ServerConfig;

/// Something to say once at start: the file works, but not quite as its writer may think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Keys that neither this server nor the reference knows.
    Unknown(Vec<Named>),
    /// Keys of the reference that change nothing here.
    WithoutEffect(Vec<Named>),
    /// Anything else.
    Said { key: Option<String>, text: String },
}

/// A key of the file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Without `zookeeper.`.
    pub key: String,
    /// As [`Problem::at`].
    pub at: String,
}

/// One thing that is wrong: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `zoo.cfg:12`, or `-DsnapCount`.
    pub at: String,
    /// The key that it is about, without `zookeeper.`; `None`: no single one.
    pub key: Option<String>,
    pub what: String,
    pub advice: String,
}

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<Problem>);

/// A file as it was read, good or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// With defaults in the place of what is wrong.
    pub config: ServerConfig,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Warning>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |named: &[Named]| {
            let list: Vec<_> = named.iter().map(|one| format!("{} ({})", one.key, one.at)).collect();
            list.join(", ")
        };
        match self {
            Warning::Unknown(keys) => {
                write!(f, "unknown keys are ignored, check their spelling: {}", list(keys))
            }
            Warning::WithoutEffect(keys) => {
                write!(f, "keys of Apache ZooKeeper without effect here: {}", list(keys))
            }
            Warning::Said { text, .. } => f.write_str(text),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.what, self.advice)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Invalid {}
