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
        // Of each open brace, whether a loop opened it; the head of a loop counts parentheses of its own.
        let mut blocks = Vec::new();
        let mut head = None;
        for (at, token) in source.tokens.iter().enumerate() {
            let next = source.tokens.get(at + 1);
            match token.text.as_str() {
                _ if token.kind == Kind::Text => {}
                "fn" => function = next.map_or("", |next| &next.text),
                "loop" | "while" => head = Some(0),
                "(" => head = head.map(|depth| depth + 1),
                ")" => head = head.map(|depth| depth - 1),
                "{" => blocks.push(head.take_if(|depth| *depth == 0).is_some()),
                "}" => _ = blocks.pop(),
                "sleep" | "sleep_until" if token.test && next.is_some_and(|next| next.is("(")) => {
                    let is_named =
                        named.iter().any(|(file, name, _)| *file == source.path && *name == function);
                    if !blocks.contains(&true) && !is_named {
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
