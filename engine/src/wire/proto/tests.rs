//! The records against the bytes of the specification, and against anything else.

use bytes::Bytes;
use proptest::prelude::*;

use super::path::{PathError, validate};
use super::*;
use crate::wire::ids::SessionId;
use crate::wire::jute::{Reader, Writer};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn session_passwords_are_those_of_the_reference() {
    let password = |id: i64| hex(&session_password(SessionId(id)));
    assert_eq!(password(0x0100_0013_9c87_0000), "2b75a0abdcb6cf56814f8b9785084d6e");
    assert_eq!(password(0x0100_0000_0000_0001), "054cc74a37327db215e702e20c73f005");
    assert_eq!(password(0x0100_0024_2e5b_0000), "07fe783288a4c73ebd09345e113cc652");
}

#[test]
fn digest_ids_are_those_of_the_reference() {
    assert_eq!(digest_id("x:y"), "x:MEJqKszm5QjsB/DDYgSVr5oDjb4=");
    assert_eq!(digest_id("super:admin"), "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
    assert!(digest_id("nocolon").starts_with("nocolon:"));
}

#[test]
fn the_read_only_byte_is_optional_both_ways() {
    let old = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: crate::wire::ids::Zxid(7),
        timeout_ms: 30_000,
        session: SessionId::NONE,
        password: Bytes::from_static(&[0; 16]),
        read_only: None,
    };
    for (request, len) in [(old.clone(), 44), (ConnectRequest { read_only: Some(true), ..old }, 45)] {
        let mut w = Writer::new();
        request.encode(&mut w);
        let bytes = w.finish();
        assert_eq!(bytes.len(), len);
        assert_eq!(ConnectRequest::decode(bytes), Ok(request));
    }
    for (with, len) in [(false, 36), (true, 37)] {
        let mut w = Writer::new();
        ConnectResponse::refused(with).encode(&mut w);
        assert_eq!(w.len(), len);
    }
}

/// A path may fill a frame, and comes before anybody is asked for a right: one pass, or a server stands still for
/// as long as a stranger likes (half a million components took minutes when each was looked for from the front).
#[test]
fn a_path_that_fills_a_frame_is_walked_once() {
    let long = "/ü".repeat(350_000);
    assert_eq!(validate(&long), Ok(()));
    let Err(PathError::Invalid { reason, at, .. }) = validate(&format!("{long}/../b")) else {
        panic!("a relative path deep down is refused")
    };
    assert_eq!((reason, at), ("relative paths not allowed", 700_002));
}

#[test]
fn paths_follow_the_rules_of_the_reference() {
    for good in ["/", "/a", "/a/b", "/...", "/a b", "/ü", "/a/..b"] {
        assert_eq!(validate(good), Ok(()), "{good}");
    }
    for (bad, text) in [
        ("", "Path length must be > 0"),
        ("a", "Path must start with / character"),
        ("/a/", "Path must not end with / character"),
        ("/a//b", "Invalid path string \"/a//b\" caused by empty node name specified @3"),
        ("/a/./b", "Invalid path string \"/a/./b\" caused by relative paths not allowed @3"),
        ("/a/..", "Invalid path string \"/a/..\" caused by relative paths not allowed @4"),
        ("/a\0b", "Invalid path string \"/a\0b\" caused by null character not allowed @2"),
        ("/\u{1}", "Invalid path string \"/\u{1}\" caused by invalid character @1"),
        ("/😀", "Invalid path string \"/😀\" caused by invalid character @1"),
        ("/\u{e000}", "Invalid path string \"/\u{e000}\" caused by invalid character @1"),
    ] {
        assert_eq!(validate(bad).unwrap_err().to_string(), text);
    }
}

#[test]
fn parents_and_names() {
    assert_eq!(path::parent("/"), None);
    assert_eq!(path::parent("/a"), Some("/"));
    assert_eq!(path::parent("/a/b"), Some("/a"));
    assert_eq!(path::parent("nope"), None);
    assert_eq!(path::name("/a/b"), "b");
}

