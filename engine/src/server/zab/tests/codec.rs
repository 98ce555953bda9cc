//! Bytes: every hex example of the spec, the config text's grammar, and hostile input.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::cluster::member_list;
use crate::server::zab::ballot::State;
use crate::server::zab::wire::{self, AuthId, FrameError, Kind, LearnerInfo, take_packet};
use crate::server::zab::*;
use crate::wire::jute::FIELD_LEN_MAX;

pub(super) fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect::<Vec<u8>>().into()
}

fn packet(kind: Kind, zxid: i64, data: Option<&str>) -> Packet {
    Packet { kind, zxid: Zxid(zxid), data: data.map(hex), auth: None }
}

/// The packet is written as the example, and the example is read as the packet, byte by byte.
fn check(packet: &Packet, example: &str) {
    let bytes = hex(example);
    assert_eq!(packet.encode(), bytes, "{packet:?}");
    let mut buffer = BytesMut::new();
    for (index, byte) in bytes.iter().enumerate() {
        buffer.extend_from_slice(&[*byte]);
        let taken = take_packet(&mut buffer, FIELD_LEN_MAX).unwrap();
        assert_eq!(taken.as_ref(), (index + 1 == bytes.len()).then_some(packet));
    }
}

#[test]
fn the_handshake_has_the_bytes_of_section_2_2() {
    let info = LearnerInfo { sid: ServerId(1), protocol_version: 0x10000, config_version: 0 };
    check(
        &Packet::with_data(Kind::FOLLOWERINFO, Zxid(0), info.encode()),
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
    );
    check(&wire::leader_info(Epoch(1)), "00000011 0000000100000000 00000004 00010000 ffffffff");
    check(&wire::ack_epoch(Zxid(0), Epoch(0)), "00000012 0000000000000000 00000004 00000000 ffffffff");
    check(
        &wire::ack_epoch_for_snapshot(Zxid(5), Epoch(1)),
        "00000012 ffffffffffffffff 0000000c 00000001 0000000000000005 ffffffff",
    );
    check(&packet(Kind::DIFF, 0, None), "0000000d 0000000000000000 ffffffff ffffffff");
    check(&packet(Kind::ACK, 1 << 32, None), "00000003 0000000100000000 ffffffff ffffffff");
    check(&packet(Kind::UPTODATE, -1, None), "0000000c ffffffffffffffff ffffffff ffffffff");
}

#[test]
fn packets_have_the_bytes_of_section_2_17() {
    let request = "0100001678400000 00000001 00000001 00000002 2f61 00000005 68656c6c6f 00000001 0000001f \
                   00000005 776f726c64 00000006 616e796f6e65 00000000";
    let mut create = packet(Kind::REQUEST, -1, Some(request));
    create.auth = Some(vec![AuthId { scheme: "ip".into(), id: "127.0.0.1".into() }]);
    check(
        &create,
        &format!(
            "00000001 ffffffffffffffff 0000003e {request} \
             00000001 00000002 6970 00000009 3132372e302e302e31"
        ),
    );
    let set_data = "0100001678400000 00000003 0000000100000004 000001a20232153c 00000005 \
                    00000002 2f61 00000001 77 00000001 00000002 000000025424aa6f";
    check(
        &packet(Kind::PROPOSAL, 0x1_0000_0004, Some(set_data)),
        &format!("00000002 0000000100000004 0000003b {set_data} ffffffff"),
    );
    check(&packet(Kind::COMMIT, 0x1_0000_0004, None), "00000004 0000000100000004 ffffffff ffffffff");
    check(&packet(Kind::SYNC, 0, None), "00000007 0000000000000000 ffffffff ffffffff");
    check(
        &packet(Kind::REVALIDATE, -1, Some("0100001678400000 00002710")),
        "00000006 ffffffffffffffff 0000000c 0100001678400000 00002710 ffffffff",
    );
    check(
        &packet(Kind::REVALIDATE, -1, Some("0100001678400000 01")),
        "00000006 ffffffffffffffff 00000009 0100001678400000 01 ffffffff",
    );
    check(&packet(Kind::PING, 1 << 32, None), "00000005 0000000100000000 ffffffff ffffffff");
    check(&packet(Kind::PING, 1 << 32, Some("")), "00000005 0000000100000000 00000000 ffffffff");
    check(
        &packet(Kind::COMMITANDACTIVATE, 0x1_0000_0002, Some("0000000000000002")),
        "00000009 0000000100000002 00000008 0000000000000002 ffffffff",
    );
}

