//! The fake's nodes: enough of client-protocol §2 that the outputs of a shell are the real ones. Writes
//! check in the order of the spec; a transaction is tried on a copy.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::wire::ids::Zxid;
use crate::wire::jute::Str;
use crate::wire::proto::{
    Acl, CreateMode, CreateRequest, ErrorCode, EventType, Id, MultiResult, Perms, Request, Response, Stat,
    path,
};

#[derive(Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    pub(super) last_zxid: i64,
    pub(super) wall_ms: i64,
}

#[derive(Clone, Default)]
struct Node {
    data: Option<Bytes>,
    acl: Vec<Acl>,
    stat: Stat,
    /// Creates under it, which sequence numbers count.
    created: i32,
}

/// One change, for the watches.
pub(super) struct Fired {
    pub(super) kind: EventType,
    pub(super) path: String,
}

type Answer = Result<Response, ErrorCode>;

impl Default for Tree {
    fn default() -> Tree {
        let node = || Node { data: Some(Bytes::new()), acl: Acl::open(), ..Node::default() };
        let paths = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        let mut nodes: BTreeMap<String, Node> =
            paths.into_iter().map(|path| (path.to_owned(), node())).collect();
        nodes.get_mut("/").unwrap().stat.cversion = -1;
        Tree { nodes, last_zxid: 0, wall_ms: 0 }
    }
}

impl Tree {
    pub(super) fn set_data(&mut self, path: &str, text: &str) {
        self.nodes.get_mut(path).unwrap().data = Some(Bytes::copy_from_slice(text.as_bytes()));
    }

    pub(super) fn stat(&self, path: &str) -> Option<Stat> {
        let node = self.nodes.get(path)?;
        Some(Stat {
            data_length: node.data.as_ref().map_or(0, |data| data.len() as i32),
            num_children: self.children(path).count() as i32,
            ..node.stat
        })
    }

