//! Counters that the status words show (operations §8.2). They decide nothing.

use super::Now;
use crate::wire::ids::Zxid;
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
    pub received: u64,
    pub sent: u64,
    pub outstanding: u64,
    pub latency: LatencyStats,
    pub digest_mismatches: u64,
    pub auth_failed: u64,
    /// Bytes of the last, smallest and largest proposal; −1 before the first.
    pub proposal_len_last: i64,
    pub proposal_len_min: i64,
    pub proposal_len_max: i64,
}

impl ServerStats {
    pub(super) fn new(now: Now) -> ServerStats {
        ServerStats {
            started_ms: now.ms,
            received: 0,
            sent: 0,
            outstanding: 0,
            latency: LatencyStats::default(),
            digest_mismatches: 0,
            auth_failed: 0,
            proposal_len_last: -1,
            proposal_len_min: -1,
            proposal_len_max: -1,
        }
    }

    pub(super) fn proposed(&mut self, len: usize) {
        let len = len as i64;
        self.proposal_len_last = len;
        self.proposal_len_max = self.proposal_len_max.max(len);
        self.proposal_len_min = if self.proposal_len_min < 0 { len } else { self.proposal_len_min.min(len) };
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
