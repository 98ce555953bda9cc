//! The server's process: sockets, the state thread, the log thread, four-letter words. It takes no
//! protocol decision: those are `replica`'s, which this drives.
//!
//! | file | what it is about |
//! |---|---|
//! | `run` | the parts put together, started and stopped |
//! | `start` | settings and data → store and replica; the simulator starts here, too |
//! | `state` | the state thread: the loop around the replica |
//! | `log`, `batch` | the log thread, and the thread that writes snapshots; what is done with a batch |
//! | `clients`, `limits`, `intake` | the client port, and how much of what comes there is held |
//! | `peers`, `peer_link` | the election and quorum ports |
//! | [`stream`] | one connection of any port: the machine, its driver, how it comes in |
//! | `descriptors` | how many connections fit beside files and members |
//! | `sockets`, `told` | how a port is opened, and what is said when it cannot be |
//! | `ask` | what others may know of the replica, as plain data |
//! | `four_letter`, `word_text`, `environment` | status words, their texts, and what is measured for them |

mod ask;
pub mod batch;
mod clients;
mod descriptors;
mod environment;
mod four_letter;
mod intake;
mod limits;
mod log;
mod origins;
mod peer_link;
mod peers;
mod run;
mod sockets;
pub mod start;
mod state;
pub mod stream;
mod told;
mod word_text;

pub use run::{Failure, run};