#[test]
fn a_hello_has_the_bytes_of_section_1_1() {
    let bytes = hex("ffffffffffff0000 0000000000000002 0000000f 3132372e302e302e313a3239333832");
    let hello = Hello { sid: ServerId(2), addresses: vec![("127.0.0.1".into(), 29382)] };
    assert_eq!(hello.encode(), bytes);
    let mut buffer = BytesMut::from(&bytes[..]);
    buffer.extend_from_slice(b"next");
    assert_eq!(Hello::take(&mut buffer), Ok(Some(hello)));
    assert_eq!(&buffer[..], b"next");
    for len in 0..bytes.len() {
        assert_eq!(Hello::take(&mut BytesMut::from(&bytes[..len])), Ok(None), "{len} bytes");
    }
}

#[test]
fn hellos_of_other_versions_are_read_or_refused() {
    let take = |bytes: &[u8]| Hello::take(&mut BytesMut::from(bytes));
    let with = |version: i64, text: &str| {
        let mut w = crate::wire::jute::Writer::new();
        w.long(version);
        w.long(7);
        w.string(text);
        take(&w.finish())
    };
    let hello = |addresses: &[(&str, u16)]| {
        let addresses = addresses.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
        Ok(Some(Hello { sid: ServerId(7), addresses }))
    };
    assert_eq!(take(&7i64.to_be_bytes()), hello(&[]));
    assert_eq!(with(-65535, "a:1|[::1]:2"), hello(&[("a", 1), ("::1", 2)]));
    assert_eq!(with(-65536, "0.0.0.0:3888|[::]:1|b:2"), hello(&[("b", 2)]));
    assert_eq!(with(-65536, "no port"), hello(&[]));
    assert_eq!(take(&(-5i64).to_be_bytes()), Err(FrameError::Version(-5)));
    assert!(matches!(with(-65536, &"x".repeat(2049)), Err(FrameError::Length { .. })));
    assert!(matches!(with(-65536, ""), Err(FrameError::Length { .. })));
}

#[test]
fn a_notification_has_the_bytes_of_section_2_17() {
    let config = "x".repeat(0xb2);
    let n = Notification {
        state: State::Looking,
        leader: ServerId(2),
        zxid: Zxid(0),
        round: 1,
        peer_epoch: Epoch(0),
        version: 2,
        config: Some(Bytes::from(config.clone())),
    };
    let bytes = n.encode();
    let head = "000000de 00000000 0000000000000002 0000000000000000 0000000000000001 0000000000000000 \
                00000002 000000b2";
    assert_eq!(bytes[..48], hex(head)[..]);
    assert_eq!(bytes[48..], *config.as_bytes());
    let mut buffer = BytesMut::from(&bytes[..]);
    let payload = Notification::take_payload(&mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty());
    assert_eq!(Notification::decode(payload), Ok(n));
}

