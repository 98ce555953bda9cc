//! Request → what the leader must make of it, from client-protocol §2.2–§2.7: the second opinion on `prepare`.
//! It knows the requests that simulated clients send, with lists that grant to anyone.

use std::collections::BTreeMap;

use zkops::wire::ids::SessionId;
use zkops::wire::proto::{Acl, CreateMode, CreateRequest, ErrorCode, Perms, Request};

use super::{Model, split};

/// What a request comes to, in the terms of `apply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Create {
        path: String,
        mode: CreateMode,
        sequence: Option<i32>,
    },
    Delete {
        path: String,
    },
    Set {
        path: String,
        version: i32,
    },
    SetAcl {
        path: String,
        version: i32,
    },
    Check,
    Close,
    Multi(Vec<Verdict>),
    /// A multi in which the op of that number fails.
    MultiFails {
        at: usize,
        code: i32,
    },
    Refused(i32),
}

/// What earlier ops of the same multi have changed: existence, version, children ever created, children now.
type Changed = BTreeMap<String, Option<Brief>>;

#[derive(Debug, Clone, Copy)]
struct Brief {
    version: i32,
    aversion: i32,
    created: i32,
    children: usize,
    ephemeral: bool,
    perms: i32,
}

impl Model {
    /// Judges a request of `session` against the committed state.
    pub(crate) fn judge(&self, session: SessionId, request: &Request) -> Verdict {
        if let Request::CloseSession = request {
            return Verdict::Close;
        }
        if !self.sessions.contains_key(&session) {
            return Verdict::Refused(ErrorCode::SessionExpired.code());
        }
        let mut changed = Changed::new();
        let Request::Multi(ops) = request else {
            return self.judge_op(request, &mut changed).unwrap_or_else(Verdict::Refused);
        };
        let mut verdicts = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            match self.judge_op(op, &mut changed) {
                Ok(verdict) => verdicts.push(verdict),
                Err(code) => return Verdict::MultiFails { at, code },
            }
        }
        Verdict::Multi(verdicts)
    }

    fn judge_op(&self, request: &Request, changed: &mut Changed) -> Result<Verdict, i32> {
        match request {
            Request::Create(create) | Request::Create2(create) => self.judge_create(create, changed),
            Request::Delete { path, version } => {
                let (parent, _) = split(path);
                may(self.brief(parent, changed)?, Perms::DELETE)?;
                let node = self.brief(path, changed)?;
                matches_version(*version, node.version)?;
                if node.children > 0 {
                    return Err(ErrorCode::NotEmpty.code());
                }
                if let Ok(mut before) = self.brief(parent, changed) {
                    before.children -= 1;
                    changed.insert(parent.to_owned(), Some(before));
                }
                changed.insert(path.to_string(), None);
                Ok(Verdict::Delete { path: path.to_string() })
            }
            Request::SetData { path, version, .. } => {
                let mut node = self.brief(path, changed)?;
                may(node, Perms::WRITE)?;
                matches_version(*version, node.version)?;
                node.version += 1;
                changed.insert(path.to_string(), Some(node));
                Ok(Verdict::Set { path: path.to_string(), version: node.version })
            }
            Request::SetAcl { path, version, acl } => {
                let mut node = self.brief(path, changed)?;
                may(node, Perms::ADMIN)?;
                matches_version(*version, node.aversion)?;
                node.aversion += 1;
                node.perms = grants(acl.as_deref());
                changed.insert(path.to_string(), Some(node));
                Ok(Verdict::SetAcl { path: path.to_string(), version: node.aversion })
            }
            Request::Check { path, version } => {
                let node = self.brief(path, changed)?;
                may(node, Perms::READ)?;
                matches_version(*version, node.version)?;
                Ok(Verdict::Check)
            }
            other => panic!("simulated clients do not send {other:?}"),
        }
    }

    fn judge_create(&self, create: &CreateRequest, changed: &mut Changed) -> Result<Verdict, i32> {
        let mode = CreateMode::from_flags(create.flags).expect("simulated clients send known flags");
        let (parent, _) = split(&create.path);
        let mut before = self.brief(parent, changed)?;
        may(before, Perms::CREATE)?;
        let sequence = mode.is_sequential().then_some(before.created);
        let path = match sequence {
            Some(number) => format!("{}{number:010}", create.path),
            None => create.path.to_string(),
        };
        if self.brief(&path, changed).is_ok() {
            return Err(ErrorCode::NodeExists.code());
        }
        if before.ephemeral {
            return Err(ErrorCode::NoChildrenForEphemerals.code());
        }
        before.created += 1;
        before.children += 1;
        changed.insert(parent.to_owned(), Some(before));
        let born = Brief {
            version: 0,
            aversion: 0,
            created: 0,
            children: 0,
            ephemeral: mode.is_ephemeral(),
            perms: grants(create.acl.as_deref()),
        };
        changed.insert(path.clone(), Some(born));
        Ok(Verdict::Create { path, mode, sequence })
    }

    fn brief(&self, path: &str, changed: &Changed) -> Result<Brief, i32> {
        if let Some(brief) = changed.get(path) {
            return brief.ok_or(ErrorCode::NoNode.code());
        }
        let node = self.node(path).ok_or(ErrorCode::NoNode.code())?;
        Ok(Brief {
            version: node.version,
            aversion: node.aversion,
            created: node.created,
            children: node.children.len(),
            ephemeral: node.owner != 0,
            perms: node.perms,
        })
    }
}

fn may(node: Brief, wanted: i32) -> Result<(), i32> {
    if node.perms & wanted != 0 { Ok(()) } else { Err(ErrorCode::NoAuth.code()) }
}

/// What a list grants to anyone: simulated clients name nobody else.
pub(super) fn grants(acl: Option<&[Acl]>) -> i32 {
    acl.unwrap_or_default().iter().fold(0, |perms, entry| perms | entry.perms)
}

fn matches_version(wanted: i32, is: i32) -> Result<(), i32> {
    if wanted == -1 || wanted == is { Ok(()) } else { Err(ErrorCode::BadVersion.code()) }
}
