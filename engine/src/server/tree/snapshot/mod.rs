//! The body of a snapshot (disk-format §3.1): `write` makes it of a tree, `read` a tree of it. The file around it
//! is `store`'s.

mod read;
mod write;

pub use read::{Item, Loader, RawNode, Scanner, decode};
pub use write::{Writer, encode_body};

/// What ends the nodes, and every sealed section.
const END: &str = "/";
