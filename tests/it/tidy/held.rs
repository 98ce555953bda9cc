//! The repository held to the rules: one test a rule.

use std::collections::BTreeSet;
use std::fs;

use super::repository::{SOURCES, below, entries, rooms, root, text, verdict};
use super::rules::circles::{self, Arrows};
use super::rules::pure::{self, Pure};
use super::rules::{self, dead, documents, files, imports, shape, uses, words};
use super::{
    ANYONE, ENGINE, FORBIDDEN, FUNCTION_LINES_MAX, HOOKS, HOOKS_HOME, IMPORTS, IMPURE, IMPURE_PATHS, KNOWN,
    LINES_MAX, LONG, OPERATOR_SIDE, ORDER, PACKAGES, PLACES, PLACES_MAY_STAND_IN, PURE, REQUESTS,
    REQUESTS_LATER, SERVER_SIDE, SETTINGS, SLEEPS, VOCABULARY, VOCABULARY_KEYS, WINGS, WIRE,
};
use crate::run::{ZKOPS, run};

#[test]
fn folders_import_only_what_the_table_allows() {
    let is_code = |name: &String| !["lib.rs", "mod.rs", "name_service.rs"].contains(&name.as_str());
    let (wings, beside): (Vec<String>, Vec<String>) =
        rooms("").into_iter().filter(is_code).partition(|name| WINGS.contains(&name.as_str()));
    let inside = wings.iter().flat_map(|wing| rooms(wing)).filter(is_code);
    let all = beside.into_iter().chain(inside).collect();
    let mut violations = imports::rows("IMPORTS", IMPORTS.iter().map(|(room, _)| *room), &all);
    violations.extend(imports::imports(&SOURCES, WINGS, IMPORTS));
    verdict(violations);
}

#[test]
fn the_table_keeps_the_layers_apart() {
    let may = |folders: &[&str], forbidden: &dyn Fn(&str) -> bool| {
        let rows = IMPORTS.iter().filter(|(folder, _)| folders.contains(folder));
        rows.flat_map(|(folder, allowed)| allowed.iter().map(move |other| (*folder, *other)))
            .filter(|(_, other)| forbidden(other))
            .collect::<Vec<_>>()
    };
    assert_eq!(may(WIRE, &|other| !WIRE.contains(&other)), [], "wire imports nothing above it");
    assert_eq!(may(PURE, &|other| !PURE.contains(&other)), [], "pure folders import only pure folders");
    assert_eq!(may(SERVER_SIDE, &|other| OPERATOR_SIDE.contains(&other)), [], "the server knows no operator");
    assert_eq!(
        may(OPERATOR_SIDE, &|other| SERVER_SIDE.contains(&other)),
        [],
        "the operator talks to servers as any client would"
    );
}

/// What stands in `engine/` is built for speed and grows the program; that it names nothing outside holds the compiler.
#[test]
fn the_engine_is_what_requests_pass_through() {
    let rooms = entries("engine/src").into_iter().filter(|name| name != "lib.rs");
    verdict(imports::rows("ENGINE", ENGINE.iter().copied(), &rooms.collect()));
}

#[test]
fn every_package_has_its_owner_and_is_used() {
    let (mut packages, mut violations) = (BTreeSet::new(), Vec::new());
    for (manifest, is_engine) in [("Cargo.toml", false), ("engine/Cargo.toml", true)] {
        let named = imports::dependencies(&text(manifest));
        let rows = PACKAGES.iter().filter(|(package, _)| named.contains(*package)).copied();
        let sources = SOURCES.iter().filter(|source| source.path.starts_with("engine/") == is_engine);
        violations.extend(imports::packages(manifest, sources, WINGS, &rows.collect::<Vec<_>>()));
        packages.extend(named);
    }
    violations.extend(imports::rows("PACKAGES", PACKAGES.iter().map(|(package, _)| *package), &packages));
    verdict(violations);
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    verdict(files::files(&SOURCES, LINES_MAX, LONG));
}

#[test]
fn nothing_unfinished_and_no_panic_for_want_of_a_reason() {
    verdict(words::forbidden(&SOURCES, FORBIDDEN));
}

