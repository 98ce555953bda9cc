//! Words, options, tables, completion, and the formats that need no server.

use jiff::tz::TimeZone;

use super::strings;
use crate::shell::args::{Args, ArgsError, Style, words};
use crate::shell::completion::candidates;
use crate::shell::output::Out;
use crate::shell::program::Program;
use crate::shell::quota::Track;
use crate::shell::verbs::{TABLE, Verb, usage};
use crate::shell::{format, zone};
use crate::wire::proto::{Acl, Stat};

#[test]
fn lines_split_at_blanks_and_quotes_keep_them() {
    for (line, expected) in [
        ("", &[][..]),
        ("  ls   /  ", &["ls", "/"]),
        ("set /a 'two words'", &["set", "/a", "two words"]),
        ("set /a \"it's\"", &["set", "/a", "it's"]),
        ("set /a ''", &["set", "/a", ""]),
        ("set /a {\"a\":1}", &["set", "/a", "{\"a\":1}"]),
        ("set /a '{\"a\": 1}'", &["set", "/a", "{\"a\": 1}"]),
        ("a\"b c", &["a\"b", "c"]),
        ("\"open end", &["open", "end"]),
        ("'a'b", &["a", "b"]),
        ("\"", &[]),
        ("ls\t/数据", &["ls", "/数据"]),
    ] {
        assert_eq!(words(line), expected, "{line:?}");
    }
}

#[test]
fn options_stand_anywhere_and_numbers_are_none() {
    let parse = |line: &str| Args::parse(&words(line));
    let args = parse("set /a -s -1 -v 3").unwrap();
    assert_eq!((args.operand(0), args.operand(1), args.value('v')), (Some("/a"), Some("-1"), Some("3")));
    assert!(args.has('s') && !args.has('b'));
    assert_eq!(parse("get -sw /a").unwrap(), parse("get -s -w /a").unwrap());
    assert_eq!(parse("delete /a -v-1").unwrap().value('v'), Some("-1"));
    let args = parse("create -- /a -e").unwrap();
    assert_eq!((args.operand(1), args.has('e')), (Some("-e"), false));
    assert_eq!(parse("create /a -").unwrap().operand(1), Some("-"));

    for (line, error) in [
        ("nosuch /a", ArgsError::UnknownVerb("nosuch".into())),
        ("LS /", ArgsError::UnknownVerb("LS".into())),
        ("ls", ArgsError::TooFew(Verb::Ls)),
        ("set /a", ArgsError::TooFew(Verb::Set)),
        ("ls -z /", ArgsError::UnknownOption(Verb::Ls, "-z".into())),
        ("get -sz /", ArgsError::UnknownOption(Verb::Get, "-sz".into())),
        ("get -é /", ArgsError::UnknownOption(Verb::Get, "-é".into())),
        ("set /a x -v", ArgsError::MissingValue(Verb::Set, 'v')),
    ] {
        assert_eq!(parse(line), Err(error), "{line:?}");
    }
}

#[test]
fn only_commands_of_3_4_without_newer_options_are_old_forms() {
    for (line, style) in [
        ("get /a", Style::Old),
        ("get /a watch", Style::Old),
        ("get -s /a", Style::New),
        ("create -s -e /a x", Style::Old),
        ("create -c /a", Style::New),
        ("rmr /a", Style::Old),
        ("deleteall /a", Style::New),
        ("addWatch /a", Style::New),
    ] {
        assert_eq!(Args::parse(&words(line)).unwrap().style, style, "{line:?}");
    }
    assert!(Args::parse(&words("get /a watch")).unwrap().watch());
    assert!(!Args::parse(&words("get -s /a watch")).unwrap().watch(), "a new form takes -w alone");
}

#[test]
fn every_command_has_a_row_and_the_usage_is_in_order() {
    let names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    for row in TABLE {
        assert_eq!(Verb::named(row.name), Some(row.verb));
        assert!(!row.verb.grammar().name.is_empty());
    }
    let usage = usage();
    assert!(usage.starts_with("ZooKeeper -server host:port cmd args\n\taddWatch [-m mode] path"));
    assert!(usage.contains("\n\tclose \n"), "a blank follows the name");
    assert!(usage.contains("\n\tset path data [-s] [-v version] [-b]\n"));
}

#[test]
fn completion_offers_commands_and_then_children() {
    let children = |path: &str| match path {
        "/" => strings(&["app", "apple", "zoo"]),
        "/app" => strings(&["x", "y"]),
        _ => Vec::new(),
    };
    for (line, at, expected) in [
        ("", 0, None),
        ("get", 0, Some(&["get", "getAcl", "getAllChildrenNumber", "getEphemerals"][..])),
        ("  rm", 2, Some(&["rmr "])),
        ("ls /", 3, Some(&["/app", "/apple", "/zoo"])),
        ("ls /ap", 3, Some(&["/app", "/apple"])),
        ("get -s /app/", 7, Some(&["/app/x", "/app/y"])),
        ("ls x", 3, Some(&[])),
        ("nosuch /no/a", 7, Some(&[])),
    ] {
        let (start, found) = candidates(line, children);
        assert_eq!(start, at, "{line:?}");
        match expected {
            Some(expected) => assert_eq!(found, expected, "{line:?}"),
            None => assert_eq!(found.len(), TABLE.len()),
        }
    }
}

