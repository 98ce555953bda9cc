//! Laws held against random histories: servers stay equal, trailers tell the truth, prepare decides as
//! a naive model does, a fuzzy snapshot plus the log is the tree.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{ALICE, BOB, Pair, create, dump, reload};
use crate::server::tree::{Settings, Tree, Txn, TxnBody, snapshot};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute;
use crate::wire::proto::{Acl, ErrorCode, OpCode, Perms, Request};

/// A request and who sends it.
#[derive(Debug, Clone)]
struct Step {
    session: SessionId,
    request: Request,
    /// Apply the oldest transactions on their way until this many are left.
    left: usize,
}

fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "(/[abq]){1,3}",
        1 => Just("/".to_owned()),
        1 => "/zookeeper/[ab]",
        1 => Just("/zookeeper/quota/q".to_owned()),
        1 => Just("/zookeeper/quota/q/zookeeper_limits".to_owned()),
        1 => Just("/zookeeper/quota/q/zookeeper_stats".to_owned()),
        1 => Just("/zookeeper/quota".to_owned()),
    ]
}

fn any_list() -> impl Strategy<Value = Vec<Acl>> {
    prop_oneof![
        8 => Just(Acl::open()),
        1 => (0..32).prop_map(|perms| vec![Acl::new(perms, "world", "anyone")]),
        1 => (0..3).prop_map(|n| {
            let own = Acl::new(Perms::ALL, "ip", "127.0.0.0/8");
            vec![own, Acl::new(Perms::READ, "ip", &format!("10.0.0.{n}"))]
        }),
    ]
}

fn any_version() -> impl Strategy<Value = i32> {
    prop_oneof![3 => Just(-1), 2 => 0..3]
}

fn any_part() -> impl Strategy<Value = Request> {
    // Clients that write counters by themselves make servers differ there, as in the reference.
    let settable = any_path().prop_filter("not a counter", |path| !path.ends_with("_stats"));
    let data = proptest::option::of("[a-z]{0,4}".prop_map(Bytes::from));
    let op = prop_oneof![4 => Just(0), 2 => Just(1), 1 => Just(2), 1 => Just(3)];
    let create = (any_path(), data.clone(), 0..7, any_list(), op).prop_map(|(path, data, flags, acl, op)| {
        let mut create = create(&path, b"", flags, acl);
        create.data = data;
        match op {
            0 => Request::Create(create),
            1 => Request::Create2(create),
            2 => Request::CreateContainer(create),
            _ => {
                create.ttl_ms = Some(if flags > 4 { 500 } else { -1 });
                Request::CreateTtl(create)
            }
        }
    });
    prop_oneof![
        5 => create,
        4 => (any_path(), any_version())
            .prop_map(|(path, version)| Request::Delete { path: path.into(), version }),
        3 => (settable, data, any_version())
            .prop_map(|(path, data, version)| Request::SetData { path: path.into(), data, version }),
        1 => (any_path(), any_version())
            .prop_map(|(path, version)| Request::Check { path: path.into(), version }),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let request = prop_oneof![
        12 => any_part(),
        3 => proptest::collection::vec(any_part(), 0..5).prop_map(Request::Multi),
        2 => (any_path(), any_list(), any_version()).prop_map(|(path, acl, version)| {
            Request::SetAcl { path: path.into(), acl: Some(acl), version }
        }),
        1 => any_path().prop_map(|path| Request::DeleteContainer { path: path.into() }),
        1 => Just(Request::CreateSession { timeout_ms: 4000 }),
        1 => Just(Request::CloseSession),
    ];
    (prop_oneof![Just(ALICE), Just(BOB)], request, 0usize..6).prop_map(|(session, request, left)| Step {
        session,
        request,
        left,
    })
}

fn history(len: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any_step(), 1..len)
}

fn settings() -> Settings {
    Settings { extended_types: true, ..Settings::default() }
}

/// Runs a history with some transactions on their way; `between` sees the leader after every step.
fn run(steps: &[Step], mut between: impl FnMut(&mut Pair, usize)) -> (Pair, Vec<Txn>) {
    let mut pair = Pair::with(settings());
    let mut on_their_way = std::collections::VecDeque::new();
    let mut log = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        pair.session = step.session;
        let txn = pair.prepare(&step.request);
        on_their_way.push_back(txn);
        while on_their_way.len() > step.left {
            let txn = on_their_way.pop_front().unwrap();
            pair.apply(&txn);
            log.push(txn);
        }
        between(&mut pair, at);
    }
    for txn in on_their_way {
        pair.apply(&txn);
        log.push(txn);
    }
    assert!(pair.outstanding.is_empty());
    (pair, log)
}

