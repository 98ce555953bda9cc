//! The repository held to the rules: one test a rule.

use std::fs;

use super::repository::{SOURCES, below, entries, root, text, verdict};
use super::rules::pure::{self, Pure};
use super::rules::{documents, files, imports, words};
use super::{
    FORBIDDEN, IMPORTS, IMPURE_PATHS, LINES_MAX, LONG, OPERATOR_SIDE, PACKAGES, PLACES, PLACES_MAY_STAND_IN,
    PURE, SERVER_SIDE, SLEEPS, WINGS, WIRE,
};
use crate::run::{ZKOPS, run};

#[test]
fn folders_import_only_what_the_table_allows() {
    let is_code = |name: &String| !["lib.rs", "mod.rs", "name_service.rs"].contains(&name.as_str());
    let (wings, beside): (Vec<String>, Vec<String>) =
        entries("src").into_iter().filter(is_code).partition(|name| WINGS.contains(&name.as_str()));
    let inside = wings.iter().flat_map(|wing| entries(format!("src/{wing}"))).filter(is_code);
    let rooms = beside.into_iter().chain(inside).collect();
    let mut violations = imports::rows("IMPORTS", IMPORTS.iter().map(|(room, _)| *room), &rooms);
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

#[test]
fn every_package_has_its_owner_and_is_used() {
    let manifest = text("Cargo.toml");
    let packages = imports::dependencies(&manifest);
    let mut violations = imports::rows("PACKAGES", PACKAGES.iter().map(|(package, _)| *package), &packages);
    violations.extend(imports::packages(&SOURCES, WINGS, PACKAGES));
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
