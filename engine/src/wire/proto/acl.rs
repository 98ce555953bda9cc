//! Access control lists as records, and the identity that a digest login makes (§2.1, §4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::wire::jute::{Reader, Result, Writer};

/// Permission bits (§4.1). Other bits are kept as given.
pub struct Perms;

impl Perms {
    pub const READ: i32 = 1;
    pub const WRITE: i32 = 2;
    pub const CREATE: i32 = 4;
    pub const DELETE: i32 = 8;
    pub const ADMIN: i32 = 16;
    pub const ALL: i32 = 31;
}

/// Who: a scheme and an id within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub scheme: String,
    pub id: String,
}

impl Id {
    pub fn new(scheme: &str, id: &str) -> Id {
        Id { scheme: scheme.to_owned(), id: id.to_owned() }
    }

    /// Null counts as empty: clients write the id of `auth:` so, and no check accepts an empty one elsewhere.
    pub fn decode(r: &mut Reader) -> Result<Id> {
        let scheme = r.string_lossy()?.unwrap_or_default();
        let id = r.string_lossy()?.unwrap_or_default();
        Ok(Id { scheme, id })
    }

    pub fn encode(&self, w: &mut Writer) {
        w.string(&self.scheme);
        w.string(&self.id);
    }
}

/// One entry of a node's access control list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    pub perms: i32,
    pub id: Id,
}

impl Acl {
    /// The least bytes an entry takes: perms and two string lengths.
    pub const LEN_MIN: usize = 12;

    pub fn new(perms: i32, scheme: &str, id: &str) -> Acl {
        Acl { perms, id: Id::new(scheme, id) }
    }

    /// `world:anyone:cdrwa`.
    pub fn open() -> Vec<Acl> {
        vec![Acl::new(Perms::ALL, "world", "anyone")]
    }

    pub fn decode(r: &mut Reader) -> Result<Acl> {
        Ok(Acl { perms: r.int()?, id: Id::decode(r)? })
    }

    pub fn encode(&self, w: &mut Writer) {
        w.int(self.perms);
        self.id.encode(w);
    }

    /// A list; `None` is jute's null vector.
    pub fn decode_list(r: &mut Reader) -> Result<Option<Vec<Acl>>> {
        r.vector(Acl::LEN_MIN, Acl::decode)
    }

    pub fn encode_list(w: &mut Writer, list: Option<&[Acl]>) {
        match list {
            None => w.null_vector(),
            Some(list) => {
                w.count(list.len());
                list.iter().for_each(|acl| acl.encode(w));
            }
        }
    }
}

/// The id that `user:password` becomes: `user:base64(sha1(user:password))` (§4.4). The user is what
/// stands before the first colon; text without one is all user.
pub fn digest_id(user_and_password: &str) -> String {
    let user = user_and_password.split(':').next().unwrap_or_default();
    let hash = STANDARD.encode(Sha1::digest(user_and_password.as_bytes()));
    format!("{user}:{hash}")
}
