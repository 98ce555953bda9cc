//! Questions to transactions, and what is made of the answers.

use std::collections::BTreeSet;

use super::audit::{Audit, Level, State};
use super::entry::Place;
use super::life::{How, Life, What};
use super::op::{NAMES, Wanted};
use super::owners::Owners;
use super::question::{Question, Znode};
use super::seen::{Damage, Seen};
use super::{line, text};
use crate::formats::log::Tail;
use crate::server::tree::{CreateTxn, CreatedNode, SubTxn, Txn, TxnBody, TxnHeader};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::OpCode;

fn txn(zxid: i64, session: i64, cxid: i32, op: OpCode, body: TxnBody) -> Txn {
    let header = TxnHeader {
        session: SessionId(session),
        cxid,
        zxid: Zxid(zxid),
        time_ms: zxid * 1000,
        kind: op.code(),
    };
    Txn { header, body, digest: None }
}

fn create(path: &str, node: CreatedNode) -> TxnBody {
    let data = Some(b"hello".to_vec().into());
    TxnBody::Create(CreateTxn { path: path.into(), data, acl: None, node, parent_cversion: Some(1) })
}

fn made(zxid: i64, session: i64, path: &str) -> Txn {
    txn(zxid, session, 1, OpCode::Create, create(path, CreatedNode::Plain { ephemeral: false }))
}

fn ephemeral(zxid: i64, session: i64, path: &str) -> Txn {
    txn(zxid, session, 1, OpCode::Create, create(path, CreatedNode::Plain { ephemeral: true }))
}

fn deleted(zxid: i64, session: i64, path: &str) -> Txn {
    txn(zxid, session, 1, OpCode::Delete, TxnBody::Delete { path: path.into() })
}

fn closed(zxid: i64, session: i64, cxid: i32, paths: Option<&[&str]>) -> Txn {
    let paths = paths.map(|paths| paths.iter().map(|path| (*path).into()).collect());
    txn(zxid, session, cxid, OpCode::CloseSession, TxnBody::CloseSession { paths })
}

fn multi(zxid: i64, session: i64, ops: Vec<(OpCode, TxnBody)>) -> Txn {
    let ops = ops.into_iter().map(|(op, body)| SubTxn { kind: op.code(), body }).collect();
    txn(zxid, session, 1, OpCode::Multi, TxnBody::Multi(ops))
}

/// A little of everything.
fn all() -> Vec<Txn> {
    let delete = |path: &str| (OpCode::Delete, TxnBody::Delete { path: path.into() });
    vec![
        txn(1, 7, 0, OpCode::CreateSession, TxnBody::CreateSession { timeout_ms: 4000 }),
        made(2, 7, "/a"),
        made(3, 7, "/ab"),
        ephemeral(4, 8, "/a/lock"),
        txn(
            5,
            7,
            2,
            OpCode::SetData,
            TxnBody::SetData { path: "/a".into(), data: Some(b"needle".to_vec().into()), version: 1 },
        ),
        multi(6, 9, vec![(OpCode::Check, TxnBody::Check { path: "/a".into(), version: 2 }), delete("/ab")]),
        closed(7, 8, 0, Some(&["/a/lock"])),
        txn(8, 9, 3, OpCode::Error, TxnBody::Error(-101)),
        closed(9, 7, 4, Some(&[])),
    ]
}

/// The zxids of what answers.
fn answers(question: &Question) -> Vec<i64> {
    let mut owners = Owners::new(question.znode.clone());
    let mut asked = |txn: &Txn| {
        let ended = owners.hear(txn);
        question.answer(txn, &ended).is_some()
    };
    all().iter().filter(|txn| asked(txn)).map(|txn| txn.header.zxid.0).collect()
}

#[track_caller]
fn check(change: impl FnOnce(&mut Question), expected: &[i64]) {
    let mut question = Question::default();
    change(&mut question);
    assert_eq!(answers(&question), expected, "{question:?}");
}

fn ops(names: &[&str]) -> Vec<Wanted> {
    names.iter().map(|name| Wanted::named(name).unwrap()).collect()
}

