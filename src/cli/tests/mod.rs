//! What is typed, and what it means.

mod alerts;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use super::opts::{Opts, Verb};
use super::{apache_style, help_style, usage, view};
use crate::operator::operate::session::Source;

fn parse(line: &str) -> Result<Opts, String> {
    let words = line.split_whitespace().map(OsString::from).collect();
    Opts::try_parse_from(help_style(&apache_style(words))).map_err(|error| error.to_string())
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
        assert!(matches!(opts.verb, Verb::Status(status) if status.which.source() == Source::LastDeployed));
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
fn every_verb_about_an_ensemble_takes_its_inventory_behind_i() {
    for verb in
        ["deploy", "plan", "check", "status", "start", "stop", "restart", "repair 1", "destroy", "ssh-setup"]
    {
        for option in ["-i", "--inventory"] {
            let typed = parse(&format!("zkops {verb} {option} x.yml"));
            assert!(typed.is_ok(), "{verb} {option}: {typed:?}");
        }
    }
    for verb in ["deploy", "plan", "check", "status", "destroy", "ssh-setup"] {
        assert!(parse(&format!("zkops {verb} x.yml")).is_ok(), "{verb}");
        assert!(
            parse(&format!("zkops {verb} x.yml -i y.yml")).unwrap_err().contains("cannot be used"),
            "{verb}"
        );
    }
    assert!(parse("zkops stop node-1 --all").unwrap_err().contains("cannot be used"));
}

#[test]
fn hosts_are_left_out_by_every_verb_that_works_on_several() {
    for verb in ["deploy x.yml", "plan", "check", "start", "stop", "restart", "repair 1", "destroy"] {
        let opts = parse(&format!("zkops {verb} --without node-3,5 --without node-6")).unwrap();
        assert_eq!(opts.verb.without(), ["node-3", "5", "node-6"], "{verb}");
    }
    assert!(parse("zkops status").unwrap().verb.without().is_empty());
}

/// Lines of a help text that begin with the program's name, without what is said of them.
fn examples(help: &str) -> Vec<String> {
    let lines = help.lines().filter(|line| line.starts_with("  zkops "));
    let typed = lines.map(|line| line.split_once(" #").map_or(line, |(typed, _)| typed));
    typed.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_verb_shows_examples_that_can_be_typed() {
    let program = Opts::command();
    let shown = |command: &clap::Command| {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        (command.get_name().to_owned(), examples(&help))
    };
    let verbs = program.get_subcommands().filter(|verb| !verb.is_hide_set());
    for (name, examples) in verbs.map(shown).chain([shown(&program)]) {
        assert!(!examples.is_empty(), "{name} has none");
        for line in examples {
            let parsed = parse(&line).unwrap_or_else(|why| panic!("{line}: {why}"));
            assert!(
                name == "zkops" || line.starts_with(&format!("zkops {name}")),
                "{line} is shown by {name}"
            );
            assert!(!matches!(parsed.verb, Verb::Host(_)), "{line}");
        }
    }
    assert_eq!(examples("  zkops a b   # c\nzkops d\n"), ["zkops a b"]);
}

/// What is broken by hand is broken twice where the terminal is narrower.
#[test]
fn help_is_broken_into_lines_by_the_terminal_alone() {
    let program = Opts::command();
    for command in program.get_subcommands().chain([&program]) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let indented = |line: &str| line.is_empty() || line.starts_with("  ");
        for (line, next) in help.lines().zip(help.lines().skip(1).chain([""])) {
            assert!(!line.starts_with("  ") || line.chars().count() <= LINE_CHARS, "too long: {line}");
            assert!(indented(line) || indented(next), "{line}\n{next}");
        }
    }
}

#[test]
fn a_cry_for_help_is_heard_before_apaches_arguments_only() {
    for line in ["zkops server --help", "zkops cli -h", "zkops help server"] {
        let help = parse(line).unwrap_err();
        assert!(help.contains("Usage: zkops ") && help.contains("Examples:"), "{line}: {help}");
    }
    for line in
        ["zkops help --json", "zkops --json help", "zkops help --json deploy", "zkops help deploy --json"]
    {
        let help = parse(line).unwrap_err();
        assert!(help.contains("Usage: zkops ") && help.contains("Examples:"), "{line}: {help}");
    }
    assert!(parse("zkops help --jso").is_err_and(|why| why.contains("unrecognized")));
    assert!(parse("zkops server --help").unwrap_err().contains("-Dkey=value"));
    assert!(parse("zkops cli --help").unwrap_err().contains("-waitforconnection"));
}

#[test]
fn a_mistake_has_four_parts_too() {
    let failure = usage(&parse("zkops deploy --dryrun x.yml").unwrap_err());
    assert_eq!((failure.exit as u8, failure.what.as_str()), (2, "unexpected argument '--dryrun' found"));
    assert_eq!(failure.next, ["zkops --help"]);
    assert!(failure.evidence[0].lines.iter().any(|line| line.contains("--dry-run")), "{failure:?}");
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

/// What clap takes where there is no terminal to ask.
const LINE_CHARS: usize = 100;
