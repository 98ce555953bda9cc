//! The log's bytes against disk-format §2.2, and every row of the tail table §2.4.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::replay::{Span, replay};
use super::*;
use crate::formats::log::{HEADER, Tail, put_entry, zxid_of};
use crate::server::store::disk::Disk;
use crate::server::store::mem::MemDisk;
use crate::server::store::refusal::Refusal;
use crate::wire::jute::FIELD_LEN_MAX as TXN_LEN_MAX;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A txn of `len` bytes that carries its zxid, filled with something that is not zero.
fn txn(zxid: i64, len: usize) -> Bytes {
    let mut txn = vec![0xa5; len.max(32)];
    txn[12..20].copy_from_slice(&zxid.to_be_bytes());
    txn[28..32].copy_from_slice(&5i32.to_be_bytes());
    txn.into()
}

fn settings(prealloc_bytes: u64) -> LogSettings {
    LogSettings { prealloc_bytes, force_sync: true, file_bytes_max: None, txn_len_max: TXN_LEN_MAX }
}

fn disk() -> MemDisk {
    let disk = MemDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

fn writer(disk: &MemDisk, prealloc_bytes: u64) -> LogWriter<MemDisk> {
    LogWriter::new(disk.clone(), Path::new(DIR), settings(prealloc_bytes), None)
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// A file with header and the given entries.
fn file(txns: &[Bytes]) -> Vec<u8> {
    let mut out = BytesMut::from(&HEADER[..]);
    txns.iter().for_each(|txn| put_entry(&mut out, txn));
    out.to_vec()
}

/// Replays from `base` and renders what a start would see.
fn replayed(disk: &MemDisk, base: i64) -> String {
    let span = Span {
        base: Zxid(base),
        upto: None,
        snapshots: &[Zxid(base)],
        tail_txns_max: 500,
        tail_bytes_max: 1 << 20,
        txn_len_max: TXN_LEN_MAX,
    };
    let mut seen = Vec::new();
    let result = replay(disk, Path::new(DIR), &span, &mut |zxid, _, _| {
        seen.push(format!("{:x}", zxid.0));
        Ok(())
    });
    match result {
        Ok(done) => {
            let torn: Vec<_> = done.torn.iter().map(|torn| format!(" torn@{}", torn.at)).collect();
            let empty = if done.without_header.is_empty() { "" } else { " without-header" };
            format!("{}{}{empty}", seen.join(" "), torn.join(""))
        }
        Err(refusal) => format!("{} refused: {}", seen.join(" "), short(&refusal)),
    }
}

fn short(refusal: &Refusal) -> String {
    match refusal {
        Refusal::DamagedEntry { offset, what, .. } => format!("damaged@{offset} {what}"),
        Refusal::Gap { after, found, .. } => format!("gap {after} {found}"),
        Refusal::NotALog { found, .. } => format!("not a log {found}"),
        other => other.to_string(),
    }
}

#[test]
fn the_annotated_file_of_the_reference_is_written_byte_for_byte() {
    let disk = disk();
    let mut writer = writer(&disk, 64 * 1024);
    writer.append(Zxid(1), &hex(CREATE_SESSION)).unwrap();
    writer.append(Zxid(2), &hex(CREATE_A)).unwrap();
    writer.flush().unwrap();
    let bytes = disk.bytes(&path("log.1")).unwrap();
    let mut want = hex("5a4b4c47 00000002 00000000 00000000 00000000 c5cb0a68 00000030");
    want.extend(hex(CREATE_SESSION));
    want.extend(hex("42 00000000 129f0dac 0000005b"));
    want.extend(hex(CREATE_A));
    want.push(b'B');
    assert_eq!(bytes[..want.len()], want);
    assert!(bytes[want.len()..].iter().all(|&byte| byte == 0));
    assert_eq!(bytes.len(), 0x10010, "padding as the reference's with preAllocSize 64 KiB");
}

#[test]
fn the_annotated_file_reads_back() {
    let disk = disk();
    disk.put(&path("log.1"), &{
        let mut bytes = file(&[hex(CREATE_SESSION).into(), hex(CREATE_A).into()]);
        bytes.resize(0x10010, 0);
        bytes
    });
    let mut reader = LogReader::open(&disk, &path("log.1"), Zxid::ZERO, TXN_LEN_MAX).unwrap();
    let mut offsets = Vec::new();
    let end = loop {
        match reader.next().unwrap() {
            Item::Txn { offset, txn } => offsets.push((offset, zxid_of(&txn).unwrap().0, txn.len())),
            Item::End(end) => break end,
        }
    };
    assert_eq!(offsets, [(0x10, 1, 0x30), (0x4d, 2, 0x5b)]);
    assert_eq!(end, End { at: 0xb5, tail: Tail::Clean });
}

#[test]
fn every_row_of_the_tail_table() {
    let good = file(&[txn(1, 40), txn(2, 40)]);
    let second = good.len() - 53;
    let check = |what: &str, bytes: Vec<u8>, expected: &str| {
        let disk = disk();
        disk.put(&path("log.1"), &bytes);
        assert_eq!(replayed(&disk, 0), expected, "{what}");
    };
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    check("end of file at an entry boundary", good.clone(), "1 2");
    check("padding", with(&|bytes| bytes.resize(5000, 0)), "1 2");
    check(
        "end of file inside the checksum",
        with(&|bytes| bytes.truncate(second + 7)),
        &format!("1 torn@{second}"),
    );
    check(
        "end of file inside an entry",
        with(&|bytes| bytes.truncate(second + 20)),
        &format!("1 torn@{second}"),
    );
    check(
        "terminator missing at the end of the file",
        with(&|bytes| bytes.truncate(second + 52)),
        &format!("1 torn@{second}"),
    );
    let torn_in_padding = with(&|bytes| {
        bytes.truncate(second + 30);
        bytes.resize(5000, 0);
    });
    check("torn write into padding", torn_in_padding, &format!("1 torn@{second}"));
    let mismatch = with(&|bytes| bytes[second + 30] ^= 1);
    let damaged =
        format!("1 refused: damaged@{second} the checksum does not match, although the entry is complete");
    check("terminator there, checksum wrong", mismatch, &damaged);
    let limits = format!("length -2 is not between 1 and {TXN_LEN_MAX}, which jute.maxbuffer sets");
    let negative = with(&|bytes| bytes[second + 8..second + 12].copy_from_slice(&(-2i32).to_be_bytes()));
    check("negative length", negative, &format!("1 refused: damaged@{second} {limits}"));
    let huge = with(&|bytes| bytes[second + 8..second + 12].copy_from_slice(&2_097_151i32.to_be_bytes()));
    check(
        "length beyond the limit",
        huge,
        &format!("1 refused: damaged@{second} {}", limits.replace("-2", "2097151")),
    );
    check("bad magic", with(&|bytes| bytes[0] = b'X'), " refused: not a log 584b4c47");
    check("all zeros where the header should be", vec![0; 64], " refused: not a log 00000000");
    check("header alone", HEADER.to_vec(), "");
    check("empty file", vec![], " without-header");
    check("creation cut short", HEADER[..9].to_vec(), " without-header");
    check("any dbid and version", with(&|bytes| bytes[4..16].fill(7)), "1 2");
    let lost_first_sector = with(&|bytes| {
        bytes.resize(1024, 0);
        bytes.extend([0xa5; 100]);
        bytes.resize(5000, 0);
    });
    check("rest of a torn batch behind zeros", lost_first_sector, &format!("1 2 torn@{}", good.len()));
}

#[test]
fn an_entry_with_a_sector_that_never_reached_the_disk_is_torn_only_when_nothing_follows() {
    let good = file(&[txn(1, 40)]);
    let mut bytes = file(&[txn(1, 40), txn(2, 3000)]);
    bytes[1024..1536].fill(0);
    let torn = disk();
    torn.put(&path("log.1"), &bytes);
    assert_eq!(replayed(&torn, 0), format!("1 torn@{}", good.len()));
    torn.put(&path("log.3"), &HEADER);
    assert_eq!(
        replayed(&torn, 0),
        format!("1 torn@{}", good.len()),
        "a file without entries is no continuation"
    );
    torn.put(&path("log.2"), &file(&[txn(2, 40)]));
    let refused = replayed(&torn, 0);
    assert!(refused.starts_with("1 refused: damaged@69"), "{refused}");
}

#[test]
fn a_torn_end_in_the_middle_is_fine_only_when_the_next_file_goes_on() {
    let torn = |next: i64| {
        let disk = disk();
        let mut bytes = file(&[txn(1, 40), txn(2, 40), txn(3, 40)]);
        bytes.truncate(bytes.len() - 9);
        disk.put(&path("log.1"), &bytes);
        disk.put(&path(&format!("log.{next:x}")), &file(&[txn(next, 40), txn(next + 1, 40)]));
        replayed(&disk, 0)
    };
    assert_eq!(torn(3), "1 2 3 4", "continued at +1");
    assert_eq!(torn(0x1_0000_0001), "1 2 100000001 100000002", "continued by a new epoch");
    assert_eq!(torn(4), "1 2 refused: gap 0x2 0x4");
    assert_eq!(torn(0x1_0000_0002), "1 2 refused: gap 0x2 0x100000002");
}

/// Found by the simulator: a wrong terminator in the last entry before a new epoch looked like a write cut short.
#[test]
fn a_flipped_bit_in_the_last_entry_before_a_new_epoch_is_no_torn_end() {
    let last = file(&[txn(1, 40), txn(2, 40)]).len();
    let bytes = file(&[txn(1, 40), txn(2, 40), txn(3, 64)]);
    for padding in [0, 5000] {
        for bit in last * 8..bytes.len() * 8 {
            let disk = disk();
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes.resize(bytes.len() + padding, 0);
            disk.put(&path("log.1"), &bytes);
            disk.put(&path("log.100000001"), &file(&[txn(0x1_0000_0001, 40)]));
            let replayed = replayed(&disk, 0);
            assert!(replayed.starts_with("1 2 refused: "), "bit {bit} of {}: {replayed}", bytes.len());
        }
    }
}

#[test]
fn replay_begins_in_the_newest_file_at_or_before_the_snapshot() {
    let disk = disk();
    disk.put(&path("log.1"), b"not even a log, but too old to matter");
    disk.put(&path("log.5"), &file(&[txn(5, 40), txn(6, 40), txn(7, 40)]));
    disk.put(&path("log.8"), &file(&[txn(8, 40)]));
    assert_eq!(replayed(&disk, 6), "7 8");
    assert_eq!(replayed(&disk, 5), "6 7 8");
    assert_eq!(replayed(&disk, 8), "");
    assert_eq!(replayed(&disk, 0x1_0000_0000), "", "a snapshot newer than every log");
}

#[test]
fn a_snapshot_that_the_log_does_not_reach_is_not_replayed_over_a_hole() {
    let disk = disk();
    disk.put(&path("log.8"), &file(&[txn(8, 40)]));
    assert_eq!(replayed(&disk, 6), " refused: gap 0x6 0x8");
    assert_eq!(replayed(&disk, 7), "8");
}

#[test]
fn repeated_zxids_are_skipped_and_lower_ones_applied_with_a_note() {
    let mut error_txn = txn(2, 36).to_vec();
    error_txn[28..32].copy_from_slice(&(-1i32).to_be_bytes());
    let disk = disk();
    let entries = [
        txn(1, 40),
        txn(2, 40),
        error_txn.into(),
        txn(3, 40),
        txn(3, 40),
        txn(2, 44),
        txn(3, 44),
        txn(4, 40),
    ];
    disk.put(&path("log.1"), &file(&entries));
    assert_eq!(replayed(&disk, 0), "1 2 3 2 3 4");
}

#[test]
fn the_tail_is_contiguous_and_bounded() {
    let disk = disk();
    let tail = |base: i64, snapshots: &[Zxid], txns: usize, bytes: usize| {
        let span = Span {
            base: Zxid(base),
            upto: None,
            snapshots,
            tail_txns_max: txns,
            tail_bytes_max: bytes,
            txn_len_max: TXN_LEN_MAX,
        };
        let done = replay(&disk, Path::new(DIR), &span, &mut |_, _, _| Ok(())).unwrap();
        done.tail.iter().map(|(zxid, _)| format!("{:x}", zxid.0)).collect::<Vec<_>>().join(" ")
    };
    disk.put(&path("log.5"), &file(&[txn(5, 40), txn(6, 40), txn(9, 40), txn(10, 40), txn(11, 40)]));
    assert_eq!(
        tail(10, &[Zxid(10)], 500, 1 << 20),
        "9 a b",
        "older txns serve peers too, but not across a hole"
    );
    assert_eq!(tail(10, &[Zxid(10)], 2, 1 << 20), "a b");
    assert_eq!(tail(10, &[Zxid(10)], 500, 90), "a b");
    assert_eq!(tail(20, &[Zxid(20)], 500, 1 << 20), "", "the newest state is not in the log");
    disk.put(&path("log.100000001"), &file(&[txn(0x1_0000_0001, 40)]));
    assert_eq!(tail(11, &[Zxid(11)], 500, 1 << 20), "9 a b 100000001");
    let received = [Zxid(11), Zxid(0x1_0000_0000)];
    assert_eq!(tail(11, &received, 500, 1 << 20), "100000001", "a received snapshot hides a hole");
}

#[test]
fn a_new_file_begins_after_a_roll_and_the_padding_of_the_old_one_goes() {
    let disk = disk();
    let mut writer = writer(&disk, 64 * 1024);
    writer.append(Zxid(1), &txn(1, 40)).unwrap();
    writer.flush().unwrap();
    writer.append(Zxid(2), &txn(2, 40)).unwrap();
    writer.roll().unwrap();
    writer.roll().unwrap();
    assert_eq!(disk.bytes(&path("log.1")).unwrap(), file(&[txn(1, 40), txn(2, 40)]));
    writer.append(Zxid(3), &txn(3, 40)).unwrap();
    writer.flush().unwrap();
    assert_eq!(disk.list(Path::new(DIR)).unwrap(), ["log.1", "log.3", "zkops.newest"]);
    assert_eq!(replayed(&disk, 0), "1 2 3");
}

#[test]
fn files_grow_by_whole_steps_before_they_are_full() {
    let disk = disk();
    let mut writer = writer(&disk, 8192);
    let mut lengths = Vec::new();
    for zxid in 1..=6 {
        writer.append(Zxid(zxid), &txn(zxid, 3000 - 13)).unwrap();
        writer.flush().unwrap();
        lengths.push(disk.bytes(&path("log.1")).unwrap().len());
    }
    // 16 + n·3000 used; grown when less than 4096 are left, to the next multiple or by one step.
    assert_eq!(lengths, [8208, 16400, 16400, 16400, 24592, 24592]);
    let mut plain = LogWriter::new(disk.clone(), Path::new(DIR), settings(0), Some(Zxid(6)));
    plain.append(Zxid(7), &txn(7, 40)).unwrap();
    plain.flush().unwrap();
    assert_eq!(disk.bytes(&path("log.7")).unwrap(), file(&[txn(7, 40)]));
}

#[test]
fn a_log_beyond_its_size_limit_is_followed_by_a_new_one() {
    let disk = disk();
    let settings = LogSettings {
        prealloc_bytes: 0,
        force_sync: true,
        file_bytes_max: Some(100),
        txn_len_max: TXN_LEN_MAX,
    };
    let mut writer = LogWriter::new(disk.clone(), Path::new(DIR), settings, None);
    for zxid in 1..=5 {
        writer.append(Zxid(zxid), &txn(zxid, 40)).unwrap();
        writer.flush().unwrap();
    }
    assert_eq!(disk.list(Path::new(DIR)).unwrap(), ["log.1", "log.3", "log.5", "zkops.newest"]);
    assert_eq!(replayed(&disk, 0), "1 2 3 4 5");
}

#[test]
fn what_does_not_follow_never_reaches_the_log() {
    let disk = disk();
    let mut writer = writer(&disk, 0);
    writer.append(Zxid(1), &txn(1, 40)).unwrap();
    for (zxid, bytes) in [
        (1, txn(1, 40)),
        (3, txn(3, 40)),
        (0x1_0000_0002, txn(0x1_0000_0002, 40)),
        (2, txn(7, 40)),
        (2, txn(2, TXN_LEN_MAX + 1)),
        (2, Bytes::from_static(b"short")),
    ] {
        assert!(matches!(writer.append(Zxid(zxid), &bytes), Err(Refusal::Misuse(_))), "{zxid:x}");
    }
    writer.append(Zxid(2), &txn(2, TXN_LEN_MAX)).unwrap();
    writer.append(Zxid(0x1_0000_0001), &txn(0x1_0000_0001, 40)).unwrap();
    writer.flush().unwrap();
    assert_eq!(replayed(&disk, 0), "1 2 100000001");
}

#[test]
fn no_room_for_padding_is_still_room_for_txns() {
    let disk = disk();
    disk.set_free_bytes(200);
    let mut writer = writer(&disk, 1 << 20);
    writer.append(Zxid(1), &txn(1, 40)).unwrap();
    writer.flush().unwrap();
    assert_eq!(disk.bytes(&path("log.1")).unwrap(), file(&[txn(1, 40)]), "without padding");
    writer.append(Zxid(2), &txn(2, 400)).unwrap();
    let error = writer.flush().unwrap_err();
    assert!(error.is_no_space(), "{error}");
    let text = error.to_string();
    assert!(text.contains("/data/version-2/") && text.contains("log.1"), "{text}");
    assert!(text.contains("free some space"), "{text}");
}

#[test]
fn refusals_say_file_offset_meaning_and_what_to_do() {
    let disk = disk();
    let mut bytes = file(&[txn(1, 40), txn(2, 40)]);
    bytes[100] ^= 1;
    disk.put(&path("log.1"), &bytes);
    let span = Span {
        base: Zxid(0),
        upto: None,
        snapshots: &[],
        tail_txns_max: 1,
        tail_bytes_max: 1,
        txn_len_max: TXN_LEN_MAX,
    };
    let text = replay(&disk, Path::new(DIR), &span, &mut |_, _, _| Ok(())).unwrap_err().to_string();
    for part in ["/data/version-2/log.1", "byte 69", "after 0x1", "checksum", "zkops repair"] {
        assert!(text.contains(part), "{part:?} missing in: {text}");
    }
}

#[test]
fn a_long_txn_is_read_where_the_settings_allow_it_and_the_setting_is_named_where_not() {
    let disk = disk();
    let wide = LogSettings { txn_len_max: 4 << 20, ..settings(0) };
    let mut writer = LogWriter::new(disk.clone(), Path::new(DIR), wide, None);
    let (long, other) = (txn(1, 3 << 20), txn(2, 40));
    writer.append(Zxid(1), &long).unwrap();
    writer.append(Zxid(2), &other).unwrap();
    writer.flush().unwrap();
    let read = |txn_len_max| {
        let mut reader = LogReader::open(&disk, &path("log.1"), Zxid::ZERO, txn_len_max).unwrap();
        let mut txns = Vec::new();
        while let Item::Txn { txn, .. } = reader.next().map_err(|refusal| short(&refusal))? {
            txns.push(txn);
        }
        Ok::<_, String>(txns)
    };
    assert_eq!(read(4 << 20).unwrap(), [long, other]);
    let what = format!("length {} is not between 1 and {TXN_LEN_MAX}, which jute.maxbuffer sets", 3 << 20);
    assert_eq!(read(TXN_LEN_MAX), Err(format!("damaged@16 {what}")));
    // A long one that was cut short is an end like any other.
    let whole = disk.bytes(&path("log.1")).unwrap();
    disk.put(&path("log.1"), &whole[..2 << 20]);
    assert_eq!(read(4 << 20), Ok(Vec::new()));
}

const DIR: &str = "/data/version-2";

/// The two entries of the annotated file in disk-format §2.2.
const CREATE_SESSION: &str = "\
    01000012 8ed10000 00000000 00000000 00000001 000001a2 022dfc3f fffffff6 00007530 00000002 00000000 51c6d660";
const CREATE_A: &str = "\
    01000012 8ed10000 00000001 00000000 00000002 000001a2 022dfc63 00000001 \
    00000002 2f61 00000005 68656c6c 6f 00000001 0000001f 00000005 776f726c 64 00000006 616e796f 6e65 \
    00 00000001 00000002 00000000 ccf1b606";