/// What decides about a request, kept as simply as possible: paths to facts, nothing shared.
#[derive(Debug, Clone, Default)]
struct Model {
    nodes: BTreeMap<String, Facts>,
}

#[derive(Debug, Clone, Default)]
struct Facts {
    version: i32,
    aversion: i32,
    creates: i32,
    owner: Option<SessionId>,
    perms: i32,
}

impl Model {
    fn new() -> Model {
        let mut model = Model::default();
        for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            model.nodes.insert(path.to_owned(), Facts { perms: 31, ..Facts::default() });
        }
        model.nodes.get_mut("/zookeeper/config").unwrap().perms = Perms::READ;
        model
    }

    fn run(&mut self, session: SessionId, request: &Request) -> Vec<ErrorCode> {
        let Request::Multi(ops) = request else {
            let code = self.one(session, request);
            return vec![code];
        };
        let mut next = self.clone();
        let mut codes = Vec::new();
        for op in ops {
            codes.push(match codes.last() {
                None | Some(ErrorCode::Ok) => next.one(session, op),
                _ => ErrorCode::RuntimeInconsistency,
            });
        }
        if codes.iter().all(|code| *code == ErrorCode::Ok) {
            *self = next;
        }
        codes
    }

    fn one(&mut self, session: SessionId, request: &Request) -> ErrorCode {
        self.try_one(session, request).err().unwrap_or(ErrorCode::Ok)
    }

    fn node(&mut self, path: &str, wanted: i32) -> Result<&mut Facts, ErrorCode> {
        let path = if path.is_empty() { "/" } else { path };
        let facts = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        if wanted != 0 && facts.perms & wanted == 0 { Err(ErrorCode::NoAuth) } else { Ok(facts) }
    }

    fn has_children(&self, path: &str) -> bool {
        self.nodes.keys().any(|other| other.starts_with(&format!("{path}/")))
    }

    fn delete(&mut self, path: &str) {
        self.nodes.remove(path);
    }

    fn try_one(&mut self, session: SessionId, request: &Request) -> Result<(), ErrorCode> {
        let built_in = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        match request {
            Request::Create(create)
            | Request::Create2(create)
            | Request::CreateContainer(create)
            | Request::CreateTtl(create) => {
                let ttl_ms = create.ttl_ms.unwrap_or(-1);
                if (create.flags > 4) != (ttl_ms > 0)
                    || (request.op() == OpCode::CreateTtl && create.flags < 5)
                {
                    return Err(ErrorCode::BadArguments);
                }
                let parent_path = &create.path[..create.path.rfind('/').unwrap()];
                let perms = create.acl.as_ref().unwrap()[0].perms;
                let number = self.node(parent_path, Perms::CREATE)?.creates;
                let sequential = [2, 3, 6].contains(&create.flags);
                let suffix = if sequential { format!("{number:010}") } else { String::new() };
                let path = format!("{}{suffix}", &create.path);
                if self.nodes.contains_key(&path) {
                    return Err(ErrorCode::NodeExists);
                }
                let parent = self.node(parent_path, 0)?;
                if parent.owner.is_some() {
                    return Err(ErrorCode::NoChildrenForEphemerals);
                }
                parent.creates += 1;
                let is_special = matches!(request.op(), OpCode::CreateContainer | OpCode::CreateTtl);
                let is_ephemeral = [1, 3].contains(&create.flags) && !is_special;
                let owner = is_ephemeral.then_some(session);
                self.nodes.insert(path, Facts { perms, owner, ..Facts::default() });
            }
            Request::Delete { path, version } => {
                if built_in.contains(&&path[..]) {
                    return Err(ErrorCode::BadArguments);
                }
                self.node(&path[..path.rfind('/').unwrap()], Perms::DELETE)?;
                let facts = self.node(path, 0)?;
                if *version != -1 && *version != facts.version {
                    return Err(ErrorCode::BadVersion);
                }
                if self.has_children(path) {
                    return Err(ErrorCode::NotEmpty);
                }
                self.delete(path);
            }
            Request::DeleteContainer { path } => {
                if built_in.contains(&&path[..]) {
                    return Err(ErrorCode::BadArguments);
                }
                let is_ephemeral = self.node(path, 0)?.owner.is_some();
                if self.has_children(path) {
                    return Err(ErrorCode::NotEmpty);
                }
                if is_ephemeral {
                    return Err(ErrorCode::BadVersion);
                }
                self.delete(path);
            }
            Request::SetData { path, version, .. } => {
                let facts = self.node(path, Perms::WRITE)?;
                if *version != -1 && *version != facts.version {
                    return Err(ErrorCode::BadVersion);
                }
                facts.version += 1;
            }
            Request::SetAcl { path, acl, version } => {
                let facts = self.node(path, Perms::ADMIN)?;
                if *version != -1 && *version != facts.aversion {
                    return Err(ErrorCode::BadVersion);
                }
                facts.aversion += 1;
                facts.perms = acl.as_ref().unwrap()[0].perms;
            }
            Request::Check { path, version } => {
                let facts = self.node(path, Perms::READ)?;
                if *version != -1 && *version != facts.version {
                    return Err(ErrorCode::BadVersion);
                }
            }
            Request::CloseSession => self.nodes.retain(|_, facts| facts.owner != Some(session)),
            _ => {}
        }
        Ok(())
    }
}

