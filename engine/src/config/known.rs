//! The keys of the reference that nothing here reads: right to have in a file, without effect. What is neither here nor
//! read is a spelling mistake.

/// The reference sets `zookeeper.X` from a line `X`, and takes the long form too.
pub(super) fn short(key: &str) -> &str {
    key.strip_prefix("zookeeper.").unwrap_or(key)
}

/// Keys of the reference that are right to have in a file although nothing here reads them.
pub(super) fn is_known(key: &str) -> bool {
    KEYS.contains(&key) || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// Families: what follows is open, or long.
const PREFIXES: [&str; 18] = [
    "admin.",
    "metricsProvider.",
    "ssl.",
    "authProvider.",
    "quorum.",
    "DigestAuthenticationProvider.",
    "X509AuthenticationProvider.",
    "IPAuthenticationProvider.",
    "connection_throttle_",
    "nio.",
    "netty.",
    "commitProcessor.",
    "jvm.pause.",
    "kerberos.",
    "multiAddress.",
    "audit.",
    "enforce.auth.",
    "leader.",
];

pub(super) const KEYS: [&str; 48] = [
    "allowSaslFailedClients",
    "autopurge.purgeInterval",
    "bitHashCacheSize",
    "client.certReload",
    "connectionFreezeTime",
    "connectionMaxTokens",
    "connectionTokenFillCount",
    "connectionTokenFillTime",
    "emulate353TTLNodes",
    "enableEagerACLCheck",
    "fips-mode",
    "follower.nodelay",
    "forceSnapshotSync",
    "forward_learner_requests_to_commit_processor_disabled",
    "intBufferStartingSizeBytes",
    "java.security.auth.login.config",
    "largeRequestMaxBytes",
    "largeRequestThreshold",
    "learner.asyncSending",
    "learner.closeSocketAsync",
    "localSessionsEnabled",
    "localSessionsUpgradingEnabled",
    "maintain_connection_despite_sasl_failure",
    "maxGetChildrenResponseCacheSize",
    "maxInProcessingDeadWatchers",
    "maxResponseCacheSize",
    "maxTimeToWaitForEpoch",
    "observer.election.DelayMs",
    "observer.reconnectDelayMs",
    "observer.syncEnabled",
    "quorumCnxnTimeoutMs",
    "requestThrottleDropStale",
    "requestThrottleLimit",
    "requestThrottleStallTime",
    "request_throttler.shutdownTimeout",
    "requestStaleConnectionCheck",
    "requestStaleLatencyCheck",
    "secureClientPortAddress",
    "serializeLastProcessedZxid.enabled",
    "serverCnxnFactory",
    "snapshotSizeFactor",
    "sslQuorumReloadCertFiles",
    "superUser",
    "syncEnabled",
    "throttledOpWaitTime",
    "watchManagerName",
    "watcherCleanThreadsNum",
    "watcherCleanThreshold",
];
