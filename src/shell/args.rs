//! The grammar of one line: words, then options and operands of a verb (operations §11.1). It knows no
//! verb: the table in `verbs` says which letters are options.

use super::verbs::Verb;

/// How a command answers: as 3.4 did, or as 3.5 and later do. See the folder's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Old,
    New,
}

/// A verb with its options and operands. There are at least as many operands as the verb needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Args {
    pub(super) verb: Verb,
    pub(super) style: Style,
    options: Vec<(char, Option<String>)>,
    operands: Vec<String>,
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArgsError {
    UnknownVerb(String),
    TooFew(Verb),
    UnknownOption(Verb, String),
    MissingValue(Verb, char),
}

impl Args {
    /// Reads a non-empty list of words.
    pub(super) fn parse(words: &[String]) -> Result<Args, ArgsError> {
        let (name, rest) = words.split_first().ok_or_else(|| ArgsError::UnknownVerb(String::new()))?;
        let verb = Verb::named(name).ok_or_else(|| ArgsError::UnknownVerb(name.clone()))?;
        let mut args = Args { verb, style: Style::New, options: Vec::new(), operands: Vec::new() };
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            match word.strip_prefix('-') {
                Some("-") => args.operands.extend(rest.by_ref().cloned()),
                // No option is a digit: a negative number is data or a version.
                Some(letters) if !letters.is_empty() && letters.parse::<i64>().is_err() => {
                    args.take_options(letters, word, &mut rest)?;
                }
                _ => args.operands.push(word.clone()),
            }
        }
        let grammar = verb.grammar();
        if args.operands.len() < grammar.operands_min && !args.has('?') {
            return Err(ArgsError::TooFew(verb));
        }
        if grammar.in_3_4 && args.options.iter().all(|(letter, _)| grammar.letters_3_4.contains(*letter)) {
            args.style = Style::Old;
        }
        Ok(args)
    }

    /// `-s`, `-sw`, `-v 3` or `-v3`.
    fn take_options(
        &mut self,
        letters: &str,
        word: &str,
        rest: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), ArgsError> {
        let grammar = self.verb.grammar();
        for (at, letter) in letters.char_indices() {
            if grammar.valued.contains(letter) {
                let inline = &letters[at + letter.len_utf8()..];
                let value = match inline {
                    "" => rest.next().cloned().ok_or(ArgsError::MissingValue(self.verb, letter))?,
                    inline => inline.to_owned(),
                };
                self.options.push((letter, Some(value)));
                return Ok(());
            }
            if !grammar.flags.contains(letter) {
                return Err(ArgsError::UnknownOption(self.verb, word.to_owned()));
            }
            self.options.push((letter, None));
        }
        Ok(())
    }

    pub(super) fn has(&self, letter: char) -> bool {
        self.options.iter().any(|(l, _)| *l == letter)
    }

    /// The value of an option; the last one counts.
    pub(super) fn value(&self, letter: char) -> Option<&str> {
        self.options.iter().rev().find(|(l, _)| *l == letter)?.1.as_deref()
    }

    pub(super) fn options(&self) -> &[(char, Option<String>)] {
        &self.options
    }

    pub(super) fn operand(&self, at: usize) -> Option<&str> {
        self.operands.get(at).map(String::as_str)
    }

    /// The first operand; verbs that use it need one.
    pub(super) fn path(&self) -> &str {
        self.operand(0).unwrap_or_default()
    }

    /// A watch is wanted: `-w`, or the old form's further word after the path.
    pub(super) fn watch(&self) -> bool {
        self.has('w') || (self.style == Style::Old && self.operand(1).is_some())
    }

    /// The expected version: `-v`, or the old form's operand number `at`. −1 is any.
    ///
    /// # Errors
    /// The word that is no number.
    pub(super) fn version(&self, at: usize) -> Result<Option<i32>, &str> {
        let operand = if self.style == Style::Old { self.operand(at) } else { None };
        let Some(text) = self.value('v').or(operand) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(-1) => Ok(None),
            Ok(version) => Ok(Some(version)),
            Err(_) => Err(text),
        }
    }
}

/// Splits a line at blanks. A word that starts with a quote ends at the next one, blanks included;
/// there are no escapes, and a quote inside a word is part of it: `{"a":1}` is one word.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = match first {
            '"' | '\'' => rest[1..].split_once(first),
            _ => None,
        };
        let (word, after) = match quoted {
            Some((word, after)) => (word, after),
            None => {
                // A quote that nothing closes is dropped, as the reference's pattern does.
                let bare = rest.trim_start_matches(['"', '\'']);
                bare.split_at(bare.find(char::is_whitespace).unwrap_or(bare.len()))
            }
        };
        if quoted.is_some() || !word.is_empty() {
            words.push(word.to_owned());
        }
        rest = after.trim_start();
    }
    words
}