/// The code of a transaction, or of each of its ops.
fn codes(txn: &Txn) -> Vec<ErrorCode> {
    let code = |body: &TxnBody| match body {
        TxnBody::Error(code) => ErrorCode::from_code(*code).unwrap(),
        _ => ErrorCode::Ok,
    };
    match &txn.body {
        TxnBody::Multi(ops) => ops.iter().map(|op| code(&op.body)).collect(),
        body => vec![code(body)],
    }
}

/// A snapshot as the reference takes it: nodes one by one, children's names copied with their parent,
/// new nodes met on the way included (disk-format §3.3).
struct ReferenceSnapshot {
    zxid: Zxid,
    w: jute::Writer,
    ahead: Vec<String>,
}

impl ReferenceSnapshot {
    fn open(tree: &Tree) -> ReferenceSnapshot {
        let mut w = jute::Writer::new();
        w.count(tree.sessions().len());
        for (session, timeout_ms) in tree.sessions() {
            w.long(session.0);
            w.int(timeout_ms);
        }
        let lists: Vec<(i64, &[Acl])> = tree.acls.lists().collect();
        w.count(lists.len());
        for (id, list) in &lists {
            w.long(*id);
            Acl::encode_list(&mut w, Some(list));
        }
        ReferenceSnapshot { zxid: tree.last_zxid(), w, ahead: vec![String::new()] }
    }

    fn visit(&mut self, tree: &Tree, count: usize) {
        for _ in 0..count {
            let Some(path) = self.ahead.pop() else {
                return;
            };
            let Some(id) = tree.nodes.find(&path) else {
                continue;
            };
            let node = tree.nodes.get(id);
            self.w.string(&path);
            self.w.buffer(tree.nodes.data(id));
            self.w.long(tree.acls.id(node.acl));
            node.stat().encode(&mut self.w);
            self.ahead.extend(tree.nodes.children(id).map(|id| tree.nodes.path(id)));
        }
    }

    fn finish(mut self, tree: &Tree) -> (Zxid, Bytes) {
        self.visit(tree, 10_000);
        self.w.string("/");
        (self.zxid, self.w.finish())
    }
}

/// Loads a body, replays the log behind its name, and looks at every promise on the way.
fn restore(zxid: Zxid, body: Bytes, promise: (Zxid, u64), log: &[Txn]) -> Tree {
    let mut tree = snapshot::decode(body, settings()).unwrap();
    tree.set_last_zxid(zxid);
    assert_ne!(tree.promise_digest(promise.0, promise.1), Some(false));
    for txn in log.iter().filter(|txn| txn.header.zxid > zxid) {
        assert_ne!(tree.apply(txn).digest_ok, Some(false), "{txn:?}");
    }
    tree.recount_quotas();
    tree
}

