//! Files, directories and disks, in temporary directories.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::content::{Content, sha256};
use super::disk;
use super::records::{
    EnsureDir, Expect, FileKind, LookOwners, Own, Owner, PlaceProgram, PutFile, Reader, Remove, Rename,
    SwitchLink,
};
use crate::operator::host::agent::tests::host;
use crate::operator::host::failure::Kind;

fn names(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

#[tokio::test]
async fn put_writes_once_and_then_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("a/b/zoo.cfg"));
    let text = "# Managed by zkops\ntickTime=2000\n";
    let request =
        PutFile { sha256: Some(sha256(text.as_bytes())), mode: 0o640, ..PutFile::ours(&path, text) };
    let first = link.put_file(request.clone()).await.unwrap();
    assert!(first.changed && first.created);
    assert_eq!(first.created_dirs, [dir.path().join("a"), dir.path().join("a/b")]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    let inode = fs::metadata(&path).unwrap().ino();
    let second = link.put_file(request.clone()).await.unwrap();
    assert!(!second.changed && !second.created);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "not rewritten");
    // Another mode alone is a change.
    let third = link.put_file(PutFile { mode: 0o600, ..request }).await.unwrap();
    assert!(third.changed);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(names(path.parent().unwrap()), ["zoo.cfg"], "no temporary file is left");
}

#[tokio::test]
async fn put_leaves_what_is_not_ours_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("zoo.cfg"));
    fs::write(&path, "somebody's own\n").unwrap();
    for expect in [Expect::Ours, Expect::Absent] {
        let request = PutFile { expect, ..PutFile::ours(&path, "# managed by zkops\n") };
        let error = link.put_file(request).await.unwrap_err();
        assert_eq!(error.kind(), Some(Kind::Foreign));
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's own\n");
    }
    let request =
        PutFile { expect: Expect::Any, backup: true, ..PutFile::ours(&path, "# managed by zkops\n") };
    let put = link.put_file(request).await.unwrap();
    assert_eq!(put.previous_sha256, Some(sha256(b"somebody's own\n")));
    assert_eq!(fs::read_to_string(put.backup.unwrap()).unwrap(), "somebody's own\n");
    // Now it carries our header.
    let put = link.put_file(PutFile::ours(&path, "# Managed by zkops, again\n")).await.unwrap();
    assert!(put.changed && put.backup.is_none());
}

#[tokio::test]
async fn a_zoo_cfg_that_its_server_would_refuse_is_not_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("conf/zoo.cfg"));
    let zoo_cfg = |text: &str| PutFile { must_read: Reader::Server, ..PutFile::ours(&path, text) };
    let bad = "# managed by zkops\ndataDir=/d\ntickTime=0\nsnapCount=10k\n";
    let error = link.put_file(zoo_cfg(bad)).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::Invalid));
    assert!(!path.parent().unwrap().exists(), "not even its directory");
    let good = "# managed by zkops\ndataDir=/d\ntickTime=2000\n";
    assert!(link.put_file(zoo_cfg(good)).await.unwrap().changed);
    let error = link.put_file(zoo_cfg(bad)).await.unwrap_err().to_string();
    for part in ["conf/zoo.cfg", "line 3: tickTime is 0", "line 4: snapCount is \"10k\"", "left as it is"] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
    assert_eq!(names(path.parent().unwrap()), ["zoo.cfg"], "no temporary file is left");
    // Planted by hand, header and all: the same bytes are no reason to be content with them.
    fs::write(&path, bad).unwrap();
    assert_eq!(link.put_file(zoo_cfg(bad)).await.unwrap_err().kind(), Some(Kind::Invalid));
    assert!(link.put_file(zoo_cfg(good)).await.unwrap().changed);
    // What nobody reads as a zoo.cfg may say anything.
    assert!(link.put_file(PutFile::ours(&path, bad)).await.unwrap().changed);
}

#[tokio::test]
async fn put_of_the_same_content_is_allowed_whoever_wrote_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("myid");
    fs::write(&path, "1\n").unwrap();
    let put =
        host(dir.path()).put_file(PutFile { expect: Expect::Absent, ..PutFile::ours(&path, "1\n") }).await;
    assert!(!put.unwrap().changed);
}

