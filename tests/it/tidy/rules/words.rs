//! What never stands in the code: unfinished work, panics for want of a reason, sleeps for luck, the places of
//! one machine.

use crate::tidy::source::{Kind, Source};

pub(crate) fn forbidden(sources: &[Source], words: &[(&[&str], Option<&str>, &str)]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        for (words, except, advice) in words {
            for found in source.find(words).filter(|_| *except != Some(source.path.as_str())) {
                violations.push(format!("{}:{}: `{}`: {advice}", source.path, found.line, words.concat()));
            }
        }
        for found in source.find(&[".", "unwrap", "(", ")"]).filter(|found| !found.test) {
            violations.push(format!(
                "{}:{}: unwrap: `expect` with the reason why it cannot fail, or an error",
                source.path, found.line
            ));
        }
    }
    violations
}

/// In tests a sleep stands in the body of a `loop` or `while`, which asks for the condition again.
pub(crate) fn sleeps(sources: &[Source], named: &[(&str, &str, &str)]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let mut function = "";
        for (at, (token, is_repeated)) in source.tokens.iter().zip(repeated(source)).enumerate() {
            let next = source.tokens.get(at + 1);
            match token.text.as_str() {
                _ if token.kind == Kind::Text => {}
                "fn" => function = next.map_or("", |next| &next.text),
                "sleep" | "sleep_until" if token.test && next.is_some_and(|next| next.is("(")) => {
                    let is_named =
                        named.iter().any(|(file, name, _)| *file == source.path && *name == function);
                    if !is_repeated && !is_named {
                        violations.push(format!(
                            "{}:{}: sleep: wait for the condition, in a loop with a deadline",
                            source.path, token.line
                        ));
                    }
                }
                _ => {}
            }
        }
    }
    violations
}

/// In tests nothing is asserted of how long something took: a busy machine takes longer. The deadline of a loop that
/// waits is none such.
pub(crate) fn times(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        // How many parentheses are open in an assertion.
        let mut depth = 0_usize;
        for (at, (token, is_repeated)) in source.tokens.iter().zip(repeated(source)).enumerate() {
            match token.text.as_str() {
                _ if token.kind == Kind::Text => {}
                "(" if depth > 0 || at >= 2 && is_assertion(&source.tokens[at - 2].text) => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                "elapsed" | "took" if depth > 0 && token.test && !is_repeated => violations.push(format!(
                    "{}:{}: time: say what must have happened; what it took is a figure",
                    source.path, token.line
                )),
                _ => {}
            }
        }
    }
    violations
}

/// Of each token, whether it stands in the body of a `loop` or `while`.
fn repeated(source: &Source) -> Vec<bool> {
    // Of each open brace, whether a loop opened it; the head of a loop counts parentheses of its own.
    let mut blocks = Vec::new();
    let mut head = None;
    let stands = source.tokens.iter().map(|token| {
        match token.text.as_str() {
            _ if token.kind == Kind::Text => {}
            "loop" | "while" => head = Some(0),
            "(" => head = head.map(|depth| depth + 1),
            ")" => head = head.map(|depth| depth - 1),
            "{" => blocks.push(head.take_if(|depth| *depth == 0).is_some()),
            "}" => _ = blocks.pop(),
            _ => {}
        }
        blocks.contains(&true)
    });
    stands.collect()
}

fn is_assertion(name: &str) -> bool {
    name.trim_start_matches("debug_").trim_start_matches("prop_").starts_with("assert")
}

pub(crate) fn places(path: &str, text: &str, places: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for place in places {
            // `/etc` stands in `/etc/hosts`, not in `build/etc`.
            let stands = line.match_indices(place).any(|(at, _)| {
                !place.starts_with('/')
                    || !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '.')
            });
            if stands {
                violations.push(format!(
                    "{path}:{number}: places: `{place}` is not there for everyone: take it out"
                ));
            }
        }
    }
    violations
}

/// One word per idea in what a wing says: product texts name no word of its list. Code between backticks, keys
/// (`nodes: [`), names (`node-1`) and arguments (`{node}`) are not words; a whole text among `keys` is none either.
///
/// It takes every text for a message; it sees none that is put together from single words, and no doc comment that
/// becomes a line of `--help`.
pub(crate) fn vocabulary(
    sources: &[Source],
    wings: &[(&str, &[(&str, &str)])],
    keys: &[(&str, &str)],
) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let banned =
            wings.iter().filter(|(wing, _)| source.path.starts_with(wing)).flat_map(|(_, words)| *words);
        let banned = banned.collect::<Vec<_>>();
        let texts = source.product().filter(|token| token.kind == Kind::Text);
        for token in texts.filter(|token| !keys.iter().any(|(key, _)| *key == token.text)) {
            let said = said(&token.text);
            for (word, instead) in banned.iter().filter(|(word, _)| said.contains(&word.to_string())) {
                violations.push(format!(
                    "{}:{}: vocabulary: `{word}` in {:?}: say {instead}",
                    source.path, token.line, token.text
                ));
            }
        }
    }
    violations
}

/// The words of a text, in small letters.
fn said(text: &str) -> Vec<String> {
    let prose = text.split('`').step_by(2);
    let mut words = Vec::new();
    for part in prose {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let mut from = 0;
        while let Some(start) = part[from..].find(is_word).map(|at| from + at) {
            let end = part[start..].find(|c| !is_word(c)).map_or(part.len(), |len| start + len);
            let is_key = part[end..].starts_with(": [");
            if !is_key && !part[..start].ends_with('{') {
                words.push(part[start..end].to_lowercase());
            }
            from = end;
        }
    }
    words
}
