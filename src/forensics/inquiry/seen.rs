//! What reading a log file comes upon, one thing after the other.

use bytes::Bytes;

use crate::formats::log::Tail;
use crate::server::tree::{Txn, TxnHeader};
use crate::wire::ids::Zxid;
use crate::wire::jute::{self, Reader};

/// One thing in a file.
#[derive(Debug)]
pub enum Seen {
    /// A transaction whose checksum holds.
    Txn { offset: u64, txn: Bytes },
    /// What stands there is not what was written.
    Damage(Damage),
    /// Nothing more was written behind `at`; `len` is that of the file.
    End { at: u64, len: u64, tail: Tail },
    /// The file was there when the directory was listed, and is not any more: somebody purged it.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub offset: u64,
    /// The last transaction before it.
    pub after: Zxid,
    pub what: String,
    /// Where a whole transaction stands behind it.
    pub goes_on: Option<u64>,
}

/// What the bytes of a transaction say.
#[derive(Debug)]
pub enum Read {
    Txn(Txn),
    /// A kind that this version does not know, or a body that is none.
    Unknown {
        header: TxnHeader,
        why: jute::Error,
    },
    /// Not even a header.
    Nothing,
}

impl Read {
    pub fn of(bytes: &Bytes) -> Read {
        match Txn::decode(bytes.clone()) {
            Ok(txn) => Read::Txn(txn),
            Err(why) => match TxnHeader::decode(&mut Reader::new(bytes.clone())) {
                Ok(header) => Read::Unknown { header, why },
                Err(_) => Read::Nothing,
            },
        }
    }
}