#[tokio::test]
async fn put_refuses_content_damaged_on_the_way_and_directories() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("file"));
    let damaged = PutFile { sha256: Some(sha256(b"other")), ..PutFile::ours(&path, "text") };
    assert_eq!(link.put_file(damaged).await.unwrap_err().kind(), Some(Kind::Invalid));
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    let error =
        link.put_file(PutFile { expect: Expect::Any, ..PutFile::ours(&path, "text") }).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::IsADirectory));
    let relative = link.put_file(PutFile::ours("relative/path", "text")).await.unwrap_err();
    assert_eq!(relative.kind(), Some(Kind::Invalid));
    let climbing = link.put_file(PutFile::ours(dir.path().join("a/../../x"), "text")).await.unwrap_err();
    assert_eq!(climbing.kind(), Some(Kind::Invalid));
}

#[tokio::test]
async fn put_writes_through_a_link_to_where_the_file_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link_path) = (dir.path().join("real"), dir.path().join("link"));
    fs::write(&real, "# managed by zkops\n").unwrap();
    symlink(&real, &link_path).unwrap();
    host(dir.path()).put_file(PutFile::ours(&link_path, "# managed by zkops 2\n")).await.unwrap();
    assert!(fs::symlink_metadata(&link_path).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "# managed by zkops 2\n");
}

#[tokio::test]
async fn any_bytes_travel() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("bytes"));
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    link.put_file(PutFile { content: Content::from(bytes.clone()), ..PutFile::ours(&path, "") })
        .await
        .unwrap();
    let read = link.read_file(path.clone(), u64::MAX).await.unwrap();
    assert_eq!(read.sha256, sha256(&bytes));
    assert_eq!(read.content.into_bytes().unwrap(), bytes);
    let part = link.read_file(path.clone(), 10).await.unwrap();
    assert!(part.truncated && part.bytes == 3_000_000 && part.content.into_bytes().unwrap() == bytes[..10]);
    let hashes =
        link.file_sha256(vec![path, dir.path().join("missing"), dir.path().to_path_buf()]).await.unwrap();
    assert_eq!(hashes[0].sha256, Some(sha256(&bytes)));
    assert!(hashes[1].sha256.is_none() && hashes[1].problem.is_none());
    assert_eq!(hashes[2].problem.as_ref().unwrap().kind, Kind::IsADirectory);
}

#[tokio::test]
async fn a_file_that_never_ends_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let error = host(dir.path()).read_file("/dev/zero".into(), 10).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::Invalid));
}

#[tokio::test]
async fn stat_and_list_tell_kinds_and_absence() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "12345").unwrap();
    fs::set_permissions(dir.path().join("file"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::create_dir(dir.path().join("dir")).unwrap();
    symlink("file", dir.path().join("link")).unwrap();
    let link = host(dir.path());
    let path = |name: &str| dir.path().join(name);
    let stats = link
        .stat(vec![path("file"), path("dir"), path("link"), path("none"), path("file/below")])
        .await
        .unwrap();
    let file = stats[0].found.as_ref().unwrap();
    assert_eq!((file.kind, file.mode, file.bytes), (FileKind::File, 0o4711, 5));
    assert!(file.modified_ms > 1_600_000_000_000);
    assert_eq!(stats[1].found.as_ref().unwrap().kind, FileKind::Dir);
    assert_eq!(stats[2].found.as_ref().unwrap().link_target, Some("file".into()));
    assert!(stats[3].found.is_none() && stats[3].problem.is_none());
    assert!(stats[4].found.is_none() && stats[4].problem.is_none());
    let listing = link.list_dir(dir.path().into()).await.unwrap();
    let listed: Vec<(&str, FileKind)> = listing.entries.iter().map(|e| (e.name.as_str(), e.kind)).collect();
    assert_eq!(listed, [("dir", FileKind::Dir), ("file", FileKind::File), ("link", FileKind::Symlink)]);
}

#[tokio::test]
async fn directories_are_made_once_and_only_the_last_gets_the_mode() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let (before, deep) = (dir.path().join("before"), dir.path().join("before/x/y"));
    fs::create_dir(&before).unwrap();
    let request = EnsureDir { path: deep.clone(), mode: Some(0o750), owner: None };
    let made = link.ensure_dir(request.clone()).await.unwrap();
    assert!(made.changed);
    assert_eq!(made.created, [before.join("x"), deep.clone()]);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(&deep), mode(&before.join("x"))), (0o750, 0o755));
    assert!(!link.ensure_dir(request).await.unwrap().changed, "a second time changes nothing");
}

