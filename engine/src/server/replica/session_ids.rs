//! The ids of new sessions (client-protocol §1.4): none is given twice, whatever the clock says.

use crate::wire::ids::{ServerId, SessionId};

/// Where the next new session's id comes from.
#[derive(Debug)]
pub(super) struct SessionIds {
    next: i64,
}

impl SessionIds {
    /// The id the first new session of this process gets: the server's id in the top byte, then 40 bits of
    /// clock, and a salt where the reference begins with zeros. The wall clock instead of the reference's
    /// monotonic one, whose ids repeat after a reboot (quorum Q28). `None`: a standalone server counts as server 1
    /// (client-protocol §1.4 TRAP).
    pub(super) fn new(member: Option<ServerId>, salt: u16, wall_ms: i64) -> SessionIds {
        let sid = member.map_or(1, |me| me.0 & 0xff);
        let clock = ((wall_ms as u64) << 24) >> 8;
        SessionIds { next: (clock | u64::from(salt) | (sid as u64) << 56) as i64 }
    }

    /// An id that nobody has: one that somebody has must not be given to somebody else.
    pub(super) fn take(&mut self, is_taken: impl Fn(SessionId) -> bool) -> SessionId {
        while is_taken(SessionId(self.next)) {
            self.next += 1;
        }
        self.next += 1;
        SessionId(self.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_begin_with_server_clock_and_salt_and_pass_over_those_that_live() {
        let mut ids = SessionIds::new(Some(ServerId(0x103)), 0x1234, 0xab_cdef_0123);
        let first = ids.take(|_| false);
        assert_eq!(first, SessionId(0x03ab_cdef_0123_1234));
        let third = ids.take(|id| id.0 == first.0 + 1);
        assert_eq!(third.0, first.0 + 2);
        assert_eq!(SessionIds::new(None, 0, 0).take(|_| false), SessionId(1 << 56));
    }
}