#[test]
fn notifications_of_older_releases_are_read() {
    let head = "00000001 0000000000000003 0000000500000007 0000000000000009";
    let read = |text: &str| Notification::decode(hex(text));
    let old = read(head).unwrap();
    assert_eq!((old.state, old.peer_epoch, old.version), (State::Following, Epoch(5), 0));
    let trap_q7 = read(&format!("{head} 0000000000000006 00000001")).unwrap();
    assert_eq!((trap_q7.peer_epoch, trap_q7.version), (Epoch(6), 0));
    let bare = read(&format!("{head} 0000000000000006 00000001 00000000")).unwrap();
    assert_eq!((bare.version, bare.config), (1, None));
    for bad in [
        "00000001 00000000",
        &format!("{head} 00000000"),
        &format!("{head} 0000000000000006 00000002 7fffffff"),
        &head.replacen("00000001", "00000004", 1),
        &head.replacen("0000000000000009", "7fffffffffffffff", 1),
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_short_forms_of_learner_info_are_read() {
    let info = |text| LearnerInfo::decode(&hex(text)).unwrap();
    assert_eq!(info("0000000000000005").sid, ServerId(5));
    assert_eq!(info("0000000000000005 00010000").config_version, 0);
    assert_eq!(info("0000000000000005 00010000 0000000000000007").config_version, 7);
    assert!(LearnerInfo::decode(&hex("00000000")).is_err());
}

#[test]
fn lengths_beyond_the_limits_end_the_stream_at_once() {
    for bad in [
        "00000002 0000000000000001 00200000",
        "00000002 0000000000000001 fffffffe",
        "00000002 0000000000000001 ffffffff 00010001",
        "00000002 0000000000000001 ffffffff 00000001 7fffffff",
    ] {
        assert!(
            matches!(wire::packet_len(&hex(bad), FIELD_LEN_MAX), Err(FrameError::Length { .. })),
            "{bad}"
        );
    }
    let mut frame = BytesMut::from(&hex("00080001")[..]);
    assert!(matches!(Notification::take_payload(&mut frame), Err(FrameError::Length { .. })));
}

#[test]
fn a_quorum_is_more_than_half_of_the_voters() {
    for (voters, least) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)] {
        let membership = Memberships::at_start(Membership::parse(&member_list(voters, 2)).unwrap());
        for having in 0..=voters as i64 + 2 {
            let quorum = membership.is_quorum(|sid| sid.0 <= having);
            assert_eq!(quorum, having >= least, "{having} of {voters} voters");
        }
        assert!(!membership.is_quorum(|sid| sid.0 > voters as i64), "observers do not count");
    }
}

#[test]
fn a_packet_is_as_long_as_the_settings_allow_it() {
    let packet = Packet::with_data(Kind::PROPOSAL, Zxid(1), vec![0; 3 << 20].into()).encode();
    let take = |data_len_max| take_packet(&mut BytesMut::from(&packet[..]), data_len_max);
    assert!(matches!(take(FIELD_LEN_MAX), Err(FrameError::Length { .. })));
    assert_eq!(take(3 << 20).unwrap().and_then(|packet| packet.data).map(|data| data.len()), Some(3 << 20));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes: Vec<u8>) {
        let buffer = BytesMut::from(&bytes[..]);
        let _ = take_packet(&mut buffer.clone(), FIELD_LEN_MAX);
        let _ = Hello::take(&mut buffer.clone());
        let _ = Notification::take_payload(&mut buffer.clone());
        let _ = LearnerInfo::decode(&Bytes::from(bytes.clone()));
        let _ = Notification::decode(Bytes::from(bytes));
    }

    #[test]
    fn packets_survive_a_round_trip(
        kind: i32,
        zxid: i64,
        data: Option<Vec<u8>>,
        auth in prop::option::of(prop::collection::vec(("[a-z]{0,5}", "[a-z]{0,9}"), 0..4)),
    ) {
        let auth = auth.map(|ids| ids.into_iter().map(|(scheme, id)| AuthId { scheme, id }).collect());
        let packet = Packet { kind: Kind(kind), zxid: Zxid(zxid), data: data.map(Bytes::from), auth };
        let mut buffer = BytesMut::from(&packet.encode()[..]);
        prop_assert_eq!(take_packet(&mut buffer, FIELD_LEN_MAX), Ok(Some(packet)));
        prop_assert!(buffer.is_empty());
    }
}
