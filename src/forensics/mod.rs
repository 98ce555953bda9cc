//! What a server's files tell a person who asks, long after: who deleted a znode, whether a log is whole, what differs
//! between two snapshots. It looks, at directories of running servers too, and changes nothing there.
//!
//! | room | what it is |
//! |---|---|
//! | [`inquiry`] | questions to transactions and znodes, and what is said of them: pure |
//! | [`evidence`] | what a path means, and the files behind it, opened for reading alone |
//!
//! How files are read is the server's own business (`formats`, `server::store`, `server::tree`): there is no second
//! reader of any format here.

pub mod evidence;
pub mod inquiry;
