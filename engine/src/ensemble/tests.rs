//! Lines in, members or the printed fault out.

use proptest::prelude::*;

use super::Membership;

#[test]
fn a_config_text_is_printed_as_the_reference_prints_it() {
    let text = "server.1=host:2888:3888:participant;0.0.0.0:2181\nserver.4=host:2889:3889:observer\n\
                version=100000002";
    assert_eq!(Membership::parse(text).unwrap().to_string(), text);
}

#[test]
fn every_form_of_a_server_line_is_understood() {
    let printed = |line: &str| {
        let text = format!("{line}\nserver.99=z:1:2\n");
        let membership = Membership::parse(&text).unwrap();
        membership.members().next().unwrap().to_string()
    };
    for (line, expected) in [
        ("server.1=a:2888:3888", "server.1=a:2888:3888:participant"),
        ("server.1 = a:2888:3888:PARTICIPANT", "server.1=a:2888:3888:participant"),
        ("server.1=a:2888:3888:Observer;2181", "server.1=a:2888:3888:observer;0.0.0.0:2181"),
        ("server.1: [fe80::1]:2888:3888;[::1]:2181", "server.1=[fe80::1]:2888:3888:participant;[::1]:2181"),
        ("server.1=b:1:2|a:3:4;h:5;s:6", "server.1=a:3:4|b:1:2:participant;h:5;s:6"),
        ("server.1=a:1:2;;2281", "server.1=a:1:2:participant;;0.0.0.0:2281"),
        ("server.1=a\\:1\\:2", "server.1=a:1:2:participant"),
        ("# comment\n! another\n\nserver.1 a:1:2", "server.1=a:1:2:participant"),
    ] {
        assert_eq!(printed(line), expected, "{line}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let twice = "member list: server.1 is listed twice; every server needs an id of its own";
    let nobody = "member list: no participant; add a server.N line without `:observer`";
    for (text, problem) in [
        ("server.1=a:1:2\nserver.1=b:1:2", twice),
        ("server.1=a:1:2:observer", nobody),
        ("server.x=a:1:2", "line 1, column 1: \"x\" is not a server's number"),
        ("server.-1=a:1:2", "line 1, column 1: \"-1\" is not a server's number"),
        ("server.1=a:1:1", "line 1, column 14: server.1: port 1 stands for both the quorum and elections"),
        ("\n server.1 = a", "line 2, column 13: server.1: \"a\" is not host:quorumPort:electionPort"),
        ("server.1=a:1", "line 1, column 10: server.1: \"a:1\" does not have three or four parts"),
        ("server.1=a b:1:2", "line 1, column 10: server.1: \"a b:1:2\" is not host:quorumPort:electionPort"),
        ("server.1=a:1:2:king", "line 1, column 16: server.1: the role \"king\" is unknown"),
        (
            "server.1=a:1:2:observer:x",
            "line 1, column 10: server.1: \"a:1:2:observer:x\" does not have three or four parts",
        ),
        ("server.1=a:1:2;3;4;5", "line 1, column 20: server.1: \"5\" is one part too many"),
        ("server.1=a:0:2", "line 1, column 12: server.1: \"0\" is not a port"),
        ("server.1=a:1:2;0", "line 1, column 16: server.1: \"0\" is not [host:]clientPort"),
        (
            "server.1=a:1:2|b:1:2:observer",
            "line 1, column 16: server.1: its addresses have different roles, here \"b:1:2:observer\"",
        ),
        (
            "server.1=a:1:2\ngroup.1=1:2",
            "line 2, column 1: hierarchical quorums are not supported; remove group and weight lines",
        ),
        ("server.1=a:1:2\nclientPort=1", "line 2, column 1: \"clientPort\" does not belong there"),
        ("server.1=a:1:2\nversion=g", "line 2, column 9: the version \"g\" is not a hexadecimal number"),
    ] {
        let error = Membership::parse(text).unwrap_err().to_string();
        let expected =
            if problem.starts_with("line") { format!("member list, {problem}") } else { problem.to_owned() };
        assert_eq!(error, expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-zé0-9.=:;|\\[\\]\\\\\n -]{0,80}") {
        let _ = Membership::parse(&text);
    }

    #[test]
    fn a_config_text_survives_a_round_trip(ports in prop::collection::vec(1u16..60000, 1..6)) {
        let line = |(i, port): (usize, &u16)| format!("server.{i}=h{i}:{port}:{}\n", port + 1);
        let text: String = ports.iter().enumerate().map(line).collect();
        let membership = Membership::parse(&text).unwrap();
        prop_assert_eq!(Membership::parse(&membership.to_string()), Ok(membership));
    }
}
