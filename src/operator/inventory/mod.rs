//! The inventory: one YAML file → a [`Cluster`] that cannot be wrong, or everything that is wrong with the
//! file, each with its line, column and a did-you-mean.
//!
//! Pure: it opens no file, resolves no name, expands no `~` (the caller does, who knows whose home it is).
//!
//! | file | what it is about |
//! |---|---|
//! | `model` | [`Cluster`] and its members: what a valid inventory says |
//! | `yaml` | YAML text → values that know their place |
//! | `fields` | a map's keys, each taken once; what is left over is a mistake |
//! | `layer` | settings that may stand in `defaults:` or at a node |
//! | `placed` | a member and where its parts were written |
//! | `read` | the file's own shape: cluster, ssh, defaults, nodes |
//! | `address` | addresses as people write them, in one spelling |
//! | `rules` | what members must not do to each other: ids, addresses, ports, directories, voters |
//! | `schema` | what a file may look like, for editors: kept equal to all of this by its tests |
//! | `complaint` | what others find wrong with it, put at its place |
//! | `finding`, `suggest` | problems with their places; did-you-mean |

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod address;
mod complaint;
mod fields;
mod finding;
mod layer;
mod model;
mod placed;
mod read;
mod rules;
mod schema;
mod suggest;
mod yaml;

pub use complaint::{About, Complaint};
pub use finding::{Finding, Place, Severity};
pub use layer::instead_of;
pub use model::{Cluster, Connection, Jump, Member, Ports, Role, SshSettings};
pub use read::{NAME_RULE, is_name};
pub use rules::INSTALLED;
pub use schema::schema;
pub use suggest::nearest;

use finding::Findings;

/// Reads an inventory. `file` is the name as the user typed it, for the findings; `judge` says what else is wrong with
/// the members that were read, which is shown with all that is found here.
///
/// # Errors
/// All findings, at least one of them an error. With a cluster come the warnings.
pub fn parse(
    file: &str,
    text: &str,
    judge: &dyn Fn(&Cluster) -> Vec<Complaint>,
) -> Result<(Cluster, Vec<Finding>), Vec<Finding>> {
    // Some editors put a mark before the text, which is no part of it; places count in what was given.
    let (mark, text) = text.strip_prefix(MARK).map_or(("", text), |rest| (MARK, rest));
    let mut findings = Findings::new(file, text);
    let cluster =
        yaml::load(text, &mut findings).and_then(|value| read::cluster(&value, judge, &mut findings));
    let good = !findings.has_errors();
    let mut found = findings.finish();
    for place in found.iter_mut().flat_map(|finding| &mut finding.places) {
        (place.start, place.end) = (place.start + mark.len(), place.end + mark.len());
    }
    match cluster {
        Some(cluster) if good => Ok((cluster, found)),
        _ => Err(found),
    }
}

/// The byte order mark, as UTF-8 has it.
const MARK: &str = "\u{feff}";

#[cfg(test)]
mod tests;