#[test]
fn tests_wait_for_conditions_and_not_for_luck() {
    verdict(words::sleeps(&SOURCES, SLEEPS));
}

#[test]
fn no_test_passes_or_fails_by_a_time() {
    verdict(words::times(&SOURCES));
}

#[test]
fn pure_folders_are_functions_of_their_arguments() {
    verdict(pure::pure(
        &SOURCES,
        &Pure { wings: WINGS, folders: PURE, paths: IMPURE_PATHS, hasher: "FixedState" },
    ));
}

#[test]
fn every_template_is_built_in_and_every_inventory_is_tested() {
    let mut violations = files::included(&SOURCES, &below("templates"), false);
    violations.extend(files::included(&SOURCES, &below("inventories"), true));
    verdict(violations);
}

#[test]
fn every_command_of_the_readme_exists() {
    let help = run(ZKOPS, &["--help"], &[]).ok().stdout;
    let documents = below("docs").into_iter().filter(|path| path.ends_with(".md"));
    let violations = documents
        .chain(["README.md".to_owned()])
        .flat_map(|path| documents::commands(&path, &text(&path), &documents::verbs(&help)))
        .collect();
    verdict(violations);
}

#[test]
fn nothing_depends_on_one_machine_or_one_registry() {
    let texts = below("")
        .into_iter()
        .filter(|path| !PLACES_MAY_STAND_IN.contains(&path.as_str()))
        .filter_map(|path| Some((fs::read_to_string(root().join(&path)).ok()?, path)));
    verdict(texts.flat_map(|(text, path)| words::places(&path, &text, PLACES)).collect());
}

#[test]
fn functions_are_short() {
    verdict(owed("functions", shape::functions(&SOURCES, FUNCTION_LINES_MAX)));
}

#[test]
fn constants_come_last() {
    verdict(owed("constants", shape::constants(&SOURCES)));
}

#[test]
fn unit_tests_have_one_layout() {
    verdict(shape::layout(&SOURCES));
}

#[test]
fn imports_have_one_style() {
    verdict(owed("uses", uses::uses(&SOURCES)));
}

#[test]
fn a_rule_reads_in_its_own_lines() {
    verdict(owed("hooks", shape::hooks(&SOURCES, HOOKS, HOOKS_HOME)));
}

#[test]
fn no_circle_between_files_and_no_arrow_up() {
    let arrows = Arrows::of(&SOURCES);
    let wings = rooms("").into_iter().filter(|name| !["lib.rs", "name_service.rs"].contains(&name.as_str()));
    let mut violations = imports::rows("ORDER", ORDER.iter().copied(), &wings.collect());
    violations.extend(circles::descends(IMPORTS));
    violations.extend(arrows.up(ORDER));
    violations.extend(owed("circles", arrows.circles()));
    verdict(violations);
}

#[test]
fn every_setting_is_read() {
    verdict(owed("settings", dead::settings(&SOURCES, SETTINGS)));
}

#[test]
fn every_request_is_sent() {
    let (folder, name) = REQUESTS;
    let violations = dead::requests(&SOURCES, folder, name, REQUESTS_LATER);
    verdict(owed("requests", violations));
}

#[test]
fn what_is_public_is_used() {
    let mut violations = dead::public(&SOURCES, WINGS);
    violations.extend(dead::shown(&SOURCES));
    verdict(owed("public", violations));
}

#[test]
fn one_word_per_idea() {
    verdict(owed("vocabulary", words::vocabulary(&SOURCES, VOCABULARY, VOCABULARY_KEYS)));
}

#[test]
fn no_allowance_is_left_over() {
    let mut violations = imports::allowances(&SOURCES, WINGS, IMPORTS);
    violations.extend(imports::owners(&SOURCES, WINGS, PACKAGES, &[ANYONE, IMPURE]));
    verdict(violations);
}

#[test]
fn every_prerelease_has_its_reason() {
    let path = "docs/dependencies.md";
    verdict(documents::prereleases(&text("Cargo.lock"), path, &text(path)));
}

fn owed(rule: &str, violations: Vec<String>) -> Vec<String> {
    rules::owed(rule, violations, KNOWN)
}
