//! Snapshot files against the annotated bytes of disk-format §3.2, and every form of trailer.

use std::path::Path;

use super::read::SnapError;
use super::*;
use crate::formats::compression::Compression;
use crate::formats::snapshot::{HEADER, SLASH, Trailer};
use crate::server::store::disk::Disk;
use crate::server::store::mem::MemDisk;
use crate::server::tree;
use crate::wire::ids::Zxid;

/// The body of snapshot.0 of an empty 3.8.0 server (disk-format §3.2), offsets 0x10..0x19b.
fn empty_body() -> Vec<u8> {
    let zeros = [0u8; 60];
    let mut config_stat = zeros;
    config_stat[40..44].copy_from_slice(&[0xff; 4]);
    let node = |path: &str, acl: i64, stat: &[u8; 60]| {
        let mut out = (path.len() as u32).to_be_bytes().to_vec();
        out.extend(path.as_bytes());
        out.extend(0u32.to_be_bytes());
        out.extend(acl.to_be_bytes());
        out.extend(stat);
        out
    };
    let mut body = Vec::new();
    body.extend(0u32.to_be_bytes());
    body.extend(1u32.to_be_bytes());
    body.extend(1u64.to_be_bytes());
    body.extend(1u32.to_be_bytes());
    body.extend(1u32.to_be_bytes());
    body.extend(b"\0\0\0\x05world\0\0\0\x06anyone");
    body.extend(node("", -1, &zeros));
    body.extend(node("/zookeeper", -1, &zeros));
    body.extend(node("/zookeeper/config", 1, &config_stat));
    body.extend(node("/zookeeper/quota", -1, &zeros));
    body.extend(SLASH);
    body
}

