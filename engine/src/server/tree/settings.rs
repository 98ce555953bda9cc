//! What an operator may choose about the tree. Where the choice comes from is the process's business.

use crate::wire::jute::FIELD_LEN_MAX;

/// What an operator may choose about the tree. All servers of an ensemble must agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `zookeeper.extendedTypesEnabled`: TTL nodes.
    pub extended_types: bool,
    /// `zookeeper.skipACL`.
    pub skip_acl: bool,
    /// `zookeeper.digest.enabled`: transactions carry the digest of the tree after them.
    pub digest_enabled: bool,
    /// `zookeeper.closeSessionTxn.enabled`: closeSession lists the ephemerals it deletes.
    pub close_session_paths: bool,
    /// `zookeeper.enforceQuota`.
    pub enforce_quota: bool,
    /// Writes create2 inside a multi as such. Servers before 3.7.2 and 3.8.2 apply half of such a
    /// multi (quorum-protocol TRAP Q32): only for ensembles known to be newer.
    pub create2_in_multi: bool,
    /// Schemes that an ACL may name beside `world`, `auth` and `ip`.
    pub digest_acl: bool,
    pub sasl_acl: bool,
    pub x509_acl: bool,
    /// Bytes of a transaction that peers accept, `jute.maxbuffer` + `extrasize` (TRAP Q1).
    pub txn_len_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            extended_types: false,
            skip_acl: false,
            digest_enabled: true,
            close_session_paths: true,
            enforce_quota: false,
            create2_in_multi: false,
            digest_acl: true,
            sasl_acl: false,
            x509_acl: false,
            txn_len_max: FIELD_LEN_MAX,
        }
    }
}
