//! Files that the server's own writers made, read back by those who only look.

mod logs;
mod snapshots;
