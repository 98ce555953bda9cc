//! The use cases, one a file: a typed request from a [`caller`] → a typed, serialisable outcome, or the failure that
//! ends it. The command line, a test, a console or another use case call them alike: nothing here prints, parses words
//! or knows a terminal. Questions go through [`ask`], what happens meanwhile goes out as events.
//!
//! | file | what it is about |
//! |---|---|
//! | [`init`], [`schema`] | an inventory made of a few words; what one may look like |
//! | [`deploy`], [`plan`], [`check`] | the same look at the same hosts: carried out, shown, judged |
//! | [`status`], [`logs`] over [`log_lines`] | how every member is, and why; what their servers wrote, in one order |
//! | [`lifecycle`], [`ok_to_stop`] | start, stop, restart; whether members may go down now |
//! | [`repair`] | one member back in sync, the mildest cure first |
//! | [`destroy`] | what deploy put on the hosts is gone |
//! | [`ssh_setup`] | a key on every host |
//! | [`session`] | an ensemble that can be worked on; its hosts are lent to the work and always let go |
//! | [`caller`], [`ask`] | who calls: whom to ask, whom to tell, how patient to be; the one way to a person |
//! | [`advice`] | what is advised names the inventory that was named |
//! | [`planned`] | a plan that is shown instead of carried out |
//! | `settings`, `paths` | the members' zoo.cfg, read with the server's own parser; where their files are |
//! | `desired`, `refusal` | inventory → desired state and targets; why there is no plan, as a failure |
//! | [`owed`] | what waits for hosts that were left out |
//! | [`record`], `holder` | the last deployment of this machine; who holds the locks of a run |
//! | `former` | where members were before, found and looked at |

pub mod advice;
pub mod ask;
pub mod caller;
pub mod check;
pub mod deploy;
mod desired;
pub mod destroy;
mod former;
mod holder;
pub mod init;
pub mod lifecycle;
pub mod log_lines;
pub mod logs;
mod look;
pub mod ok_to_stop;
pub mod owed;
mod paths;
pub mod plan;
pub mod planned;
pub mod record;
mod refusal;
pub mod repair;
pub mod schema;
pub mod session;
mod settings;
pub mod ssh_setup;
pub mod status;

#[cfg(test)]
mod tests;
