//! Small files replaced as a whole, the reference's way: `<name>.tmp`, synced, renamed, and the
//! directory synced too.

use std::path::Path;

use super::bent;
use super::disk::{Disk, File, Result};

/// Replaces `dir/name` by `content`. After a crash it holds the old content or the new one.
pub(crate) fn replace<D: Disk>(disk: &D, dir: &Path, name: &str, content: &[u8]) -> Result<()> {
    let unfinished = dir.join(format!("{name}.tmp"));
    let mut file = disk.create(&unfinished)?;
    file.write_at(0, content)?;
    file.sync_data()?;
    disk.rename(&unfinished, &dir.join(name))?;
    if bent::leaves_replaced_file_unsynced() {
        return Ok(());
    }
    disk.sync_dir(dir)
}