#[test]
fn program_options_are_read_up_to_the_command() {
    let parse = |args: &[&str]| Program::parse(&strings(args));
    let program = parse(&[]).unwrap();
    assert_eq!(
        (program.target.text.as_str(), program.target.timeout.as_millis()),
        ("localhost:2181", 30_000)
    );
    let program = parse(&["-timeout", "5000", "-r", "-server", "a:1,b/app", "ls", "-s", "/"]).unwrap();
    assert_eq!(program.target.to.to_string(), "a:1,b:2181/app");
    assert!(program.target.read_only && !program.wait);
    assert_eq!(program.command, ["ls", "-s", "/"]);
    let program = parse(&["-x", "-client-configuration", "f", "-waitforconnection"]).unwrap();
    assert!(program.wait);
    assert_eq!(program.remarks.len(), 2);
    assert_eq!(parse(&["-server"]).unwrap_err(), "Error: no argument found for option -server");
    assert!(parse(&["-timeout", "soon"]).unwrap_err().starts_with("-timeout soon: give milliseconds"));
    assert!(parse(&["-timeout", "0"]).is_err());
    assert!(parse(&["-server", "a:b"]).unwrap_err().contains("the port must be a number"));
}

#[test]
fn dates_read_as_java_prints_them() {
    let china = zone::local(Some("CST-8".as_ref()));
    assert_eq!(format::date(1_527_083_345_000, &china), "Wed May 23 21:49:05 CST 2018");
    assert_eq!(format::date(0, &china), "Thu Jan 01 08:00:00 CST 1970");
    assert_eq!(format::date(0, &TimeZone::UTC), "Thu Jan 01 00:00:00 UTC 1970");
    assert_eq!(format::date(i64::MAX, &TimeZone::UTC), format!("{} ms since 1970", i64::MAX));
    let summer = zone::local(Some("CET-1CEST,M3.5.0,M10.5.0/3".as_ref()));
    assert_eq!(format::date(1_527_083_345_000, &summer), "Wed May 23 15:49:05 CEST 2018");
}

#[test]
fn a_zone_that_cannot_be_read_is_utc() {
    for tz in ["", ":", "No/Such_Zone", "../../etc/passwd", "/etc/passwd", "\u{1}"] {
        assert_eq!(
            format::date(0, &zone::local(Some(tz.as_ref()))),
            "Thu Jan 01 00:00:00 UTC 1970",
            "{tz:?}"
        );
    }
    let _ = zone::local(None);
}

#[test]
fn acls_print_with_the_references_line_break_and_escapes() {
    assert_eq!(format::acl(&Acl::new(31, "world", "anyone")), "'world,'anyone\n: cdrwa");
    assert_eq!(
        format::acl(&Acl::new(1 | 2 | 64, "x509", "CN=a,O=b}%\n")),
        "'x509,'CN=a%2CO=b%7D%25%0A\n: rw"
    );
}

#[test]
fn hex_dumps_have_sixteen_bytes_a_row() {
    let dump = format::hex_dump(&(0..=17).chain([0x20, 0x7e, 0x7f]).collect::<Vec<u8>>());
    let rows: Vec<&str> = dump.lines().collect();
    assert_eq!(rows[3], "|00000000| 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f |................|");
    assert_eq!(rows[4], "|00000010| 10 11 20 7e 7f                                  |.. ~.           |");
    assert_eq!(rows.len(), 6);
    assert_eq!(format::hex_dump(b"").lines().count(), 4);
}

#[test]
fn negative_zxids_and_owners_print_in_twos_complement() {
    let stat = Stat { ephemeral_owner: -1, ..Stat::default() };
    assert!(format::stat(&stat, &TimeZone::UTC).contains("ephemeralOwner = 0xffffffffffffffff\n"));
}

#[test]
fn quota_strings_survive_a_round_trip_and_junk_is_no_limit() {
    for text in ["count=2,bytes=5=;byteHardLimit=100;countHardLimit=3", "count=3,bytes=3", "count=-1,bytes=9"]
    {
        assert_eq!(Track::parse(text).to_string(), text);
    }
    for junk in ["", "junk", "count=x,bytes", "=;=,,"] {
        assert_eq!(Track::parse(junk).to_string(), "count=-1,bytes=-1", "{junk:?}");
    }
    assert_eq!(Track::parse("count=1;bytes=2;other=3").to_string(), "count=1,bytes=2=;other=3");
}

#[test]
fn nothing_from_the_ensemble_steers_a_terminal() {
    let said = super::Said::default();
    let io = said.io(crate::shell::Input::Terminal, true);
    let out = Out::new(io.out, io.err, io.terminal);
    out.line("a\u{1b}[31mb");
    out.data(b"x\x07\ty\xff");
    out.complain("Created /\u{9b}2J");
    assert_eq!(said.both(), "a\u{fffd}[31mb\nx\u{fffd}\ty\u{fffd}\nCreated /\u{fffd}2J\n");
    let said = super::Said::default();
    let io = said.io(crate::shell::Input::Terminal, false);
    Out::new(io.out, io.err, io.terminal).data(b"\x1b\xff");
    assert_eq!(*said.out.lock().unwrap(), b"\x1b\xff\n", "a pipe gets the bytes");
}
