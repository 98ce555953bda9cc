//! Host answers in, facts out.

use super::words;
use crate::operator::fleet::journal::Entry;
use crate::operator::host::data::{Damage, Inspection, Number, NumberFile};
use crate::operator::host::service::{Active, ServiceState};
use crate::operator::plan::damage;
use crate::operator::plan::desired::{DesiredMember, Dirs, Ports, Unit};
use crate::operator::plan::facts::Myid;
use crate::operator::plan::seen::Seen;
use crate::wire::ids::{Epoch, ServerId};

fn member() -> DesiredMember {
    DesiredMember {
        id: ServerId(3),
        name: "node-3".into(),
        address: "10.0.0.3".into(),
        voter: true,
        ports: Ports { client: 2181, quorum: 2888, election: 3888 },
        dirs: Dirs { install: "/i".into(), data: "/d".into(), data_log: "/l".into() },
        binary_path: "/i/current/zkops".into(),
        staged_path: "/i/slots/zkops.next".into(),
        config_path: "/i/current/zoo.cfg".into(),
        config: String::new(),
        unit: Unit { name: "zkops-x".into(), text: String::new(), own_supervisor: false },
        run_as: None,
    }
}

fn number(raw: &str) -> Option<Number> {
    Some(Number { raw: raw.into(), value: raw.parse().ok() })
}

fn found(file: NumberFile, raw: &str) -> Damage {
    Damage::NotANumber { file, raw: raw.into() }
}

#[test]
fn a_wrong_myid_says_nothing_about_the_database() {
    let seen = Inspection {
        data_dir_exists: true,
        myid: number("three"),
        current_epoch: number("4"),
        damage: vec![found(NumberFile::Myid, "three"), found(NumberFile::AcceptedEpoch, "x")],
        ..Inspection::default()
    };
    let facts = words::data(&seen, &member()).unwrap();
    assert_eq!(facts.myid, Myid::Garbage("three".into()));
    assert_eq!(facts.current_epoch, Some(Epoch(4)));
    assert_eq!(
        facts.damage,
        [damage::Damage::NotANumber { file: "version-2/acceptedEpoch".into(), raw: "x".into() }]
    );
}

#[test]
fn foreign_files_make_a_directory_not_empty() {
    let seen = Inspection {
        data_dir_exists: true,
        empty: true,
        foreign: vec!["/d/holiday.jpg".into()],
        foreign_count: 1,
        ..Inspection::default()
    };
    let facts = words::data(&seen, &member()).unwrap();
    assert!(!facts.empty && !facts.has_database);
    assert_eq!(facts.entries, ["holiday.jpg"]);
}

#[test]
fn a_wipe_moves_the_transaction_log_of_its_own_disk_too() {
    assert_eq!(words::parts(&member()), ["/d/version-2", "/d/myid", "/d/zkops.json", "/l/version-2"]);
}

#[test]
fn the_journal_remembers_which_ports_are_ours() {
    let end = |effects| Entry::read(&format!(r#"{{"event":"end","outcome":"changed",{effects}}}"#)).unwrap();
    let journal = [
        end(r#""opened_ports":[2181,2888,3888],"zone":"public""#),
        Entry::read(r#"{"event":"begin","why":"not needed any more"}"#).unwrap(),
        end(r#""closed_ports":[2888]"#),
    ];
    let opened: Vec<String> = words::opened(&journal).iter().map(ToString::to_string).collect();
    assert_eq!(opened, ["2181", "3888"]);
    assert_eq!(words::opened_zone(&journal).as_deref(), Some("public"));
    assert_eq!(words::opened_zone(&[end(r#""zone":"../../etc/passwd""#)]), None);
}

/// A journal may be somebody's to write: nothing but a path comes out of it, and every directory behind those above it.
#[test]
fn the_journal_remembers_which_directories_are_ours() {
    let line = |dirs: &str| format!(r#"{{"event":"end","outcome":"changed","made_dirs":[{dirs}]}}"#);
    let lines = vec![line(r#""/export/data","-rf""#), line(""), line(r#""/export","/export/server""#)];
    let journal = words::journal(Seen::Is(lines));
    assert_eq!(journal.is().unwrap().made_dirs, ["/export", "/export/data", "/export/server"]);
}

#[test]
fn how_a_server_ended_is_said_with_its_restarts() {
    let mut state = ServiceState { active: Active::Failed, exit_signal: Some(9), ..ServiceState::default() };
    assert_eq!(words::ended(&state), "killed by signal 9");
    (state.exit_signal, state.exit_status, state.restarts) = (None, Some(3), 2);
    assert_eq!(words::ended(&state), "exit status 3, 2 restarts");
}

#[test]
fn a_listener_of_another_run_is_no_stranger_to_stop() {
    let of = |comm: &str, line: &str| {
        words::program(comm, &line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    };
    assert!(of("zkops.next", "/opt/zkops/slots/zkops.next agent").starts_with("another zkops"));
    assert_eq!(of("zkops", "/opt/zkops/current/zkops server /opt/other/zoo.cfg"), "zkops");
    assert_eq!(of("nc", "nc -l 2181"), "nc");
}
