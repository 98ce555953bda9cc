//! The one place with `unsafe`: it tells the C library to resolve names with what is linked in.
//!
//! A static glibc binary that meets a foreign `nsswitch.conf` loads the host's NSS modules, built
//! for another libc, and may crash (rust-lang/rust#100711). `files` and `dns` are inside libc
//! since glibc 2.34; every other source is left out: mDNS and nss-resolve names are not found.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

/// Must be called before the first name is looked up and before threads are started.
pub(crate) fn use_only_what_is_linked() {
    if cfg!(all(target_env = "gnu", target_feature = "crt-static")) {
        configure(c"hosts", c"files dns");
        configure(c"passwd", c"files");
        configure(c"group", c"files");
    }
}

#[cfg(target_env = "gnu")]
fn configure(database: &CStr, sources: &CStr) {
    unsafe extern "C" {
        /// nss.h: "Override services specified in /etc/nsswitch.conf": copies what it needs.
        fn __nss_configure_lookup(database: *const c_char, sources: *const c_char) -> c_int;
    }
    // SAFETY: both pointers are to NUL-terminated strings that outlive the call, which keeps
    // neither; no other thread exists yet that could be inside a lookup. A failure (unknown
    // database) changes nothing, and there is nothing to be done about it.
    let _unchanged = unsafe { __nss_configure_lookup(database.as_ptr(), sources.as_ptr()) };
}

#[cfg(not(target_env = "gnu"))]
fn configure(_database: &CStr, _sources: &CStr) {}
