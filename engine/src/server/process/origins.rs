//! What this server was started on, its zoo.cfg and its directories, against what stands there now. It goes on with
//! what it has whatever becomes of them, and its next start would not: whoever asks how it is must hear of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// As everything was when the data was opened.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    config: PathBuf,
    text: Vec<u8>,
    dirs: Vec<(PathBuf, Option<Inode>)>,
}

/// A directory whatever it is called: device and inode.
type Inode = (u64, u64);

impl Origins {
    /// `text` was read from `config`; `dirs` are there by now.
    pub(super) fn new(config: &Path, text: Vec<u8>, dirs: &[&Path]) -> Origins {
        let dirs = dirs.iter().map(|dir| (dir.to_path_buf(), inode(dir))).collect();
        Origins { config: config.to_path_buf(), text, dirs }
    }

    /// The next start would read another zoo.cfg, or none.
    pub(super) fn config_changed(&self) -> bool {
        // One that grew is not read to its end.
        let len = fs::metadata(&self.config).map(|metadata| metadata.len());
        len.is_ok_and(|len| len != self.text.len() as u64)
            || fs::read(&self.config).map_or(true, |text| text != self.text)
    }

    /// The next start would find another directory, or none: this one was moved or removed, or something is mounted there.
    pub(super) fn data_moved(&self) -> bool {
        self.dirs.iter().any(|(dir, opened)| opened.is_some() && inode(dir) != *opened)
    }
}

fn inode(dir: &Path) -> Option<Inode> {
    let metadata = fs::metadata(dir).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_under_a_server_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (config, data) = (dir.path().join("zoo.cfg"), dir.path().join("version-2"));
        fs::write(&config, "tickTime=2000\n").unwrap();
        fs::create_dir(&data).unwrap();
        let origins = Origins::new(&config, b"tickTime=2000\n".to_vec(), &[&data, &data]);
        let told = || (origins.config_changed(), origins.data_moved());
        assert_eq!(told(), (false, false));
        for other in ["tickTime=3000\n", "tickTime=2000\n\n", ""] {
            fs::write(&config, other).unwrap();
            assert_eq!(told(), (true, false), "{other:?}");
        }
        fs::remove_file(&config).unwrap();
        assert_eq!(told(), (true, false));
        fs::write(&config, "tickTime=2000\n").unwrap();
        fs::rename(&data, dir.path().join("elsewhere")).unwrap();
        assert_eq!(told(), (false, true));
        fs::create_dir(&data).unwrap();
        assert_eq!(told(), (false, true), "another one in its place is not the one");
        fs::remove_dir(&data).unwrap();
        fs::rename(dir.path().join("elsewhere"), &data).unwrap();
        assert_eq!(told(), (false, false));
    }
}