#[test]
fn owners_are_read_as_the_extended_types_flag_says() {
    assert_eq!(Owner::from_stored(0, true), Owner::None);
    assert_eq!(Owner::from_stored(i64::MIN, false), Owner::Container);
    let ttl = Owner::Ttl { ms: 5000 }.to_stored();
    assert_eq!(ttl as u64, 0xff00_0000_0000_1388);
    assert_eq!(Owner::from_stored(ttl, true), Owner::Ttl { ms: 5000 });
    assert_eq!(Owner::from_stored(ttl, false), Owner::Session(SessionId(ttl)));
}

fn round_trip(request: Request) {
    let mut w = Writer::new();
    request.encode(&mut w);
    assert_eq!(Request::decode(request.op(), &mut Reader::new(w.finish())), Ok(request));
}

#[test]
fn requests_are_read_as_they_were_written() {
    let create =
        CreateRequest { path: "/a".into(), data: None, acl: Some(Acl::open()), flags: 0, ttl_ms: None };
    round_trip(Request::Create(create.clone()));
    round_trip(Request::CreateTtl(CreateRequest { flags: 5, ttl_ms: Some(9), ..create.clone() }));
    round_trip(Request::Multi(vec![
        Request::Create(create.clone()),
        Request::Check { path: "/a".into(), version: 3 },
        Request::SetData { path: "/a".into(), data: Some(Bytes::new()), version: -1 },
        Request::Delete { path: "/a".into(), version: -1 },
    ]));
    round_trip(Request::MultiRead(vec![Request::GetData { path: "/a".into(), watch: false }]));
    round_trip(Request::SetWatches2(SetWatches { data: vec!["/x".into()], ..SetWatches::default() }));
    round_trip(Request::Auth { scheme: "digest".into(), auth: Some(Bytes::from_static(b"u:p")) });
}

#[test]
fn a_multi_retypes_creates_by_their_flags_and_refuses_reads() {
    let create = |flags, ttl_ms| CreateRequest { path: "/a".into(), data: None, acl: None, flags, ttl_ms };
    let decode = |requests: Vec<Request>| {
        let mut w = Writer::new();
        request::encode_multi(&requests, &mut w);
        Request::decode(OpCode::Multi, &mut Reader::new(w.finish()))
    };
    assert_eq!(
        decode(vec![Request::Create(create(4, None))]),
        Ok(Request::Multi(vec![Request::CreateContainer(create(4, None))]))
    );
    assert_eq!(
        decode(vec![Request::CreateTtl(create(1, Some(5)))]),
        Ok(Request::Multi(vec![Request::Create(create(1, None))]))
    );
    assert!(decode(vec![Request::Create(create(5, None))]).is_err());
    assert!(decode(vec![Request::Create(create(7, None))]).is_err());
    assert!(decode(vec![Request::GetData { path: "/a".into(), watch: false }]).is_err());
    assert!(decode(vec![Request::SetAcl { path: "/a".into(), acl: None, version: 1 }]).is_err());
}

#[test]
fn a_null_id_is_an_empty_one() {
    // As some clients write `auth:`.
    let bytes = Bytes::from_static(b"\0\0\0\x1f\0\0\0\x04auth\xff\xff\xff\xff");
    assert_eq!(Acl::decode(&mut Reader::new(bytes)), Ok(Acl::new(Perms::ALL, "auth", "")));
}

#[test]
fn a_failed_multi_answers_with_typed_errors() {
    let results = vec![MultiResult::Error(0), MultiResult::Error(-101), MultiResult::Error(-2)];
    let mut w = Writer::new();
    multi::encode_response(&results, &mut w);
    let bytes = w.finish();
    assert_eq!(hex(&bytes[..13]), "ffffffff000000000000000000");
    assert_eq!(multi::decode_response(&mut Reader::new(bytes)), Ok(results));
}

proptest! {
    #[test]
    fn decoding_arbitrary_bytes_never_panics(op in -12i32..120, bytes: Vec<u8>) {
        if let Some(op) = OpCode::from_code(op) {
            let _ = Request::decode(op, &mut Reader::new(Bytes::from(bytes.clone())));
            let _ = Response::decode(op, &mut Reader::new(Bytes::from(bytes.clone())));
        }
        let _ = ConnectRequest::decode(Bytes::from(bytes.clone()));
        let _ = ConnectResponse::decode(Bytes::from(bytes));
    }

    #[test]
    fn validating_arbitrary_text_never_panics(path: String) {
        let _ = validate(&path);
        let _ = path::parent(&path);
    }
}
