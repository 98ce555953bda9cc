//! What a client asks for: a small, crowded namespace, so that clients meet; unique data, so that nothing can be
//! taken for something else.

use bytes::Bytes;
use fastrand::Rng;
use zkops::wire::jute::Str;
use zkops::wire::proto::{Acl, AddWatchMode, CreateMode, CreateRequest, Perms, Request, Response};

/// Names a client remembers to delete.
const REMEMBERED_MAX: usize = 12;
/// Watches at a time, so that a client does not spend its life being told.
const WATCHES_MAX: usize = 8;

pub(crate) struct Workload {
    index: usize,
    counter: u64,
    /// Sequential nodes it made.
    made: Vec<String>,
    /// The last version it saw of something.
    version: i32,
}

impl Workload {
    pub(crate) fn new(index: usize) -> Workload {
        Workload { index, counter: 0, made: Vec::new(), version: 0 }
    }

    /// Takes in what an answer says.
    pub(crate) fn learn(&mut self, request: &Request, response: Option<&Response>) {
        match response {
            Some(Response::Create { path } | Response::Create2 { path, .. })
                if path.len() > 10 && self.made.len() < REMEMBERED_MAX =>
            {
                self.made.push(path.to_string());
            }
            Some(Response::Data { stat, .. } | Response::Stat(stat)) => self.version = stat.version,
            None => {
                if let Request::Delete { path, .. } = request {
                    self.made.retain(|made| **made != **path);
                }
            }
            _ => {}
        }
    }

    /// The next thing to ask: one request, or a few that belong together.
    pub(crate) fn next(&mut self, rng: &mut Rng, watched: usize) -> Vec<Request> {
        let watch = watched < WATCHES_MAX && rng.u8(0..3) == 0;
        // Persistent watches are for some clients, who set no others: both on one node would be told as one.
        if watch && self.index % 3 == 2 {
            let mode = AddWatchMode::Persistent as i32;
            return vec![Request::AddWatch { path: if rng.bool() { path(rng) } else { parent(rng) }, mode }];
        }
        let one = match rng.u32(0..100) {
            0..=19 => self.set(rng),
            20..=31 => self.create(rng),
            32..=39 => self.sequential(rng),
            40..=44 => self.ephemeral(rng),
            45..=54 => self.delete(rng),
            55..=63 => self.multi(rng),
            64..=66 => Request::SetAcl { path: path(rng), acl: some_acl(rng, 2), version: -1 },
            67..=77 => Request::GetData { path: path(rng), watch },
            78..=83 => Request::Exists { path: path(rng), watch },
            84..=89 => Request::GetChildren { path: parent(rng), watch },
            90..=93 => Request::GetChildren2 { path: parent(rng), watch },
            _ => return self.sync(rng),
        };
        vec![one]
    }

    /// A read of what is true now.
    pub(crate) fn sync(&self, rng: &mut Rng) -> Vec<Request> {
        let path = path(rng);
        vec![Request::Sync { path: path.clone() }, Request::GetData { path, watch: false }]
    }

    fn data(&mut self, rng: &mut Rng) -> Option<Bytes> {
        self.counter += 1;
        let mut text = format!("c{}-{}", self.index, self.counter);
        if rng.u8(0..30) == 0 {
            let padding = rng.usize(100..4_000);
            text.extend(std::iter::repeat_n('.', padding));
        }
        match rng.u8(0..40) {
            0 => None,
            1 => Some(Bytes::new()),
            _ => Some(Bytes::from(text)),
        }
    }

    fn version(&self, rng: &mut Rng) -> i32 {
        match rng.u8(0..4) {
            0 => self.version,
            1 => rng.i32(0..3),
            _ => -1,
        }
    }

    fn set(&mut self, rng: &mut Rng) -> Request {
        Request::SetData { path: path(rng), data: self.data(rng), version: self.version(rng) }
    }

    fn create(&mut self, rng: &mut Rng) -> Request {
        let at = if rng.bool() { path(rng) } else { parent(rng) };
        self.create_at(rng, at, CreateMode::Persistent)
    }

    fn sequential(&mut self, rng: &mut Rng) -> Request {
        let mode = if rng.u8(0..3) == 0 {
            CreateMode::EphemeralSequential
        } else {
            CreateMode::PersistentSequential
        };
        let at = Str::from(format!("{}/s-", &*parent(rng)));
        self.create_at(rng, at, mode)
    }

    fn ephemeral(&mut self, rng: &mut Rng) -> Request {
        let at = if rng.bool() { path(rng) } else { Str::from(format!("/e{}", rng.u8(0..4))) };
        self.create_at(rng, at, CreateMode::Ephemeral)
    }

    fn create_at(&mut self, rng: &mut Rng, path: Str, mode: CreateMode) -> Request {
        let create = CreateRequest {
            path,
            data: self.data(rng),
            acl: some_acl(rng, 12),
            flags: mode.flags(),
            ttl_ms: None,
        };
        if rng.bool() { Request::Create(create) } else { Request::Create2(create) }
    }

    fn delete(&mut self, rng: &mut Rng) -> Request {
        if !self.made.is_empty() && rng.u8(0..3) > 0 {
            let made = self.made.swap_remove(rng.usize(0..self.made.len()));
            return Request::Delete { path: Str::from(made), version: -1 };
        }
        let at = if rng.u8(0..5) == 0 { parent(rng) } else { path(rng) };
        Request::Delete { path: at, version: self.version(rng) }
    }

    fn multi(&mut self, rng: &mut Rng) -> Request {
        let count = rng.usize(1..=4);
        let ops = (0..count).map(|_| match rng.u8(0..6) {
            0 => self.create(rng),
            1 => self.sequential(rng),
            2 => self.ephemeral(rng),
            3 => self.delete(rng),
            4 => Request::Check { path: path(rng), version: self.version(rng) },
            _ => self.set(rng),
        });
        Request::Multi(ops.collect())
    }
}

/// Anyone may do anything, or one time in so many only a part of it. Reading stays, so that watches are told; so does
/// setting the list, or all would be shut before long.
fn some_acl(rng: &mut Rng, one_in: u32) -> Option<Vec<Acl>> {
    let part = Perms::READ | Perms::ADMIN | rng.i32(0..=Perms::ALL);
    let perms = if rng.u32(0..one_in) == 0 { part } else { Perms::ALL };
    Some(vec![Acl::new(perms, "world", "anyone")])
}

fn parent(rng: &mut Rng) -> Str {
    Str::from(["/a", "/b", "/q"][rng.usize(0..3)])
}

fn path(rng: &mut Rng) -> Str {
    match rng.u8(0..4) {
        0 => parent(rng),
        _ => Str::from(format!("{}/{}", &*parent(rng), ["x", "y", "z"][rng.usize(0..3)])),
    }
}