    fn children<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = &'a str> {
        self.nodes.keys().filter(move |path| path::parent(path) == Some(parent)).map(|path| path::name(path))
    }

    pub(super) fn read(&self, session: i64, ids: &[Id], request: &Request) -> Answer {
        let names = |path: &str| self.children(path).map(Str::from).collect::<Vec<_>>();
        Ok(match request {
            Request::Exists { path, .. } => Response::Stat(self.stat(path).ok_or(ErrorCode::NoNode)?),
            Request::GetData { path, .. } => {
                let node = self.checked(path, Perms::READ, ids)?;
                Response::Data { data: node.data.clone(), stat: self.stat(path).unwrap() }
            }
            Request::GetChildren2 { path, .. } => {
                self.checked(path, Perms::READ, ids)?;
                Response::Children2 { names: names(path), stat: self.stat(path).unwrap() }
            }
            Request::GetAcl { path } => {
                let node = self.checked(path, Perms::READ | Perms::ADMIN, ids)?;
                Response::Acl { acl: node.acl.clone(), stat: self.stat(path).unwrap() }
            }
            Request::Sync { path } => Response::Path(path.clone()),
            Request::GetAllChildrenNumber { path } => {
                self.checked(path, Perms::READ, ids)?;
                let below = if &**path == "/" { "/".to_owned() } else { format!("{path}/") };
                let count = self.nodes.keys().filter(|p| p.len() > 1 && p.starts_with(&below)).count();
                Response::Number(count as i32)
            }
            Request::GetEphemerals { prefix } => {
                let prefix = prefix.as_deref().unwrap_or("/");
                let mine = self
                    .nodes
                    .iter()
                    .filter(|(path, node)| node.stat.ephemeral_owner == session && path.starts_with(prefix));
                Response::Names(mine.map(|(path, _)| Str::from(path.as_str())).collect())
            }
            _ => return Err(ErrorCode::Unimplemented),
        })
    }

    pub(super) fn write(&mut self, session: i64, ids: &[Id], request: Request) -> (Answer, Vec<Fired>) {
        self.last_zxid += 1;
        let mut fired = Vec::new();
        let answer = match request {
            Request::Multi(ops) => Ok(Response::Multi(self.multi(session, ids, ops, &mut fired))),
            request => self.apply(session, ids, request, &mut fired),
        };
        (answer, fired)
    }

    pub(super) fn close_session(&mut self, session: i64) -> Vec<Fired> {
        self.last_zxid += 1;
        let owned = self.nodes.iter().filter(|(_, node)| node.stat.ephemeral_owner == session);
        let paths: Vec<String> = owned.map(|(path, _)| path.clone()).collect();
        let mut fired = Vec::new();
        for path in paths {
            self.remove(&path, &mut fired);
        }
        fired
    }

    fn multi(
        &mut self,
        session: i64,
        ids: &[Id],
        ops: Vec<Request>,
        fired: &mut Vec<Fired>,
    ) -> Vec<MultiResult> {
        let (before, count) = (self.clone(), ops.len());
        let mut results = Vec::new();
        for (at, op) in ops.into_iter().enumerate() {
            match self.apply(session, ids, op, fired) {
                Ok(Response::Create { path }) => results.push(MultiResult::Create { path }),
                Ok(Response::Create2 { path, stat }) => results.push(MultiResult::Create2 { path, stat }),
                Ok(Response::Stat(stat)) => results.push(MultiResult::SetData(stat)),
                Ok(Response::Number(_)) => results.push(MultiResult::Check),
                Ok(_) => results.push(MultiResult::Delete),
                Err(code) => {
                    *self = Tree { last_zxid: self.last_zxid, ..before };
                    fired.clear();
                    let code_at = |i: usize| match i.cmp(&at) {
                        std::cmp::Ordering::Less => 0,
                        std::cmp::Ordering::Equal => code.code(),
                        std::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency.code(),
                    };
                    return (0..count).map(|i| MultiResult::Error(code_at(i))).collect();
                }
            }
        }
        results
    }

    fn apply(&mut self, session: i64, ids: &[Id], request: Request, fired: &mut Vec<Fired>) -> Answer {
        let (zxid, wall_ms) = (Zxid(self.last_zxid), self.wall_ms);
        match request {
            Request::Create(create) => {
                let path = self.create(session, ids, create, fired)?;
                Ok(Response::Create { path: Str::from(path) })
            }
            Request::Create2(create) | Request::CreateContainer(create) | Request::CreateTtl(create) => {
                let path = self.create(session, ids, create, fired)?;
                Ok(Response::Create2 { stat: self.stat(&path).unwrap(), path: Str::from(path) })
            }
            Request::Delete { path, version } => {
                let parent = path::parent(&path).ok_or(ErrorCode::BadArguments)?;
                self.checked(parent, Perms::DELETE, ids)?;
                let stat = self.stat(&path).ok_or(ErrorCode::NoNode)?;
                expect_version(version, stat.version)?;
                if stat.num_children > 0 {
                    return Err(ErrorCode::NotEmpty);
                }
                self.remove(&path, fired);
                Ok(Response::Empty)
            }
            Request::SetData { path, data, version } => {
                let node = self.checked(&path, Perms::WRITE, ids)?;
                expect_version(version, node.stat.version)?;
                let node = self.nodes.get_mut(&*path).unwrap();
                node.data = data;
                node.stat.version += 1;
                (node.stat.mzxid, node.stat.mtime_ms) = (zxid, wall_ms);
                fired.push(Fired { kind: EventType::NodeDataChanged, path: path.to_string() });
                Ok(Response::Stat(self.stat(&path).unwrap()))
            }
            Request::SetAcl { path, acl, version } => {
                let acl = fixed_acl(acl, ids)?;
                let node = self.checked(&path, Perms::ADMIN, ids)?;
                expect_version(version, node.stat.aversion)?;
                let node = self.nodes.get_mut(&*path).unwrap();
                node.acl = acl;
                node.stat.aversion += 1;
                Ok(Response::Stat(self.stat(&path).unwrap()))
            }
            Request::Check { path, version } => {
                expect_version(version, self.nodes.get(&*path).ok_or(ErrorCode::NoNode)?.stat.version)?;
                Ok(Response::Number(0))
            }
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    fn create(
        &mut self,
        session: i64,
        ids: &[Id],
        create: CreateRequest,
        fired: &mut Vec<Fired>,
    ) -> Result<String, ErrorCode> {
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        let acl = fixed_acl(create.acl, ids)?;
        // A number will follow in a sequential name, so that "/" is one (client-protocol §2.4).
        let name = format!("{}{}", create.path, if mode.is_sequential() { "0" } else { "" });
        let parent = path::parent(&name).ok_or(ErrorCode::NodeExists)?.to_owned();
        let number = self.checked(&parent, Perms::CREATE, ids)?.created;
        let path = match mode.is_sequential() {
            true => format!("{}{number:010}", create.path),
            false => create.path.to_string(),
        };
        path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if self.nodes[&parent].stat.ephemeral_owner != 0 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let zxid = Zxid(self.last_zxid);
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime_ms: self.wall_ms,
            mtime_ms: self.wall_ms,
            ephemeral_owner: if mode.is_ephemeral() { session } else { 0 },
            ..Stat::default()
        };
        self.nodes.insert(path.clone(), Node { data: create.data, acl, stat, created: 0 });
        let parent = self.nodes.get_mut(&parent).unwrap();
        parent.created += 1;
        parent.stat.cversion += 1;
        parent.stat.pzxid = zxid;
        fired.push(Fired { kind: EventType::NodeCreated, path: path.clone() });
        Ok(path)
    }

    fn remove(&mut self, path: &str, fired: &mut Vec<Fired>) {
        self.nodes.remove(path);
        let zxid = Zxid(self.last_zxid);
        if let Some(parent) = self.nodes.get_mut(path::parent(path).unwrap_or("/")) {
            parent.stat.cversion += 1;
            parent.stat.pzxid = zxid;
        }
        fired.push(Fired { kind: EventType::NodeDeleted, path: path.to_owned() });
    }

    fn checked(&self, path: &str, wanted: i32, ids: &[Id]) -> Result<&Node, ErrorCode> {
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        let open = |acl: &Acl| acl.id.scheme == "world" || ids.contains(&acl.id);
        match node.acl.iter().any(|acl| acl.perms & wanted != 0 && open(acl)) {
            true => Ok(node),
            false => Err(ErrorCode::NoAuth),
        }
    }
}

fn expect_version(expected: i32, actual: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == actual { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

fn fixed_acl(acl: Option<Vec<Acl>>, ids: &[Id]) -> Result<Vec<Acl>, ErrorCode> {
    let mut fixed = Vec::new();
    for acl in acl.unwrap_or_default() {
        match acl.id.scheme.as_str() {
            "world" | "digest" | "ip" => fixed.push(acl),
            "auth" => {
                let creators = ids.iter().filter(|id| id.scheme == "digest");
                fixed.extend(creators.map(|id| Acl { perms: acl.perms, id: id.clone() }));
            }
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    if fixed.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(fixed) }
}
