//! What kind of node a create asks for, and how the stored owner field tells it (§2.4, §2.12).

use crate::wire::ids::SessionId;

/// The longest TTL, 2⁴⁰ − 1 ms.
pub const TTL_MS_MAX: i64 = (1 << 40) - 1;

/// The create flags of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum CreateMode {
    Persistent = 0,
    Ephemeral = 1,
    PersistentSequential = 2,
    EphemeralSequential = 3,
    Container = 4,
    PersistentTtl = 5,
    PersistentSequentialTtl = 6,
}

impl CreateMode {
    pub const fn from_flags(flags: i32) -> Option<CreateMode> {
        Some(match flags {
            0 => CreateMode::Persistent,
            1 => CreateMode::Ephemeral,
            2 => CreateMode::PersistentSequential,
            3 => CreateMode::EphemeralSequential,
            4 => CreateMode::Container,
            5 => CreateMode::PersistentTtl,
            6 => CreateMode::PersistentSequentialTtl,
            _ => return None,
        })
    }
    pub const fn flags(self) -> i32 {
        self as i32
    }
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, CreateMode::Ephemeral | CreateMode::EphemeralSequential)
    }
    pub const fn is_sequential(self) -> bool {
        matches!(
            self,
            CreateMode::PersistentSequential
                | CreateMode::EphemeralSequential
                | CreateMode::PersistentSequentialTtl
        )
    }
    pub const fn is_ttl(self) -> bool {
        matches!(self, CreateMode::PersistentTtl | CreateMode::PersistentSequentialTtl)
    }
}

/// What the stored `ephemeralOwner` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    None,
    Session(SessionId),
    Container,
    Ttl { ms: i64 },
}

impl Owner {
    const CONTAINER: i64 = i64::MIN;
    const TTL_MARK: i64 = 0xff00_u64 as i64;

    /// Reads the stored number. With `extended_types` off a TTL value is a session id (§2.12).
    pub const fn from_stored(value: i64, extended_types: bool) -> Owner {
        match value {
            0 => Owner::None,
            Owner::CONTAINER => Owner::Container,
            v if extended_types && (v >> 48) & 0xffff == Owner::TTL_MARK && (v >> 40) & 0xff == 0 => {
                Owner::Ttl { ms: v & TTL_MS_MAX }
            }
            v => Owner::Session(SessionId(v)),
        }
    }

    pub const fn to_stored(self) -> i64 {
        match self {
            Owner::None => 0,
            Owner::Session(id) => id.0,
            Owner::Container => Owner::CONTAINER,
            Owner::Ttl { ms } => (Owner::TTL_MARK << 48) | ms,
        }
    }
}
