//! Bytes ⇄ the primitives of jute, ZooKeeper's record encoding (client-protocol §1.1):
//! big-endian, no tags, no padding. Total on hostile input: every length is checked against
//! the bytes that are really there, nothing is allocated on a peer's word alone.
//!
//! It knows no record of any protocol: those live in `proto`, `zab`, `tree` and `store`.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod read;
mod text;
mod write;

pub use read::Reader;
pub use text::Str;
pub use write::Writer;

/// The longest field that a server reads whose `jute.maxbuffer` nobody has set: that and as much again, its extra.
pub const FIELD_LEN_MAX: usize = 2 * 0xf_ffff;

/// Why bytes are not the record they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside a field.
    #[error("record ends at byte {at}, {missing} bytes short")]
    Short { at: usize, missing: usize },
    /// A length or count below −1, or larger than the rest of the bytes can hold.
    #[error("unreasonable length {len} at byte {at}")]
    Length { at: usize, len: i64 },
    /// A string is not UTF-8.
    #[error("string at byte {at} is not UTF-8")]
    Utf8 { at: usize },
    /// A field that must be present is null.
    #[error("null where a value is required, at byte {at}")]
    Null { at: usize },
    /// A value outside its closed set (an op code, a flag, a packet type).
    #[error("{what} has no value {value}")]
    Value { what: &'static str, value: i64 },
}

/// The result of reading a record.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests;
