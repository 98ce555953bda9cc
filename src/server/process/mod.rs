//! The server's process: zoo.cfg, sockets, the state thread, the log thread, four-letter words. It takes no
//! protocol decision: those are `replica`'s, which this drives.
//!
//! | file | what it is about |
//! |---|---|
//! | `config` | zoo.cfg → `ServerConfig` |
//! | `run` | the parts put together, started and stopped |
//! | `start` | settings and data → store and replica; the simulator starts here, too |
//! | `state` | the state thread: the loop around the replica |
//! | `log`, `batch` | the log thread, and the thread that writes snapshots; what is done with a batch |
//! | `clients`, `limits` | the client port |
//! | `peers`, `peer_socket` | the election and quorum ports |
//! | `sockets` | how a port is opened |
//! | `ask` | what others may know of the replica, as plain data |
//! | `four_letter`, `word_text`, `environment` | status words, their texts, and what is measured for them |

mod ask;
pub mod batch;
mod clients;
pub mod config;
mod environment;
mod four_letter;
mod limits;
mod log;
mod peer_socket;
mod peers;
mod run;
mod sockets;
pub mod start;
mod state;
mod word_text;

pub use run::{Failure, run};