/// The tree but for counters whose path has no limits. Nobody charges those: they say what was there when they were made
/// or when their limits went, and a replay behind a snapshot of a moment in between may find another count there, with
/// the reference as here. Limits that come count anew.
fn dump_without_idle_counters(mut tree: Tree) -> Vec<String> {
    let top = tree.nodes.find("/zookeeper/quota").expect("it is built in");
    let paths: Vec<String> = tree.nodes.subtree(top).map(|id| tree.nodes.path(id)).collect();
    for path in paths.iter().filter(|path| path.ends_with("/zookeeper_stats")) {
        let limits = path.replace("/zookeeper_stats", "/zookeeper_limits");
        if tree.nodes.find(&limits).is_none() {
            let id = tree.nodes.find(path).expect("it was found there");
            tree.nodes.set_data(id, path, None);
        }
    }
    dump(&tree)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn servers_stay_equal_and_trailers_tell_the_truth(steps in history(60)) {
        // `Pair::apply` compares digests and trailers after every transaction.
        let (pair, log) = run(&steps, |_, _| ());
        prop_assert_eq!(dump(&pair.leader), dump(&pair.follower));
        prop_assert_eq!(snapshot::encode_body(&pair.leader), snapshot::encode_body(&pair.follower));
        prop_assert_eq!(dump(&reload(&pair.leader)), dump(&pair.leader));
        // Replaying all of it once more onto the result, and onto nothing, changes nothing.
        let mut again = Tree::with_settings(settings());
        log.iter().for_each(|txn| drop(again.apply(txn)));
        prop_assert_eq!(dump(&again), dump(&pair.leader));
    }

    #[test]
    fn prepare_decides_as_a_naive_model_does(steps in history(60)) {
        let mut model = Model::new();
        let mut expected = Vec::new();
        for step in &steps {
            expected.push(model.run(step.session, &step.request));
        }
        let (_, log) = run(&steps, |_, _| ());
        let decided: Vec<_> = log.iter().map(codes).collect();
        for ((step, expected), decided) in steps.iter().zip(&expected).zip(&decided) {
            // Alone, a check is refused before anything is looked at.
            if !matches!(step.request, Request::Check { .. }) {
                prop_assert_eq!(expected, decided, "{:?}", step);
            }
        }
    }

    #[test]
    fn a_fuzzy_snapshot_and_the_log_behind_it_are_the_tree(
        steps in history(80),
        start in 0usize..60,
        step_bytes in 1usize..400,
    ) {
        let mut writer = None;
        let mut body = Vec::new();
        let mut promise = (Zxid(0), 0);
        let (mut pair, log) = run(&steps, |pair, at| {
            if at == start.min(steps.len() - 1) {
                writer = Some(snapshot::Writer::open(&mut pair.leader));
            }
            if let Some(writer) = &mut writer
                && let Some(chunk) = writer.chunk(&mut pair.leader, step_bytes)
            {
                body.extend_from_slice(&chunk);
                promise = (pair.leader.last_zxid(), pair.leader.digest());
            }
        });
        let mut writer = writer.unwrap();
        while let Some(chunk) = writer.chunk(&mut pair.leader, step_bytes) {
            body.extend_from_slice(&chunk);
            promise = (pair.leader.last_zxid(), pair.leader.digest());
        }
        let zxid = writer.zxid();
        writer.close(&mut pair.leader);
        let restored = restore(zxid, body.into(), promise, &log);
        prop_assert_eq!(dump_without_idle_counters(restored), dump_without_idle_counters(pair.leader));
    }

    #[test]
    fn a_fuzzy_snapshot_of_the_reference_and_the_log_are_the_tree(
        steps in history(80),
        start in 0usize..60,
        pace in 1usize..4,
    ) {
        let mut taken: Option<ReferenceSnapshot> = None;
        let (pair, log) = run(&steps, |pair, at| {
            if at == start.min(steps.len() - 1) {
                taken = Some(ReferenceSnapshot::open(&pair.leader));
            }
            if let Some(taken) = &mut taken {
                taken.visit(&pair.leader, pace);
            }
        });
        let promise = (pair.leader.last_zxid(), pair.leader.digest());
        let (zxid, body) = taken.unwrap().finish(&pair.leader);
        let restored = restore(zxid, body, promise, &log);
        prop_assert_eq!(dump_without_idle_counters(restored), dump_without_idle_counters(pair.leader));
    }
}
