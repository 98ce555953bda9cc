//! Use cases called as anybody calls them, without a command line.

mod record;
