//! What a znode path may look like (§2.3), and its parts.

/// Why a path is not one. The texts are the reference's, which the shell prints (operations §11.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("Path length must be > 0")]
    Empty,
    #[error("Path must start with / character")]
    NotAbsolute,
    #[error("Path must not end with / character")]
    TrailingSlash,
    #[error("Invalid path string \"{path}\" caused by {reason} @{at}")]
    Invalid { path: String, reason: &'static str, at: usize },
}

/// Checks a full path (create after its suffix, setData, setACL, check).
///
/// # Errors
/// The first rule broken, positions counted in UTF-16 units as the reference does.
pub fn validate(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if path.len() == 1 {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    let invalid = |reason, at| PathError::Invalid { path: path.to_owned(), reason, at };
    // Bytes cut the component out, units tell where; up to a character that is refused both are one a character
    // of the reference's. One pass: a path may fill a whole frame.
    let (mut at, mut component) = (1, 1);
    for (byte, c) in path.char_indices().skip(1).chain([(path.len(), '/')]) {
        match c {
            '\0' => return Err(invalid("null character not allowed", at)),
            '/' => {
                match &path[component..byte] {
                    "" => return Err(invalid("empty node name specified", at)),
                    "." | ".." => return Err(invalid("relative paths not allowed", at - 1)),
                    _ => {}
                }
                component = byte + 1;
            }
            '\u{1}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fff0}'..='\u{ffff}'
            | '\u{10000}'.. => return Err(invalid("invalid character", at)),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The parent of a path other than `/`; `None` when the path has no `/` or is the root.
pub fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path.len() == 1 => None,
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}

/// The last component.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
