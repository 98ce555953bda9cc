//! Servers under faults: killed, frozen, cut off, out of disk, while clients work and write down what they are told.
//!
//! `hosts` takes whole hosts down (systemd, power). All others run 3 or 5 server processes, each in a network
//! namespace of its own, under the workloads of `clients`; a [`trial::Trial`] breaks things, heals them, waits for
//! progress and has the histories judged by `tests/check`. docs/testing.md says how to read a failure.

mod clients;
mod clock;
mod disk;
mod hosts;
mod kill;
mod network;
mod partition;
mod pause;
mod random;
mod record;
mod trial;
