//! Users and groups by name and number, as /etc/passwd and /etc/group have them.

use std::fs;
use std::path::PathBuf;

/// /etc/passwd and /etc/group. A static binary must not load the host's name-service modules, so
/// users of a directory service show as numbers.
pub(crate) struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    pub(crate) fn read() -> Accounts {
        let text =
            |path| fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        Accounts { passwd: text("/etc/passwd"), group: text("/etc/group") }
    }

    pub(crate) fn user(&self, uid: u32) -> Option<String> {
        lookup(&self.passwd, 2, &uid.to_string(), 0)
    }

    pub(crate) fn group(&self, gid: u32) -> Option<String> {
        lookup(&self.group, 2, &gid.to_string(), 0)
    }

    /// Uid and primary gid of a user, by name or number.
    pub(crate) fn ids_of(&self, user: &str) -> Option<(u32, u32)> {
        let by_name = lookup(&self.passwd, 0, user, 2).zip(lookup(&self.passwd, 0, user, 3));
        let by_number = || Some((user.to_string(), lookup(&self.passwd, 2, user, 3)?));
        let (uid, gid) = by_name.or_else(by_number)?;
        Some((uid.parse().ok()?, gid.parse().ok()?))
    }

    pub(crate) fn gid_of(&self, group: &str) -> Option<u32> {
        lookup(&self.group, 0, group, 2).and_then(|gid| gid.parse().ok()).or_else(|| group.parse().ok())
    }

    pub(crate) fn home(&self, uid: u32) -> Option<PathBuf> {
        lookup(&self.passwd, 2, &uid.to_string(), 5).map(PathBuf::from)
    }
}

/// The field `want` of the first line whose field `by` is `value`.
fn lookup(table: &str, by: usize, value: &str, want: usize) -> Option<String> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(by) == Some(&value)).then(|| fields.get(want).map(|field| (*field).to_string()))?
    })
}
