//! No circle between files, no arrow up between wings. Arrows are the paths of product code; a name that a `mod.rs`
//! hands on leads to the file that it comes from. A module and those below it count as one place, so a table of
//! contents and its files make no circle.
//!
//! It sees no arrow that no path spells: a method called on what another file returned, a file that a macro names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::tidy::source::{self, Path, Source};

/// Arrows between product files of `src/`, each with the line that draws it first.
pub(crate) struct Arrows<'a> {
    from: BTreeMap<&'a str, BTreeMap<&'a str, usize>>,
}

struct Module<'a> {
    file: &'a str,
    name: Vec<&'a str>,
    /// What its `use` lines bind, with the whole path.
    names: BTreeMap<String, Vec<String>>,
    paths: Vec<Path>,
}

impl<'a> Arrows<'a> {
    pub(crate) fn of(sources: &'a [Source]) -> Arrows<'a> {
        let product = sources.iter().filter(|source| source.inside().is_some());
        let modules = product
            .map(|source| {
                let mut module = Module {
                    file: &source.path,
                    name: source.module(),
                    names: BTreeMap::new(),
                    paths: source.paths(),
                };
                module.paths.retain(|path| !path.test);
                let imports = module.paths.iter().filter(|path| path.imported);
                module.names = imports.filter_map(|path| Some((bound(path)?, path.names.clone()))).collect();
                module
            })
            .collect::<Vec<_>>();
        let index = modules.iter().map(|module| (module.name.join("::"), module)).collect::<BTreeMap<_, _>>();
        let mut from = BTreeMap::<_, BTreeMap<_, _>>::new();
        for module in &modules {
            for path in &module.paths {
                let Some(target) = resolve(&index, module, &path.names, 8) else { continue };
                let apart = !target.name.starts_with(&module.name) && !module.name.starts_with(&target.name);
                if apart {
                    from.entry(module.file).or_default().entry(target.file).or_insert(path.line);
                }
            }
        }
        Arrows { from }
    }

    /// Circles: of each knot of files that reach each other, the shortest way round from its first file.
    pub(crate) fn circles(&self) -> Vec<String> {
        let mut violations = Vec::new();
        let mut seen = BTreeSet::new();
        for file in self.from.keys().copied() {
            let knot = |other: &&str| self.way(other, file).is_some();
            let reached = self.reached(file);
            let knot = reached.into_iter().filter(knot).collect::<BTreeSet<_>>();
            if knot.is_empty() || !seen.is_disjoint(&knot) {
                continue;
            }
            seen.extend(knot.iter().copied());
            let next = self.from[file].keys().filter(|next| knot.contains(*next));
            let ways = next.filter_map(|next| self.way(next, file));
            let way = ways.min_by_key(Vec::len).unwrap_or_default();
            violations.push(format!(
                "{file}:{}: circles: {file} → {} ({} files in all): move what both need below both",
                way.first().map_or(0, |next| self.from[file][next]),
                way.join(" → "),
                knot.len()
            ));
        }
        violations
    }

    /// Arrows to what stands later in `order`, wings and single rooms from the lowest up.
    pub(crate) fn up(&self, order: &[&str]) -> Vec<String> {
        let place = |file: &str| {
            let name = source::inside(file).unwrap_or(file);
            order.iter().position(|wing| name == *wing || name.starts_with(&format!("{wing}/")))
        };
        let mut violations = Vec::new();
        for (from, arrows) in &self.from {
            for (to, line) in arrows {
                if let (Some(low), Some(high)) = (place(from), place(to))
                    && low < high
                {
                    violations.push(format!(
                        "{from}:{line}: up: `{}` stands below `{}`: {to} is not for it",
                        order[low], order[high]
                    ));
                }
            }
        }
        violations
    }

    /// The files between `from` and `to`, both included, on the shortest way.
    fn way(&self, from: &'a str, to: &'a str) -> Option<Vec<&'a str>> {
        let mut before = BTreeMap::from([(from, from)]);
        let mut queue = VecDeque::from([from]);
        while let Some(file) = queue.pop_front() {
            if file == to {
                let mut way = vec![to];
                while *way.last()? != from {
                    way.push(before[way.last()?]);
                }
                way.reverse();
                return Some(way);
            }
            for next in self.from.get(file).into_iter().flat_map(|arrows| arrows.keys().copied()) {
                if !before.contains_key(next) {
                    before.insert(next, file);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    fn reached(&self, from: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut queue = vec![from];
        while let Some(file) = queue.pop() {
            let next = self.from.get(file).into_iter().flat_map(|arrows| arrows.keys().copied());
            queue.extend(next.filter(|next| reached.insert(*next)));
        }
        reached
    }
}

/// The table of rooms is written from the lowest up: a room may import only what stands above it in the table.
pub(crate) fn descends(table: &[(&str, &[&str])]) -> Vec<String> {
    let mut above = BTreeSet::new();
    let mut violations = Vec::new();
    for (room, allowed) in table {
        let late = allowed.iter().filter(|other| !above.contains(*other));
        violations.extend(late.map(|other| {
            format!(
                "tests/it/tidy.rs: IMPORTS: `{room}` may import `{other}`, which stands below it in the table"
            )
        }));
        above.insert(room);
    }
    violations
}

/// The name that an import binds.
fn bound(path: &Path) -> Option<String> {
    let names = match path.names.split_last()? {
        (last, before) if last == "self" => before,
        _ => &path.names,
    };
    names.last().cloned()
}

/// The file that a path leads to, through at most `hops` names that are handed on.
fn resolve<'m, 'a>(
    index: &BTreeMap<String, &'m Module<'a>>,
    from: &'m Module<'a>,
    names: &[String],
    hops: usize,
) -> Option<&'m Module<'a>> {
    let above = names.iter().take_while(|name| *name == "super").count();
    let own = from.name.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (mut at, rest) = match names.first()?.as_str() {
        "crate" | "zkops" => (Vec::new(), &names[1..]),
        "self" => (own, &names[1..]),
        "super" => (own[..own.len().saturating_sub(above)].to_vec(), &names[above..]),
        first if index.contains_key(&[own.join("::"), first.to_owned()].join("::")) => (own, names),
        first => {
            // A name that a `use` of this file binds: its path goes on with what stands behind.
            let path = from.names.get(first).filter(|path| path.len() > 1 && hops > 0)?;
            let path = [path.as_slice(), &names[1..]].concat();
            return resolve(index, from, &path, hops - 1);
        }
    };
    let mut rest = rest.iter().filter(|name| *name != "self");
    let mut module = index.get(&at.join("::")).copied();
    while let Some(name) = rest.next() {
        at.push(name.clone());
        if let Some(below) = index.get(&at.join("::")) {
            module = Some(below);
            continue;
        }
        let handed_on =
            module.filter(|_| hops > 0).and_then(|module| Some((module, module.names.get(name)?)));
        if let Some((module, path)) = handed_on {
            let path = path.iter().chain(rest).cloned().collect::<Vec<_>>();
            return resolve(index, module, &path, hops - 1).or(Some(module));
        }
        break;
    }
    module
}
