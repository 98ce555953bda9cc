//! What nobody uses: settings without a reader, requests that nobody sends, public items that nobody names.
//!
//! All of it goes by names. Two things of one name hide each other, and a common name (`new`, `len`) hides all its
//! bearers: the rules find too little, never too much. What is named in the same room alone is the compiler's to
//! find dead, once it is no longer `pub`.

use std::collections::{BTreeMap, BTreeSet};

use super::room;
use crate::tidy::items::{Item, Seen, What, items};
use crate::tidy::source::{Kind, Source, Token};

/// A folder whose public structs are settings: every public field is read by product code outside the folder, as
/// `.field` or in a pattern, or by a method of the same struct (`self.field`) that is called outside.
pub(crate) fn settings(sources: &[Source], folders: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    for folder in folders {
        let (inside, outside) = parted(sources, folder);
        if inside.is_empty() {
            violations.push(format!("{folder}:1: settings: no such folder: say where its settings are now"));
        }
        let read = outside.iter().flat_map(|source| reads(&source.tokens)).collect::<BTreeSet<_>>();
        for source in &inside {
            let items = items(source);
            for field in items.iter().filter(|item| item.what == What::Field && item.seen == Seen::Everywhere)
            {
                let is_read = read.contains(field.name.as_str())
                    || inside.iter().any(|source| asks(source, field, &read));
                if !is_read && !field.test {
                    violations.push(format!(
                        "{}:{}: settings: nobody outside {folder} reads `{}`: use it, or refuse or name the key as one \
                         without effect",
                        source.path, field.line, field.name
                    ));
                }
            }
        }
    }
    violations
}

/// Whether a method of the field's struct, called outside by its name, reads the field.
fn asks(source: &Source, field: &Item, called: &BTreeSet<&str>) -> bool {
    let items = items(source);
    let mut methods =
        items.iter().filter(|item| item.what == What::Function && item.of == field.of && !item.test);
    methods.any(|method| {
        let own = source.tokens[method.body..method.to].windows(3);
        let mut own = own.filter(|found| found[0].is("self") && found[1].is("."));
        called.contains(method.name.as_str()) && own.any(|found| found[2].is(&field.name))
    })
}

/// What product code reads of other things: names behind a dot that nothing is assigned to, and those that stand
/// alone between braces, as in a pattern. A literal names fields so, too, which hides what is only written.
fn reads(tokens: &[Token]) -> impl Iterator<Item = &str> {
    tokens.windows(4).filter_map(|found| {
        let [before, name, then, last] = found else { return None };
        let dotted = before.is(".") && (!then.is("=") || last.is("="));
        let alone = (before.is("{") || before.is(",")) && (then.is(",") || then.is("}"));
        (name.kind == Kind::Word && !name.test && (dotted || alone)).then_some(name.text.as_str())
    })
}

/// Every variant of the enum of requests is sent: product code outside the folder names it, or calls the method
/// named after it (`ReadLock`, `.read_lock(`). `later` are sent by what is still to come, each with its reason.
pub(crate) fn requests(sources: &[Source], folder: &str, name: &str, later: &[(&str, &str)]) -> Vec<String> {
    let (inside, outside) = parted(sources, folder);
    let mut sent = BTreeSet::new();
    for tokens in outside.iter().map(|source| &source.tokens) {
        for found in tokens.windows(3).filter(|found| !found[1].test) {
            let called = found[0].is(".") && found[2].is("(");
            if called || found[0].is(name) && found[1].is("::") {
                sent.insert(if called { found[1].text.clone() } else { snake(&found[2].text) });
            }
        }
    }
    let mut violations = Vec::new();
    let mut variants = BTreeSet::new();
    for source in &inside {
        let all = items(source);
        let own = all
            .iter()
            .filter(|item| item.what == What::Variant && item.of.as_deref() == Some(name) && !item.test);
        for variant in own {
            variants.insert(variant.name.clone());
            let is_sent = sent.contains(&snake(&variant.name));
            let is_later = later.iter().any(|(name, _)| *name == variant.name);
            if !is_sent && !is_later {
                violations.push(format!(
                    "{}:{}: requests: nobody sends `{name}::{}`: take it out",
                    source.path, variant.line, variant.name
                ));
            } else if is_sent && is_later {
                violations.push(format!(
                    "{}:{}: requests: `{name}::{}` is sent: take it off the list",
                    source.path, variant.line, variant.name
                ));
            }
        }
    }
    if variants.is_empty() {
        violations.push(format!("{folder}:1: requests: no enum `{name}`: say where it is now"));
    }
    let gone = later.iter().filter(|(name, _)| !variants.contains(*name));
    violations.extend(
        gone.map(|(gone, _)| format!("{folder}:1: requests: `{name}::{gone}` is gone: take it off the list")),
    );
    violations
}

