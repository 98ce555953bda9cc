//! How the program is linked. It travels to every host, so it is kept small; nothing is built here.
//!
//! The linker is lld, which comes with Rust. Functions that are the same to the byte are kept once: none is told from another by
//! its address (the compiler warns of that). Addresses that a start has to mend are packed; the C library that is linked in
//! reads that since glibc 2.36.
#![allow(clippy::print_stdout, reason = "that is how cargo is told")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for flag in ["--icf=all", "-zpack-relative-relocs"] {
        println!("cargo::rustc-link-arg-bins=-Wl,{flag}");
    }
}