#[test]
fn a_question_takes_what_all_of_it_holds_for() {
    let znode = |path: &str, below| Some(Znode::typed(path, below).unwrap());
    check(|_| {}, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check(|q| q.znode = znode("/a", false), &[2, 5, 6]);
    check(|q| q.znode = znode("/a/", true), &[2, 4, 5, 6, 7]);
    check(|q| q.znode = znode("/", true), &[2, 3, 4, 5, 6, 7]);
    check(|q| q.znode = znode("/", false), &[]);
    check(|q| (q.znode, q.ops) = (znode("/a/lock", false), ops(&["delete"])), &[7]);
    check(|q| (q.znode, q.ops) = (znode("/ab", false), ops(&["DELETE"])), &[6]);
    check(|q| (q.znode, q.ops) = (znode("/ab", false), ops(&["check"])), &[]);
    check(|q| q.ops = ops(&["delete"]), &[6, 7]);
    check(|q| q.ops = ops(&["create", "setData"]), &[2, 3, 4, 5]);
    check(|q| q.ops = ops(&["multi"]), &[6]);
    check(|q| q.ops = ops(&["closeSession", "createSession"]), &[1, 7, 9]);
    check(|q| q.session = Some(SessionId(9)), &[6, 8]);
    check(|q| (q.since_ms, q.until_ms) = (Some(3000), Some(4000)), &[3, 4]);
    check(|q| (q.from, q.to) = (Some(Zxid(8)), Some(Zxid(8))), &[8]);
    check(|q| q.text = Some("needle".to_owned()), &[5]);
    check(|q| q.text = Some("loc".to_owned()), &[4, 7]);
}

#[test]
fn every_kind_that_can_be_asked_for_has_its_name() {
    for name in NAMES {
        assert!(Wanted::named(name).is_some(), "{name}");
    }
    assert_eq!(Wanted::named("createttl"), Some(Wanted::Only(OpCode::CreateTtl)));
    assert_eq!(Wanted::named("remove"), None);
}

#[test]
fn of_a_multi_what_was_asked_for_is_shown_and_the_rest_counted() {
    let txn = &all()[5];
    let question = Question { ops: ops(&["delete"]), ..Question::default() };
    let answer = question.answer(txn, &[]).unwrap();
    assert_eq!(answer.ops, [1]);
    let shown = line::of(txn, &question, &answer, false);
    assert!(shown.contains("- delete       /ab\n"), "{shown}");
    assert!(!shown.contains("check") && shown.contains("and 1 op of it that was not asked for"), "{shown}");
}

/// A life of `/x`, and how it ended.
#[track_caller]
fn lived(txns: &[Txn], exists: Option<bool>, how: Option<How>) -> Life {
    let mut life = Life::new("/x");
    txns.iter().for_each(|txn| _ = life.hear(HERE, txn));
    assert_eq!(life.exists, exists, "{life:?}");
    assert_eq!(life.deleted.as_ref().map(|moment| moment.how), how, "{life:?}");
    life
}

#[test]
fn who_deleted_a_znode_is_told_by_cause() {
    let container = |zxid| txn(zxid, 7, 1, OpCode::CreateContainer, create("/x", CreatedNode::Container));
    let ttl = |zxid| txn(zxid, 7, 1, OpCode::CreateTtl, create("/x", CreatedNode::Ttl { ms: 5 }));
    let removed = |zxid| txn(zxid, 0, 0, OpCode::DeleteContainer, TxnBody::Delete { path: "/x".into() });
    let in_multi = multi(5, 9, vec![(OpCode::Delete, TxnBody::Delete { path: "/x".into() })]);
    lived(&[made(1, 7, "/y")], None, None);
    lived(&[made(1, 7, "/x")], Some(true), None);
    lived(&[made(1, 7, "/x"), deleted(2, 8, "/x")], Some(false), Some(How::Client));
    lived(&[made(1, 7, "/x"), deleted(2, 8, "/x"), made(3, 7, "/x")], Some(true), Some(How::Client));
    lived(&[made(1, 7, "/x"), in_multi], Some(false), Some(How::Multi));
    lived(&[ephemeral(1, 7, "/x"), closed(2, 7, 0, Some(&["/x"]))], Some(false), Some(How::SessionExpired));
    lived(
        &[ephemeral(1, 7, "/x"), closed(2, 7, 9, Some(&["/y", "/x"]))],
        Some(false),
        Some(How::SessionClosed),
    );
    lived(&[container(1), removed(2)], Some(false), Some(How::ContainerEmpty));
    lived(&[ttl(1), removed(2)], Some(false), Some(How::TtlOver));
    lived(&[removed(2)], Some(false), Some(How::ContainerOrTtl));
    // Of older logs: whose it was is known by its create.
    lived(&[ephemeral(1, 7, "/x"), closed(2, 7, 0, None)], Some(false), Some(How::SessionExpired));
    lived(&[ephemeral(1, 7, "/x"), closed(2, 8, 0, None)], Some(true), None);
    lived(
        &[ephemeral(1, 7, "/x"), deleted(2, 8, "/x"), closed(3, 7, 0, None)],
        Some(false),
        Some(How::Client),
    );
}

#[test]
fn a_multi_that_failed_did_nothing() {
    let failed = |zxid| {
        let body = create("/x", CreatedNode::Plain { ephemeral: true });
        multi(zxid, 7, vec![(OpCode::Create, body), (OpCode::Error, TxnBody::Error(-103))])
    };
    lived(&[failed(1), closed(2, 7, 0, None)], None, None);
    let shown = line::of(&failed(1), &Question::default(), &Default::default(), false);
    assert!(shown.contains("failed and changed nothing: BadVersion (-103)"), "{shown}");
}

#[test]
fn one_multi_may_make_and_delete() {
    let body = || create("/x", CreatedNode::Plain { ephemeral: false });
    let delete = || (OpCode::Delete, TxnBody::Delete { path: "/x".into() });
    lived(&[multi(1, 7, vec![(OpCode::Create, body()), delete()])], Some(false), Some(How::Multi));
    let life = lived(&[multi(1, 7, vec![delete(), (OpCode::Create, body())])], Some(true), Some(How::Multi));
    assert_eq!(life.created.unwrap().what, What::Created);
}

#[test]
fn sessions_that_ended_without_a_list_are_counted() {
    let opened = txn(3, 9, 0, OpCode::CreateSession, TxnBody::CreateSession { timeout_ms: 4000 });
    // Of one that began in these logs everything is known.
    let all = [closed(1, 7, 0, None), closed(2, 8, 0, Some(&[])), opened, closed(4, 9, 0, None)];
    let life = lived(&all, None, None);
    assert_eq!(life.unlisted(), 1);
}

#[test]
fn what_others_wrote_steers_no_terminal() {
    assert_eq!(text::plain("/a\u{1b}[2J\n\u{202e}b\\"), "/a\\u{1b}[2J\\n\\u{202e}b\\\\");
    assert_eq!(text::plain("/grüße-日本"), "/grüße-日本");
    assert_eq!(text::data(b"a \"b\"\n"), "\"a \\\"b\\\"\\n\"");
    assert_eq!(text::data(&[0xff, 0]), "0xff00");
    let long = "ü".repeat(2000);
    assert!(text::data(&long.as_bytes()[..4000]).ends_with("ü\"… (4000 bytes in all)"));
    assert_eq!(text::time(i64::MAX), format!("{} ms", i64::MAX));
    assert_eq!(text::time(1_764_000_000_123), "2025-11-24T16:00:00.123Z");
}

/// An audit of files, each with the zxid of its name, what it holds and how it ends.
fn audited(snapshots: Option<&[i64]>, files: &[(i64, &[i64], Tail)]) -> Audit {
    let snapshots = snapshots.map(|all| all.iter().map(|zxid| Zxid(*zxid)).collect::<BTreeSet<_>>());
    let mut audit = Audit::new(snapshots);
    for (named, zxids, tail) in files {
        audit.begin(&format!("log.{named:x}"));
        for zxid in *zxids {
            let txn = made(*zxid, 7, "/a").encode();
            audit.hear(&Seen::Txn { offset: 16, txn }, Some(Zxid(*named)));
        }
        let tail = match tail {
            Tail::Mismatch { unwritten } => Tail::Mismatch { unwritten: *unwritten },
            Tail::Torn => Tail::Torn,
            Tail::NoHeader => Tail::NoHeader,
            Tail::Clean => Tail::Clean,
        };
        audit.hear(&Seen::End { at: 99, len: 99, tail }, Some(Zxid(*named)));
    }
    audit.finish();
    audit
}

#[track_caller]
fn judged(snapshots: Option<&[i64]>, files: &[(i64, &[i64], Tail)], damage: &[&str], notes: &[&str]) {
    let audit = audited(snapshots, files);
    let of = |level| audit.findings.iter().filter(move |finding| finding.level == level);
    for (level, expected) in [(Level::Damage, damage), (Level::Note, notes)] {
        let found: Vec<_> = of(level).map(|finding| finding.line()).collect();
        let fits =
            found.len() == expected.len() && found.iter().zip(expected).all(|(one, part)| one.contains(part));
        assert!(fits, "{level:?}: {found:?} and not {expected:?}");
    }
    assert_eq!(audit.is_sound(), damage.is_empty());
}

#[test]
fn logs_are_whole_when_each_goes_on_where_the_last_ended() {
    use Tail::{Clean, Mismatch, NoHeader, Torn};
    const EPOCH_2: i64 = 2 << 32;
    judged(None, &[(1, &[1, 2, 3], Clean), (4, &[4, 5], Clean)], &[], &[]);
    judged(None, &[(5, &[5, 6], Clean), (EPOCH_2 + 1, &[EPOCH_2 + 1], Clean)], &[], &[]);
    judged(
        None,
        &[(1, &[1, 2], Torn), (3, &[3], Clean)],
        &[],
        &["log.1, byte 99: the last write was cut short"],
    );
    judged(
        None,
        &[(1, &[1, 2], Torn), (4, &[4], Clean)],
        &["after 0x2 comes 0x4: 1 transaction missing"],
        &["cut"],
    );
    judged(
        None,
        &[(1, &[1, 2], Clean), (9, &[9], Clean)],
        &["log.9, byte 16: after 0x2 comes 0x9: 6 trans"],
        &[],
    );
    judged(Some(&[0, 8]), &[(1, &[1, 2], Clean), (9, &[9], Clean)], &[], &["which snapshot 0x8 has"]);
    judged(Some(&[0, 7]), &[(1, &[1, 2], Clean), (9, &[9], Clean)], &["6 transactions missing"], &[]);
    judged(Some(&[7]), &[(9, &[9], Clean)], &["no snapshot reaches that far"], &[]);
    judged(Some(&[8]), &[(9, &[9], Clean)], &[], &[]);
    judged(
        None,
        &[(1, &[1, 2, 2, 1, 3], Clean)],
        &[],
        &["0x2 stands here again", "0x1 stands here after a later"],
    );
    judged(None, &[(7, &[1, 2], Clean)], &["it begins with 0x1"], &[]);
    judged(None, &[(1, &[1], Clean), (2, &[], NoHeader)], &[], &["not even a whole header"]);
    let unwritten = || Mismatch { unwritten: true };
    judged(None, &[(1, &[1], unwritten())], &[], &["lacks a sector"]);
    judged(None, &[(1, &[1], unwritten()), (2, &[], Clean)], &[], &["lacks a sector"]);
    judged(None, &[(1, &[1], unwritten()), (2, &[2], Clean)], &["lacks a sector"], &[]);
}

#[test]
fn damage_is_told_once_and_not_again_as_a_gap() {
    let mut audit = Audit::new(None);
    audit.begin("log.1");
    let txn = |zxid| made(zxid, 7, "/a").encode();
    audit.hear(&Seen::Txn { offset: 16, txn: txn(1) }, Some(Zxid(1)));
    let damage = Damage { offset: 80, after: Zxid(1), what: "the checksum".to_owned(), goes_on: Some(144) };
    audit.hear(&Seen::Damage(damage), Some(Zxid(1)));
    audit.hear(&Seen::Txn { offset: 144, txn: txn(3) }, Some(Zxid(1)));
    audit.hear(&Seen::Txn { offset: 208, txn: vec![0; 12].into() }, Some(Zxid(1)));
    audit.finish();
    let lines: Vec<_> = audit.findings.iter().map(|finding| finding.line()).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("log.1, byte 80: after 0x1: the checksum; whole transactions follow 64 bytes"));
    assert!(lines[1].contains("byte 208: the entry is too short"), "{lines:?}");
    assert_eq!(audit.files[0].state, State::Damaged);
}

const HERE: Place = Place { file: "log.1", offset: 16 };
