//! What the last deployment was, kept on the operator's machine so that later verbs need no
//! inventory named: `last.json` in the caller's state directory.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The inventory of the last deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub cluster: String,
    /// Absolute path of the inventory.
    pub path: PathBuf,
    /// Its text as it was deployed: the file may change or go.
    pub text: String,
    /// What was deployed before, the latest last, as long as a member may still live where it was then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
}

impl Record {
    /// The same with what the machine remembered of this cluster before it as earlier.
    #[must_use]
    pub(crate) fn behind(mut self, last: Option<Record>) -> Record {
        let Some(last) = last.filter(|last| last.cluster == self.cluster) else { return self };
        self.earlier = last.earlier;
        self.earlier.push(last.text);
        self.earlier.retain(|text| *text != self.text);
        self.earlier.dedup();
        let surplus = self.earlier.len().saturating_sub(EARLIER_MAX);
        self.earlier.drain(..surplus);
        self
    }

    /// # Errors
    /// When the file cannot be read or is not ours; none is no error.
    pub fn load(dir: &Path) -> Result<Option<Record>> {
        let path = dir.join(NAME);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let record = serde_json::from_slice(&bytes);
                record.with_context(|| {
                    format!("{} is damaged: remove it and name the inventory", path.display())
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Replaces the record in one step; only its owner can read it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        let path = dir.join(NAME);
        let write = || -> Result<()> {
            std::fs::create_dir_all(dir)?;
            let mut file = tempfile::NamedTempFile::new_in(dir)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Forgets the deployment if it is the one of `cluster`.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn forget(dir: &Path, cluster: &str) -> Result<()> {
        match Record::load(dir) {
            Ok(Some(record)) if record.cluster == cluster => {
                let path = dir.join(NAME);
                std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

const NAME: &str = "last.json";
/// Nobody moves more members without a deployment that ends well.
const EARLIER_MAX: usize = 8;