#[tokio::test]
async fn a_file_in_the_way_of_a_directory_is_said() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let link = host(dir.path());
    let request = |path: PathBuf| EnsureDir { path, mode: None, owner: None };
    let error = link.ensure_dir(request(dir.path().join("file"))).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::NotADirectory));
    let error = link.ensure_dir(request(dir.path().join("file/below"))).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::NotADirectory), "{error}");
}

#[tokio::test]
async fn removal_stays_inside_its_roots() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    for path in [&root.join("tree/deep"), &outside] {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("file"), "1234").unwrap();
    }
    symlink(&outside, root.join("escape")).unwrap();
    let request = |path: PathBuf| Remove { path, roots: vec![root.clone()], keep: Vec::new() };
    let remove = |path: PathBuf| link.remove(request(path));
    assert_eq!(remove(outside.clone()).await.unwrap_err().kind(), Some(Kind::Refused));
    assert_eq!(
        remove(root.join("escape/file")).await.unwrap_err().kind(),
        Some(Kind::Refused),
        "through a link"
    );
    assert_eq!(remove(root.join("../outside")).await.unwrap_err().kind(), Some(Kind::Invalid));
    assert_eq!(remove("/".into()).await.unwrap_err().kind(), Some(Kind::Refused));
    let top = link.remove(Remove { roots: vec!["/".into()], ..request("/etc".into()) }).await.unwrap_err();
    assert_eq!(top.kind(), Some(Kind::Refused), "top level");
    symlink(root.join("tree/deep"), dir.path().join("data")).unwrap();
    for kept in [root.join("tree"), root.join("tree/deep"), dir.path().join("data")] {
        let holds = Remove { keep: vec![kept.clone()], ..request(root.join("tree")) };
        assert_eq!(link.remove(holds).await.unwrap_err().kind(), Some(Kind::Refused), "{}", kept.display());
        assert!(root.join("tree/deep/file").exists());
    }
    let tree =
        link.remove(Remove { keep: vec![outside.clone()], ..request(root.join("tree")) }).await.unwrap();
    assert_eq!((tree.changed, tree.files, tree.bytes), (true, 1, 4));
    assert!(!remove(root.join("tree")).await.unwrap().changed, "gone already");
    assert!(!remove(root.join("never/was")).await.unwrap().changed);
    assert!(remove(root.join("escape")).await.unwrap().changed);
    assert!(outside.join("file").exists(), "the link went, not what it points to");
    assert!(remove(root.clone()).await.unwrap().changed, "a root itself may go");
}

#[tokio::test]
async fn a_rename_never_overwrites_and_is_done_once() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let (from, to) = (dir.path().join("zkdata"), dir.path().join("zkdata.old"));
    fs::create_dir(&from).unwrap();
    fs::write(from.join("myid"), "3").unwrap();
    let rename = |roots: Vec<PathBuf>| link.rename(Rename { from: from.clone(), to: to.clone(), roots });
    let elsewhere = vec![dir.path().join("elsewhere")];
    assert_eq!(rename(elsewhere).await.unwrap_err().kind(), Some(Kind::Refused));
    let roots = vec![dir.path().to_path_buf()];
    assert!(rename(roots.clone()).await.unwrap());
    assert_eq!(fs::read_to_string(to.join("myid")).unwrap(), "3");
    assert!(!rename(roots.clone()).await.unwrap(), "done already");
    fs::create_dir(&from).unwrap();
    assert_eq!(rename(roots.clone()).await.unwrap_err().kind(), Some(Kind::Exists));
    fs::remove_dir(&from).unwrap();
    fs::remove_dir_all(&to).unwrap();
    assert_eq!(rename(roots).await.unwrap_err().kind(), Some(Kind::NotFound));
}

#[tokio::test]
async fn disk_space_of_a_path_that_does_not_exist_yet() {
    let dir = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(dir.path()).unwrap();
    let all = host(dir.path()).disk_space(vec![dir.path().join("not/yet"), "relative".into()]).await.unwrap();
    let space = all[0].space.as_ref().unwrap();
    assert_eq!(space.measured_at, real);
    assert!(real.starts_with(&space.mount_point), "{space:?}");
    assert!(
        space.total_bytes >= space.available_bytes && space.available_bytes > 0 && !space.fs_type.is_empty()
    );
    assert!(!space.read_only);
    assert_eq!(all[1].problem.as_ref().unwrap().kind, Kind::Invalid);
}