fn disk() -> MemDisk {
    let disk = MemDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

fn write(disk: &MemDisk, zxid: i64, compression: Compression) -> String {
    let body = empty_body();
    let mut file = SnapshotFile::receive(disk, Path::new(DIR), Zxid(zxid), compression).unwrap();
    body.chunks(100).for_each(|chunk| file.write(chunk).unwrap());
    let path = file.finish(Some((Zxid(zxid), 77)), Zxid(zxid)).unwrap().unwrap();
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn candidate(disk: &MemDisk) -> Candidate {
    find(disk, Path::new(DIR)).unwrap().remove(0)
}

/// A seal over all of `bytes`.
fn seal(bytes: &mut Vec<u8>) {
    let sum = u64::from(simd_adler32::adler32(&&bytes[..]));
    bytes.extend(sum.to_be_bytes());
    bytes.extend(SLASH);
}

fn sealed_body() -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    bytes.extend(empty_body());
    seal(&mut bytes);
    bytes
}

fn load_bytes(name: &str, bytes: &[u8]) -> Result<Trailer, SnapError> {
    let disk = disk();
    disk.put(&Path::new(DIR).join(name), bytes);
    let candidate = candidate(&disk);
    let settings = tree::Settings::default();
    let loaded = load(&disk, Path::new(DIR), &candidate, &settings, &mut Vec::new());
    let verified = verify(&disk, Path::new(DIR), &candidate);
    assert_eq!(loaded.is_ok(), verified.is_ok(), "a purge must judge as a load does");
    if let Ok(tree) = loaded {
        assert_eq!(tree.last_zxid(), candidate.zxid, "replay starts from the name");
        assert_eq!(tree::snapshot::encode_body(&tree), empty_body());
    }
    verified
}

#[test]
fn the_annotated_snapshot_of_an_empty_server_is_written_byte_for_byte() {
    let disk = disk();
    let mut file = SnapshotFile::receive(&disk, Path::new(DIR), Zxid(0), Compression::None).unwrap();
    file.write(&empty_body()).unwrap();
    file.finish(None, Zxid(0)).unwrap();
    let bytes = disk.bytes(&Path::new(DIR).join("snapshot.0")).unwrap();
    let at = |offset: usize, want: &str| {
        let got: String =
            bytes[offset..].iter().take(want.len() / 2).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(got, want, "at {offset:#x}");
    };
    at(0x000, "5a4b534e00000002ffffffffffffffff");
    at(0x196, "000000012f");
    at(0x19b, "00000000b8a23b49000000012f");
    at(0x1a8, "0000000000000000000000020000000000000000");
    at(0x1bc, "0000000095b93d59000000012f");
    at(0x1c9, "0000000000000000");
    assert_eq!(bytes.len(), 478, "the 3.9 form: 457 bytes and section 8");
    assert_eq!(disk.list(Path::new(DIR)).unwrap(), ["snapshot.0"]);
}

#[test]
fn every_form_of_trailer_is_read() {
    let check = |what: &str, bytes: &[u8], digest: Option<(Zxid, u64)>, last: Option<Zxid>| {
        let trailer = load_bytes("snapshot.5", bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(trailer, Trailer { digest, last_processed: last }, "{what}");
    };
    let body = sealed_body();
    check("3.5: seal only", &body, None, None);
    let section_7 = |zxid: i64| {
        let mut bytes = body.clone();
        bytes.extend(zxid.to_be_bytes());
        bytes.extend(2u32.to_be_bytes());
        bytes.extend(0x4_9736_61a9u64.to_be_bytes());
        seal(&mut bytes);
        bytes
    };
    let section_8 = |mut bytes: Vec<u8>| {
        bytes.extend(13i64.to_be_bytes());
        seal(&mut bytes);
        bytes
    };
    check("3.6 to 3.8", &section_7(13), Some((Zxid(13), 0x4_9736_61a9)), None);
    check("no digest yet", &section_7(0), None, None);
    check("3.9", &section_8(section_7(13)), Some((Zxid(13), 0x4_9736_61a9)), Some(Zxid(13)));
    check("3.9 with digests off (D7)", &section_8(body.clone()), None, Some(Zxid(13)));
    let mut old_digest = body.clone();
    old_digest.extend(13i64.to_be_bytes());
    old_digest.extend(1u32.to_be_bytes());
    old_digest.extend(b"\0\0\0\x0a49736cafe0");
    seal(&mut old_digest);
    check("digest of an older version", &old_digest, None, None);
    check("the same in 3.9", &section_8(old_digest.clone()), None, Some(Zxid(13)));
}

#[test]
fn damage_anywhere_is_found() {
    let disk = disk();
    write(&disk, 5, Compression::None);
    let good = disk.bytes(&Path::new(DIR).join("snapshot.5")).unwrap();
    for at in (0..4).chain((4..good.len()).step_by(7)).chain(good.len() - 90..good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        assert!(load_bytes("snapshot.5", &bytes).is_err(), "flipped bit at {at}");
    }
    for len in 0..good.len() {
        let whole = load_bytes("snapshot.5", &good[..len]);
        // Without its last sections it is what an older version would have written.
        assert_eq!(whole.is_ok(), [good.len() - 21, good.len() - 54].contains(&len), "cut to {len}");
    }
}

#[test]
fn compressed_snapshots_are_read_and_written() {
    for (compression, name) in
        [(Compression::Gzip, "snapshot.5.gz"), (Compression::Snappy, "snapshot.5.snappy")]
    {
        let disk = disk();
        assert_eq!(write(&disk, 5, compression), name);
        let candidate = candidate(&disk);
        assert!(looks_valid(&disk, Path::new(DIR), &candidate).unwrap(), "{name}");
        let trailer = verify(&disk, Path::new(DIR), &candidate).unwrap();
        assert_eq!(trailer.digest, Some((Zxid(5), 77)), "{name}");
        let good = disk.bytes(&Path::new(DIR).join(name)).unwrap();
        for len in 0..good.len() {
            let cut = load_bytes(name, &good[..len]);
            // gzip's own trailer is not needed once the seals hold.
            assert!(cut.is_err() || len + 8 >= good.len(), "{name} cut to {len}");
        }
        let mut flipped = good;
        flipped[60] ^= 0xff;
        assert!(load_bytes(name, &flipped).is_err(), "{name} damaged");
    }
}

#[test]
fn a_snappy_java_stream_is_read() {
    // Magic, version 1, compatible 1, then length-prefixed raw blocks (disk-format §3.4).
    let mut bytes = vec![0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
    for block in sealed_body().chunks(150) {
        let compressed = snap::raw::Encoder::new().compress_vec(block).unwrap();
        bytes.extend((compressed.len() as u32).to_be_bytes());
        bytes.extend(compressed);
    }
    load_bytes("snapshot.5.snappy", &bytes).unwrap();
    bytes.extend(0x7fff_ffffu32.to_be_bytes());
    assert!(load_bytes("snapshot.5.snappy", &bytes).is_err(), "a block's length is not believed");
}

#[test]
fn the_quick_check_is_the_references() {
    let disk = disk();
    let valid = |name: &str, bytes: &[u8]| {
        disk.put(&Path::new(DIR).join(name), bytes);
        let candidates = find(&disk, Path::new(DIR)).unwrap();
        let candidate = candidates.iter().find(|candidate| candidate.name == name).unwrap();
        looks_valid(&disk, Path::new(DIR), candidate).unwrap()
    };
    assert!(valid("snapshot.1", b"12345\0\0\0\x01/"));
    assert!(!valid("snapshot.2", b"1234\0\0\0\x01/"), "below ten bytes");
    assert!(!valid("snapshot.3", b"12345\0\0\0\x01/\0"));
    assert!(!valid("snapshot.4", b""));
    assert!(valid("snapshot.5.gz", &[0x1f, 0x8b, 1]) && !valid("snapshot.6.gz", &[0x1f]));
    assert!(!valid("snapshot.7.snappy", b"\x82SNAPPX\0"));
    let newest_first: Vec<_> =
        find(&disk, Path::new(DIR)).unwrap().into_iter().map(|found| found.zxid.0).collect();
    assert_eq!(newest_first, [7, 6, 5, 4, 3, 2, 1]);
}

#[test]
fn an_abandoned_snapshot_leaves_nothing() {
    let disk = disk();
    let mut file = SnapshotFile::receive(&disk, Path::new(DIR), Zxid(5), Compression::Gzip).unwrap();
    file.write(b"half").unwrap();
    drop(file);
    assert!(disk.list(Path::new(DIR)).unwrap().is_empty());
}

#[test]
fn a_full_disk_fails_the_snapshot_and_leaves_nothing() {
    let disk = disk();
    let mut file = SnapshotFile::receive(&disk, Path::new(DIR), Zxid(5), Compression::None).unwrap();
    disk.fail_at(disk.operations(), crate::server::store::mem::Fault::NoSpace);
    file.write(&empty_body()).unwrap();
    let error = file.finish(None, Zxid(5)).unwrap_err();
    assert_eq!(error.kind, crate::server::store::disk::Kind::NoSpace);
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(disk.list(Path::new(DIR)).unwrap().is_empty());
}

const DIR: &str = "/data/version-2";