/// `ReadLock` as `read_lock`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Every `pub` item of a room is named outside it (in another room, in `tests/` or in `benches/`), or stands in the
/// signature of one that is: else it is `pub(crate)` at most, and the compiler tells whether anybody needs it.
pub(crate) fn public(sources: &[Source], wings: &[&str]) -> Vec<String> {
    let places = places(sources, |source| room(source, wings).unwrap_or(&source.path));
    let mut rooms = BTreeMap::<_, Vec<_>>::new();
    for source in sources {
        if let Some(room) = room(source, wings) {
            rooms.entry(room).or_default().extend(items(source).into_iter().map(|item| (source, item)));
        }
    }
    let mut violations = Vec::new();
    for (room, items) in &rooms {
        let is_item =
            |item: &Item| !item.test && !matches!(item.what, What::Field | What::Module | What::Use);
        let public = items.iter().filter(|(_, item)| item.seen == Seen::Everywhere && is_item(item));
        let public = public.collect::<Vec<_>>();
        let named = public.iter().map(|(_, item)| item.name.as_str());
        let live = live(items, named.filter(|name| places[name].iter().any(|place| place != room)).collect());
        // Constants of one type are a vocabulary: who uses some of its words has all of them.
        let spoken =
            public.iter().filter(|(_, item)| item.what == What::Const && live.contains(item.name.as_str()));
        let spoken = spoken.filter_map(|(_, item)| item.of.as_deref()).collect::<BTreeSet<_>>();
        let is_spoken = |item: &Item| {
            item.what == What::Const && item.of.as_deref().is_some_and(|of| spoken.contains(of))
        };
        let dead = public.iter().filter(|(_, item)| !live.contains(item.name.as_str()) && !is_spoken(item));
        violations.extend(dead.map(|(source, item)| {
            format!(
                "{}:{}: public: nobody outside `{room}` names `{}`: `pub(crate)` at most",
                source.path, item.line, item.name
            )
        }));
    }
    violations
}

/// `live` and what lives through it: what the signatures of living items name, and what their `impl`s show.
fn live<'a>(items: &'a [(&'a Source, Item)], mut live: BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    loop {
        let known = live.len();
        for (source, item) in items {
            let of_living = || item.of.as_deref().is_some_and(|of| live.contains(of));
            let lives = match item.what {
                What::Impl => live.contains(item.name.as_str()),
                What::Variant | What::Field => of_living(),
                // Of a trait, or of a trait's `impl`.
                What::Type | What::Function if item.seen == Seen::Here => of_living(),
                _ => item.seen == Seen::Everywhere && live.contains(item.name.as_str()),
            };
            if lives {
                live.extend(
                    signature(source, item)
                        .filter(|token| token.kind == Kind::Word)
                        .map(|token| &*token.text),
                );
            }
        }
        if live.len() == known {
            return live;
        }
    }
}

/// Every item that is seen beyond its file is named in another one, or stands in the signature of one of its own.
pub(crate) fn shown(sources: &[Source]) -> Vec<String> {
    let places = places(sources, |source| &source.path);
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.inside().is_some()) {
        let items = items(source);
        let is_item =
            |item: &Item| !item.test && !matches!(item.what, What::Field | What::Module | What::Use);
        for item in items.iter().filter(|item| item.seen != Seen::Here && is_item(item)) {
            let mut others = items.iter().filter(|other| {
                let shows = matches!(other.what, What::Impl | What::Type | What::Variant);
                other.from != item.from && (other.seen != Seen::Here || shows)
            });
            let signed = others.any(|other| signature(source, other).any(|token| token.is(&item.name)));
            if places[item.name.as_str()].len() == 1 && !signed {
                violations.push(format!(
                    "{}:{}: public: no other file names `{}`: let it be private",
                    source.path, item.line, item.name
                ));
            }
        }
    }
    violations
}

/// Where each word stands, by whatever `place` makes of a file.
fn places<'a>(
    sources: &'a [Source],
    place: impl Fn(&'a Source) -> &'a str,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut places = BTreeMap::<_, BTreeSet<_>>::new();
    for source in sources {
        for token in source.tokens.iter().filter(|token| token.kind == Kind::Word) {
            places.entry(token.text.as_str()).or_default().insert(place(source));
        }
    }
    places
}

/// What an item shows of itself; all of a part, a constant or a type's other name.
fn signature<'a>(source: &'a Source, item: &Item) -> impl Iterator<Item = &'a Token> {
    let end = match item.what {
        What::Function | What::Impl | What::Struct | What::Enum | What::Trait => item.body,
        _ => item.to,
    };
    source.tokens[item.from..end].iter()
}

/// The product files inside a folder of `src/`, and those outside.
fn parted<'a>(sources: &'a [Source], folder: &str) -> (Vec<&'a Source>, Vec<&'a Source>) {
    let product = sources.iter().filter(|source| source.inside().is_some());
    let product = product.filter(|source| source.product().next().is_some());
    product.partition(|source| source.path.starts_with(&format!("{folder}/")))
}