#[tokio::test]
async fn writability_is_proven_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let proof = link.check_writable(dir.path().join("not/yet")).await.unwrap();
    assert_eq!(proof.probed_at, fs::canonicalize(dir.path()).unwrap());
    assert!(!proof.fsync_us.is_empty());
    assert_eq!(names(dir.path()), Vec::<String>::new());
    // /proc takes no files, whoever asks.
    assert!(link.check_writable("/proc".into()).await.unwrap_err().failure().is_some());
}

#[test]
fn mountinfo_is_read_with_its_escapes_and_longest_point() {
    let text = "\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 21 0:26 / /tmp rw,nosuid,noexec shared:5 - tmpfs tmpfs rw,size=1024k
31 21 8:17 / /export/my\\040data ro,relatime - xfs /dev/sdb1 rw
bad line
";
    let mounts = disk::mounts(text);
    assert_eq!(mounts.len(), 3);
    let of = |path: &str| disk::mount_of(&mounts, Path::new(path)).unwrap().fs_type.as_str();
    assert_eq!(
        (of("/tmp/x"), of("/tmpx"), of("/export/my data/zk"), of("/export")),
        ("tmpfs", "ext4", "xfs", "ext4")
    );
    assert!(mounts[1].options.split(',').any(|option| option == "noexec"));
}

/// Somebody else where we are root, else ourselves: then the modes alone are what changes.
fn somebody() -> (u32, Owner) {
    let me = rustix::process::geteuid().as_raw();
    let id = if me == 0 { 54_321 } else { me };
    let group = if me == 0 { id } else { rustix::process::getegid().as_raw() };
    (id, Owner { user: id.to_string(), group: Some(group.to_string()) })
}

/// Owner and mode of everything in a tree, links themselves, sorted.
fn owned(dir: &Path) -> Vec<(String, u32, u32)> {
    let mut all = Vec::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(path) = left.pop() {
        let seen = fs::symlink_metadata(&path).unwrap();
        if seen.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let name = path.strip_prefix(dir).unwrap().display().to_string();
        all.push((name, seen.uid(), seen.mode() & 0o7777));
    }
    all.sort();
    all
}

/// A server's data: a level of files, and the topmost directory kept elsewhere.
fn data(dir: &Path) -> PathBuf {
    let real = dir.join("disk/zk");
    fs::create_dir_all(real.join("version-2")).unwrap();
    for name in ["myid", "version-2/log.1", "version-2/snapshot.0"] {
        fs::write(real.join(name), "1\n").unwrap();
    }
    symlink(&real, dir.join("zkdata")).unwrap();
    dir.join("zkdata")
}

#[tokio::test]
async fn a_tree_changes_hands_once_and_a_torn_change_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path, (id, owner)) = (host(dir.path()), data(dir.path()), somebody());
    let real = dir.path().join("disk/zk");
    let request = Own { paths: vec![path.clone()], owner };
    // As a change that was killed in the middle leaves it: some below are theirs, the topmost is not.
    fs::set_permissions(real.join("myid"), fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::lchown(real.join("myid"), Some(id), None).unwrap();
    let asked = LookOwners { user: None, dirs: vec![path.clone()], ways: vec![], deep: true };
    let before = link.look_owners(asked.clone()).await.unwrap();
    let seen = before.dirs[0].found.clone().unwrap();
    assert_eq!(seen.target.as_deref(), Some(fs::canonicalize(&real).unwrap().as_path()));
    let root = rustix::process::geteuid().is_root();
    assert_eq!(seen.stranger.is_some(), root, "{seen:?}");

    assert!(link.own(request.clone()).await.unwrap().changed > 0);
    let expected: Vec<(String, u32, u32)> = [
        ("", 0o700),
        ("myid", 0o600),
        ("version-2", 0o700),
        ("version-2/log.1", 0o600),
        ("version-2/snapshot.0", 0o600),
    ]
    .map(|(name, mode)| (name.to_owned(), id, mode))
    .into();
    assert_eq!(owned(&real), expected);
    assert_eq!(link.own(request).await.unwrap().changed, 0, "a second time nothing changes");
    let after = link.look_owners(asked).await.unwrap();
    assert_eq!(after.dirs[0].found.as_ref().unwrap().stranger, None);
}

