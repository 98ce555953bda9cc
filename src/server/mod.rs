//! The process around the pure core: zoo.cfg first, then sockets, threads and four-letter words.

pub mod config;
