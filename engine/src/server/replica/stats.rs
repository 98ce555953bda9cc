//! Counters that the status words show (operations §8.2). They decide nothing.

use std::net::SocketAddr;

use super::bent;
use super::event::Now;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::OpCode;

/// Smallest, largest and mean of request latencies, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct LatencyStats {
    pub count: u64,
    pub sum_ms: u64,
    pub min_ms: u64,
    pub max_ms: u64,
}

impl LatencyStats {
    pub(super) fn record(&mut self, ms: u64) {
        self.min_ms = if self.count == 0 { ms } else { self.min_ms.min(ms) };
        self.max_ms = self.max_ms.max(ms);
        self.sum_ms += ms;
        self.count += 1;
    }

    /// The mean, 0 before the first request.
    pub fn avg_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ms as f64 / self.count as f64 }
    }
}

/// One server's counters since its start.
#[derive(Debug, Clone)]
pub struct ServerStats {
    pub started_ms: u64,
    pub traffic: Traffic,
    pub proposals: ProposalSizes,
    pub digest_mismatches: u64,
}

/// What went to and fro between the server and its clients.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    pub received: u64,
    pub sent: u64,
    /// Requests not answered yet.
    pub outstanding: u64,
    pub latency: LatencyStats,
    pub auth_failed: u64,
}

/// Bytes of the last, smallest and largest proposal; −1 before the first.
#[derive(Debug, Clone)]
pub struct ProposalSizes {
    pub last: i64,
    pub min: i64,
    pub max: i64,
}

/// One connection as the status words show it.
#[derive(Debug, Clone)]
pub struct ClientLine {
    pub addr: SocketAddr,
    pub session: SessionId,
    pub timeout_ms: i32,
    pub queued: usize,
    pub stats: ClientStats,
}

impl Default for ProposalSizes {
    fn default() -> ProposalSizes {
        ProposalSizes { last: -1, min: -1, max: -1 }
    }
}

impl Traffic {
    /// So many requests will have no answer any more, or have had it.
    pub(super) fn forget(&mut self, requests: usize) {
        self.outstanding = self.outstanding.saturating_sub(requests as u64);
    }

    /// The connection that waited for so many answers is no more.
    pub(super) fn abandoned(&mut self, requests: usize) {
        self.forget(bent::forgotten(requests));
    }
}

impl ProposalSizes {
    pub(super) fn record(&mut self, len: usize) {
        let len = len as i64;
        self.last = len;
        self.max = self.max.max(len);
        self.min = if self.min < 0 { len } else { self.min.min(len) };
    }
}

/// One connection's counters since it was accepted.
#[derive(Debug, Clone)]
pub struct ClientStats {
    pub established_wall_ms: i64,
    pub received: u64,
    pub sent: u64,
    pub last_op: Option<OpCode>,
    pub last_cxid: i32,
    pub last_zxid: Zxid,
    pub last_response_ms: u64,
    pub last_latency_ms: u64,
    pub latency: LatencyStats,
}

impl ClientStats {
    pub(super) fn new(now: Now) -> ClientStats {
        ClientStats {
            established_wall_ms: now.wall_ms,
            received: 0,
            sent: 0,
            last_op: None,
            last_cxid: -1,
            last_zxid: Zxid::NONE,
            last_response_ms: 0,
            last_latency_ms: 0,
            latency: LatencyStats::default(),
        }
    }

    pub(super) fn answered(&mut self, now: Now, op: OpCode, zxid: Zxid, latency_ms: u64) {
        self.last_op = Some(op);
        self.last_zxid = zxid;
        self.last_response_ms = now.ms;
        self.last_latency_ms = latency_ms;
        self.latency.record(latency_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_begin_with_the_first_that_is_counted() {
        let (mut sizes, mut latency) = (ProposalSizes::default(), LatencyStats::default());
        assert_eq!((sizes.last, sizes.min, sizes.max), (-1, -1, -1));
        assert!(latency.avg_ms().abs() < f64::EPSILON);
        for (len, ms) in [(70, 4), (50, 2), (60, 9)] {
            sizes.record(len);
            latency.record(ms);
        }
        assert_eq!((sizes.last, sizes.min, sizes.max), (60, 50, 70));
        assert_eq!((latency.min_ms, latency.max_ms, latency.count), (2, 9, 3));
        assert!((latency.avg_ms() - 5.0).abs() < f64::EPSILON);
    }
}
