//! What to type is about the ensemble that was meant. A command that names no inventory goes to the last deployment of this
//! machine: where another inventory was named, every command that is advised names it, too.

use super::caller::Caller;
use super::record::Record;
use super::session::Source;
use crate::operator::plan::diagnosis;
use crate::report::Failure;

/// How commands are advised in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The path to be named behind `-i`, as it was typed; `None`: the last deployment is meant.
    inventory: Option<String>,
}

impl Advice {
    /// By what was named, and what is the last deployment at this moment.
    pub fn about(caller: &Caller, source: &Source) -> Advice {
        let Source::File(path) = source else { return Advice { inventory: None } };
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        // A record that cannot be read is nobody's last deployment.
        let last = Record::load(&caller.state_dir).ok().flatten();
        let is_last = last.is_some_and(|record| record.path == absolute);
        Advice { inventory: (!is_last).then(|| path.display().to_string()) }
    }

    /// The line as it is to be typed; words that are no command of ours stay as they are.
    pub fn line(&self, line: &str) -> String {
        let as_it_is = || line.to_owned();
        let Some(inventory) = &self.inventory else { return as_it_is() };
        let Some(at) = line.find(PROGRAM) else { return as_it_is() };
        let rest = &line[at..];
        let verb = rest[PROGRAM.len()..].split_whitespace().next().unwrap_or_default();
        // What is said beside a command stands behind three blanks.
        let end = at + rest.find("   ").unwrap_or(rest.trim_end().len());
        let command = &line[at..end];
        let is_named = command.contains(" -i ")
            || command.contains(" --inventory ")
            || command.ends_with(&format!(" {inventory}"));
        if is_named || !VERBS.contains(&verb) {
            return as_it_is();
        }
        format!("{} -i {}{}", &line[..end], diagnosis::typed(inventory), &line[end..])
    }

    /// The closing lines of a failure.
    #[must_use]
    pub fn failure(&self, mut failure: Failure) -> Failure {
        failure.next = failure.next.iter().map(|line| self.line(line)).collect();
        failure.undo = failure.undo.iter().map(|line| self.line(line)).collect();
        failure
    }
}

/// What a command of ours begins with.
const PROGRAM: &str = "zkops ";
/// The verbs that mean the last deployment where no inventory is named.
const VERBS: [&str; 6] = ["status", "start", "stop", "restart", "repair", "check"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_about_the_inventory_that_was_named() {
        let advice = Advice { inventory: Some("b.yml".to_owned()) };
        for (line, said) in [
            ("zkops start node-3", "zkops start node-3 -i b.yml"),
            ("zkops start", "zkops start -i b.yml"),
            (
                "free space on the file system of /d on node-1, then: zkops start node-1",
                "free space on the file system of /d on node-1, then: zkops start node-1 -i b.yml",
            ),
            (
                "zkops status   (says what keeps node-2 from taking part)",
                "zkops status -i b.yml   (says what keeps node-2 from taking part)",
            ),
            ("zkops deploy b.yml", "zkops deploy b.yml"),
            ("zkops repair node-1 -i b.yml", "zkops repair node-1 -i b.yml"),
            ("zkops status b.yml", "zkops status b.yml"),
            ("zkops status --inventory /b.yml --timeout 4m", "zkops status --inventory /b.yml --timeout 4m"),
            ("zkops --help", "zkops --help"),
            (
                "reach 10.0.0.1 first: power, network, sshd, key",
                "reach 10.0.0.1 first: power, network, sshd, key",
            ),
        ] {
            assert_eq!(advice.line(line), said);
            assert_eq!(Advice { inventory: None }.line(line), line, "the last deployment needs no name");
        }
        // Letters of another word are no name.
        let short = Advice { inventory: Some("o".to_owned()) };
        assert_eq!(short.line("zkops stop node-3"), "zkops stop node-3 -i o");
        let blank = Advice { inventory: Some("my own.yml".to_owned()) };
        assert_eq!(blank.line("zkops stop node-3"), "zkops stop node-3 -i 'my own.yml'");
        assert_eq!(blank.line("zkops status my own.yml"), "zkops status my own.yml");
    }
}