/// A look of ours at the same time, this run's or another's, leaves a file of whoever looks in the directory for a
/// moment.
#[tokio::test]
async fn a_proof_on_its_way_is_no_stranger() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path, (id, owner)) = (host(dir.path()), data(dir.path()), somebody());
    link.own(Own { paths: vec![path.clone()], owner }).await.unwrap();
    fs::write(path.join(".zkops-probe.1588.1"), "z").unwrap();
    fs::write(path.join("version-2/.zkops-probe.1588.2"), "z").unwrap();
    let asked = LookOwners { user: None, dirs: vec![path.clone()], ways: vec![], deep: true };
    let stranger =
        async || link.look_owners(asked.clone()).await.unwrap().dirs[0].found.clone().unwrap().stranger;
    assert_eq!(stranger().await, None, "uid {id}");
    fs::write(path.join("notes"), "z").unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(stranger().await, Some(path.join("notes")));
    }
}

#[tokio::test]
async fn no_link_in_a_tree_is_followed_and_what_is_elsewhere_too_is_not_given_away() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path, (_, owner)) = (host(dir.path()), data(dir.path()), somebody());
    let elsewhere = dir.path().join("secret");
    fs::write(&elsewhere, "x").unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&elsewhere, path.join("version-2/log.9")).unwrap();
    symlink(dir.path(), path.join("up")).unwrap();
    let request = Own { paths: vec![path.clone()], owner };
    let before = (fs::metadata(&elsewhere).unwrap().uid(), fs::metadata(dir.path()).unwrap().uid());
    let given = link.own(request.clone()).await;
    let unchanged = (fs::metadata(&elsewhere).unwrap().uid(), fs::metadata(dir.path()).unwrap().uid());
    assert_eq!((before, 0o640), (unchanged, fs::metadata(&elsewhere).unwrap().mode() & 0o7777));
    if rustix::process::geteuid().is_root() {
        let error = given.unwrap_err();
        assert_eq!(error.kind(), Some(Kind::Refused));
        assert!(error.to_string().contains("which belongs to somebody else"), "{error}");
        assert!(owned(&path).iter().all(|(_, uid, _)| *uid == 0), "nothing is half done");
        for name in ["version-2/log.9", "up"] {
            fs::remove_file(path.join(name)).unwrap();
        }
        // A third user's file, linked in: its other name is not ours to give away.
        std::os::unix::fs::lchown(&elsewhere, Some(12_345), None).unwrap();
        fs::hard_link(&elsewhere, path.join("hard")).unwrap();
        let error = link.own(request).await.unwrap_err();
        assert!(error.to_string().contains("another name elsewhere"), "{error}");
        assert_eq!(fs::metadata(&elsewhere).unwrap().uid(), 12_345);
    } else {
        given.unwrap();
    }
}

#[tokio::test]
async fn a_file_in_anothers_directory_is_not_written_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("myid"));
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &path).unwrap();
    let request = PutFile { expect: Expect::Any, in_foreign_dir: true, ..PutFile::ours(&path, "1\n") };
    assert_eq!(link.put_file(request).await.unwrap_err().kind(), Some(Kind::Foreign));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[tokio::test]
async fn a_link_is_switched_to_whole_slots_only_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let (name, slot) = (dir.path().join("current"), dir.path().join("slots/b"));
    let request = SwitchLink { link: name.clone(), to: "slots/b".into() };
    let sha256 = link.binary().await.unwrap().sha256;
    let place = PlaceProgram { path: slot.join("zkops"), sha256 };
    assert!(link.place_program(place.clone()).await.unwrap());
    let inode = fs::metadata(&place.path).unwrap().ino();
    assert!(!link.place_program(place.clone()).await.unwrap());
    assert_eq!(fs::metadata(&place.path).unwrap().ino(), inode, "not written again");
    let other = PlaceProgram { sha256: "0".repeat(64), ..place };
    assert_eq!(link.place_program(other).await.unwrap_err().kind(), Some(Kind::Invalid));
    // Half a slot is none.
    assert_eq!(link.switch_link(request.clone()).await.unwrap_err().kind(), Some(Kind::NotFound));
    assert!(!name.exists());
    fs::write(slot.join("zoo.cfg"), "# managed by zkops\n").unwrap();
    symlink("slots/a", &name).unwrap();
    assert!(link.switch_link(request.clone()).await.unwrap());
    assert_eq!(fs::read_link(&name).unwrap(), Path::new("slots/b"));
    assert!(!link.switch_link(request.clone()).await.unwrap());
    fs::remove_file(&name).unwrap();
    fs::create_dir(&name).unwrap();
    assert_eq!(link.switch_link(request).await.unwrap_err().kind(), Some(Kind::Foreign));
    assert_eq!(names(dir.path()), ["current", "slots"], "no temporary link is left");
}
