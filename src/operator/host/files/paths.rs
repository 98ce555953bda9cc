//! Paths as they come from an inventory. Pure: it looks at no disk.

use std::path::{Component, Path};

use crate::operator::host::failure::Failure;

/// Paths come from an inventory: they must be absolute and must not climb.
pub(crate) fn absolute(path: &Path) -> Result<(), Failure> {
    if !path.is_absolute() {
        return Err(Failure::invalid("use", path.display(), "the path is not absolute"));
    }
    if path.components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(Failure::invalid("use", path.display(), "the path holds `..`"));
    }
    Ok(())
}

/// The directory that holds `path`.
pub(crate) fn parent(path: &Path) -> Result<&Path, Failure> {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .ok_or_else(|| Failure::invalid("use", path.display(), "an absolute path of a file was expected"))
}
