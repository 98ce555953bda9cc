//! One connection, for all three ports: client, quorum, election.
//!
//! | file | what it is about |
//! |---|---|
//! | [`machine`] | a connection without its socket; pure, the simulator may run it |

pub mod machine;
