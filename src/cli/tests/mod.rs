//! What is typed, and what it means.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use super::opts::{Opts, Verb};
use super::{apache_style, view};

fn parse(line: &str) -> Result<Opts, String> {
    let words = line.split_whitespace().map(OsString::from).collect();
    Opts::try_parse_from(apache_style(words)).map_err(|error| error.to_string())
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Opts::command().debug_assert();
}

#[test]
fn options_of_all_verbs_stand_before_or_behind_the_verb() {
    for line in ["zkops --json status", "zkops status --json"] {
        let opts = parse(line).unwrap();
        assert!(opts.global.json);
        assert!(matches!(opts.verb, Verb::Status(status) if status.inventory.is_none() && !status.watch));
    }
    assert_eq!(parse("zkops --timeout 30s status").unwrap().global.timeout.as_secs(), 30);
}

#[test]
fn members_are_words_and_the_inventory_an_option() {
    let Verb::Restart(opts) = parse("zkops restart node-1 3 --inventory x.yml").unwrap().verb else {
        panic!()
    };
    assert_eq!(opts.members, ["node-1", "3"]);
    assert_eq!(opts.inventory.unwrap().to_str(), Some("x.yml"));
    assert!(parse("zkops repair").unwrap_err().contains("MEMBER"));
    assert!(parse("zkops deploy").unwrap_err().contains("INVENTORY"));
}

#[test]
fn server_and_shell_take_their_arguments_as_apache_does() {
    let Verb::Cli(raw) = parse("zkops cli -server 10.0.0.1:2181 ls -s / --json -v").unwrap().verb else {
        panic!()
    };
    assert_eq!(raw.args, ["-server", "10.0.0.1:2181", "ls", "-s", "/", "--json", "-v"]);
    let Verb::Server(raw) = parse("zkops server zoo.cfg -Dzookeeper.x=1 --help").unwrap().verb else {
        panic!()
    };
    assert_eq!(raw.args, ["zoo.cfg", "-Dzookeeper.x=1", "--help"]);
    let Verb::Cli(raw) = parse("zkops -v cli -server h:1 -- x").unwrap().verb else { panic!() };
    assert_eq!(raw.args[..2], ["-server", "h:1"]);
}

#[test]
fn uptimes_are_shown_in_two_units() {
    let shown = [8_100, 72_000, 3_660_000, 90_000_000].map(view::uptime);
    assert_eq!(shown, ["8s", "1m 12s", "1h 1m", "1d 1h"]);
}
