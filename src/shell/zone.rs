//! The local time zone, as the C library finds it: `TZ`, else `/etc/localtime`; UTC where a host has no
//! zone files. Read here because a static binary carries no database of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use jiff::tz::TimeZone;

/// The zone that `TZ` (or its absence) names.
pub(super) fn local(tz: Option<&OsStr>) -> TimeZone {
    let Some(tz) = tz else {
        return from_file(Path::new(LOCAL_FILE)).unwrap_or(TimeZone::UTC);
    };
    let tz = tz.to_string_lossy();
    let name = tz.strip_prefix(':').unwrap_or(&tz);
    // join() keeps an absolute name as it is, which POSIX allows; a relative one must stay inside.
    let escapes = !name.starts_with('/') && name.split('/').any(|part| part == "..");
    let file = (!name.is_empty() && !escapes).then(|| from_file(&Path::new(ZONES_DIR).join(name))).flatten();
    file.or_else(|| TimeZone::posix(name).ok()).unwrap_or(TimeZone::UTC)
}

fn from_file(path: &Path) -> Option<TimeZone> {
    let is_zone_sized =
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= ZONE_FILE_BYTES_MAX);
    let bytes = is_zone_sized.then(|| fs::read(path).ok()).flatten()?;
    TimeZone::tzif("local", &bytes).ok()
}

const ZONES_DIR: &str = "/usr/share/zoneinfo";
const LOCAL_FILE: &str = "/etc/localtime";
/// The largest zone file is a few KiB; whatever else lies there is not read whole.
const ZONE_FILE_BYTES_MAX: u64 = 1 << 20;
