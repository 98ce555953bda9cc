//! The inventory's JSON Schema (draft 2020-12), by which editors complete and check what is typed. It says what a file
//! may look like; what members must not do to each other, the parser alone says.

use serde_json::{Value, json};

use super::layer::OWNED;
use super::read::{NAME_PATTERN, NAME_RULE};

/// The schema as a document.
pub fn schema() -> Value {
    let mut root = shared();
    root.extend([
        ("cluster", named("The ensemble's name: of the service, and on the data. Without it: zookeeper")),
        (
            "clients",
            json!({
                "description": "Networks and addresses that may reach the client ports; without it everybody",
                "anyOf": [text("A network like 10.0.0.0/8, or an address"), {
                    "type": "array", "minItems": 1, "items": text("A network like 10.0.0.0/8, or an address"),
                }],
            }),
        ),
        ("defaults", object("Settings of all members, where they have none of their own", layer(), &[])),
        (
            "nodes",
            json!({
                "description": "The members",
                "anyOf": [
                    {
                        "type": "object",
                        "propertyNames": { "pattern": NAME_PATTERN, "description": NAME_RULE },
                        "additionalProperties": { "$ref": "#/$defs/member" },
                    },
                    {
                        "type": "array",
                        "items": { "anyOf": [address(), { "$ref": "#/$defs/listed" }] },
                    },
                ],
            }),
        ),
    ]);
    let mut schema = object("An inventory of zkops: one ensemble", root, &["nodes"]);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("zkops inventory");
    let mut listed = member();
    listed.push(("name", named("The member's name; without it node-ID")));
    schema["$defs"] = json!({
        "member": with_address(object("A member", member(), &["id"])),
        "listed": with_address(object("A member of a list", listed, &["id"])),
    });
    schema
}

type Keys = Vec<(&'static str, Value)>;

/// What may stand at the top, in `defaults:` and at a member.
fn shared() -> Keys {
    let ssh = vec![
        ("user", text("Whom to log in as")),
        ("port", number("The port of sshd", 1, 65535)),
        ("key", text("A private key's file")),
        ("known_hosts", text("The file of host keys")),
        ("jump", text("[user@]host[:port] to go through")),
        ("sudo", text("The command that makes root of the user, without a password; none")),
    ];
    let owned: Vec<&str> = OWNED.iter().map(|(key, _)| *key).collect();
    vec![
        ("connection", choice("How hosts are reached; local: servers on this machine", &["ssh", "local"])),
        ("ssh", object("How to log in; without a key here as ~/.ssh/config says", ssh, &[])),
        ("user", text("The user of the system that the server runs as; without it zkops")),
        (
            "zoo",
            json!({
                "description": "Keys of zoo.cfg, but for those that deploy writes",
                "type": "object",
                "propertyNames": { "pattern": "^[A-Za-z0-9._-]+$", "not": { "anyOf": [
                    { "enum": owned }, { "pattern": "^(zookeeper\\.)?server\\." },
                ] } },
                "additionalProperties": text("As in zoo.cfg"),
            }),
        ),
    ]
}

/// What may stand in `defaults:` and at a member.
fn layer() -> Keys {
    let ports = vec![
        ("client", number("Where clients come; without it 2181", 1, 65535)),
        ("quorum", number("Where followers find the leader; without it 2888", 1, 65535)),
        ("election", number("Where members elect; without it 3888", 1, 65535)),
    ];
    let mut keys = shared();
    keys.extend([
        ("role", choice("Whether it votes; without it it does", &["participant", "observer"])),
        ("ports", object("The server's ports", ports, &[])),
        ("install_dir", text("Where the program is; {name} is the member's name")),
        ("data_dir", text("Where snapshots are; {name} is the member's name")),
        ("data_log_dir", text("Where the transaction log is, if it has a disk of its own")),
    ]);
    keys
}

fn member() -> Keys {
    let mut keys = layer();
    keys.extend([
        ("id", number("The server's myid: never another host's data", 1, 255)),
        ("ip", address()),
        ("host", address()),
    ]);
    keys
}

/// `ip`, or `host`, which is the same.
fn with_address(mut object: Value) -> Value {
    object["oneOf"] = json!([{ "required": ["ip"] }, { "required": ["host"] }]);
    object
}

fn object(description: &str, keys: Keys, required: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// One word: YAML takes some for numbers or flags.
fn text(description: &str) -> Value {
    json!({ "description": description, "type": ["string", "number", "boolean"] })
}

fn named(description: &str) -> Value {
    json!({ "description": description, "type": ["string", "number"], "pattern": NAME_PATTERN })
}

fn number(description: &str, min: i64, max: i64) -> Value {
    json!({ "description": description, "type": "integer", "minimum": min, "maximum": max })
}

fn choice(description: &str, words: &[&str]) -> Value {
    json!({ "description": description, "enum": words })
}

/// YAML takes `[fd00::1]` for a list of one.
fn address() -> Value {
    json!({
        "description": "The address or name by which members and clients reach it; user@ before it is the ssh user",
        "anyOf": [{ "type": "string" }, { "type": "array", "minItems": 1, "maxItems": 1 }],
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Findings;
    use super::super::yaml::{self, Data};
    use super::super::{Finding, Severity, parse};
    use super::*;

    fn findings(text: &str) -> Vec<Finding> {
        parse("test.yml", text, &|_| Vec::new()).map_or_else(|found| found, |(_, warnings)| warnings)
    }

    /// The places where keys stand: what the parser is given to find there, and where the schema has them.
    const PLACES: [(&str, &str); 9] = [
        ("KEYS\nnodes: [10.0.0.1]", "/properties"),
        ("defaults: {KEYS}\nnodes: [10.0.0.1]", "/properties/defaults/properties"),
        ("ssh: {KEYS}\nnodes: [10.0.0.1]", "/properties/ssh/properties"),
        ("defaults: {ssh: {KEYS}}\nnodes: [10.0.0.1]", "/properties/defaults/properties/ssh/properties"),
        ("defaults: {ports: {KEYS}}\nnodes: [10.0.0.1]", "/properties/defaults/properties/ports/properties"),
        ("nodes: {a: {KEYS, id: 1, ip: 10.0.0.1}}", "/$defs/member/properties"),
        ("nodes: {a: {id: 1, ip: 10.0.0.1, ssh: {KEYS}}}", "/$defs/member/properties/ssh/properties"),
        ("nodes: {a: {id: 1, ip: 10.0.0.1, ports: {KEYS}}}", "/$defs/member/properties/ports/properties"),
        ("nodes: [{KEYS, id: 1, ip: 10.0.0.1}]", "/$defs/listed/properties"),
    ];

    /// A mistake is answered with the keys that the parser takes there.
    #[test]
    fn every_place_has_the_keys_that_the_parser_takes() {
        let schema = schema();
        for (text, pointer) in PLACES {
            let found = findings(&text.replace("KEYS", "zzzzzzzzzzzz: 1"));
            let help =
                found.iter().find(|finding| finding.code == "unknown-key").and_then(|one| one.help.clone());
            let help = help.unwrap_or_else(|| panic!("{text}: {found:?}"));
            let mut taken: Vec<&str> =
                help.strip_prefix("keys here: ").expect("no near one").split(", ").collect();
            taken.sort_unstable();
            let keys = schema.pointer(pointer).and_then(Value::as_object).expect(pointer);
            let mut keys: Vec<&str> = keys.keys().map(String::as_str).collect();
            keys.sort_unstable();
            assert_eq!(keys, taken, "{pointer}");
        }
    }

    /// Bounds, words and patterns: what the schema lets through the parser takes, and what it does not the parser refuses.
    #[test]
    fn bounds_and_words_are_those_of_the_parser() {
        for (key, text, good, bad) in [
            ("id", "nodes: {a: {id: IT, ip: 10.0.0.1}}", vec!["1", "255"], vec!["0", "256", "-1", "x"]),
            ("port", "ssh: {port: IT}\nnodes: [10.0.0.1]", vec!["1", "65535"], vec!["0", "65536", "x"]),
            (
                "client",
                "defaults: {ports: {client: IT}}\nnodes: [10.0.0.1]",
                vec!["1", "65535"],
                vec!["0", "65536"],
            ),
            ("role", "nodes: {a: {id: 1, ip: 10.0.0.1, role: IT}}", vec!["participant"], vec!["voter", "x"]),
            ("connection", "connection: IT\nnodes: [localhost]", vec!["ssh", "local"], vec!["telnet"]),
            ("cluster", "cluster: IT\nnodes: [10.0.0.1]", vec!["a.b-c_d", "7"], vec!["a b", "-x", ".x"]),
            ("nodes", "nodes: {IT: {id: 1, ip: 10.0.0.1}}", vec!["zk1"], vec!["'a b'", "'-x'"]),
            (
                "zoo",
                "zoo: {IT: 7}\nnodes: [10.0.0.1]",
                vec!["tickTime", "zookeeper.snapCount"],
                vec!["dataDir", "server.1", "'a b'"],
            ),
            ("address", "nodes: {a: {id: 1, IT: 10.0.0.1}}", vec!["ip", "host"], vec!["name"]),
            ("zoo", "nodes: [10.0.0.1]\nIT: 1", vec![], vec!["nods"]),
        ] {
            for (words, is_good) in [(good, true), (bad, false)] {
                for word in words {
                    let text = text.replace("IT", word);
                    let errors =
                        findings(&text).into_iter().filter(|one| one.severity == Severity::Error).count();
                    assert_eq!(errors == 0, is_good, "{key}: {word}, by the parser");
                    assert_eq!(fits(&schema(), &value(&text)), is_good, "{key}: {word}, by the schema");
                }
            }
        }
    }

    #[test]
    fn our_own_inventories_fit() {
        for text in [
            include_str!("../../../inventories/three-nodes.yml"),
            include_str!("../../../inventories/five-with-observer.yml"),
            include_str!("../../../inventories/local.yml"),
        ] {
            assert!(fits(&schema(), &value(text)), "{text}");
        }
        assert!(!fits(&schema(), &value("cluster: a")), "without members");
    }

    /// A file as a validator would read it.
    fn value(text: &str) -> Value {
        fn of(value: &yaml::Value) -> Value {
            match &value.data {
                Data::Null => Value::Null,
                Data::Scalar { text } => serde_json::from_str::<Value>(text)
                    .ok()
                    .filter(|value| value.is_number() || value.is_boolean())
                    .unwrap_or_else(|| json!(text)),
                Data::List(items) => items.iter().map(of).collect(),
                Data::Map(entries) => Value::Object(
                    entries.iter().map(|entry| (entry.key.value.clone(), of(&entry.value))).collect(),
                ),
            }
        }
        of(&yaml::load(text, &mut Findings::new("test.yml", text)).expect("it is YAML"))
    }

    /// As much of a validator as this schema asks for.
    fn fits(schema: &Value, value: &Value) -> bool {
        fits_part(schema, schema, value)
    }

    fn fits_part(root: &Value, part: &Value, value: &Value) -> bool {
        let part = match part["$ref"].as_str() {
            Some(name) => root.pointer(&name[1..]).expect("it is defined"),
            None => part,
        };
        let is = |kind: &str| match kind {
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_i64(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other}: no such type is used"),
        };
        let holds = |(rule, wanted): (&String, &Value)| match rule.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "type" => match wanted {
                Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
                kind => is(kind.as_str().expect("a word")),
            },
            "enum" => wanted.as_array().expect("a list").contains(value),
            "minimum" => value.as_i64() >= wanted.as_i64(),
            "maximum" => value.as_i64() <= wanted.as_i64(),
            "minItems" => {
                value.as_array().is_some_and(|items| items.len() as u64 >= wanted.as_u64().expect("a count"))
            }
            "maxItems" => {
                value.as_array().is_some_and(|items| items.len() as u64 <= wanted.as_u64().expect("a count"))
            }
            "pattern" => value.as_str().is_none_or(|text| matches(wanted.as_str().expect("a pattern"), text)),
            "anyOf" => wanted.as_array().expect("a list").iter().any(|one| fits_part(root, one, value)),
            "oneOf" => {
                wanted.as_array().expect("a list").iter().filter(|one| fits_part(root, one, value)).count()
                    == 1
            }
            "not" => !fits_part(root, wanted, value),
            "items" => {
                value.as_array().is_none_or(|items| items.iter().all(|item| fits_part(root, wanted, item)))
            }
            "required" => wanted
                .as_array()
                .expect("a list")
                .iter()
                .all(|key| value.get(key.as_str().expect("a key")).is_some()),
            "propertyNames" => keys(value).all(|key| fits_part(root, wanted, &json!(key))),
            "properties" => {
                keys(value).all(|key| wanted.get(key).is_none_or(|part| fits_part(root, part, &value[key])))
            }
            "additionalProperties" => keys(value)
                .filter(|key| part["properties"].get(key).is_none())
                .all(|key| wanted.as_bool().unwrap_or_else(|| fits_part(root, wanted, &value[key]))),
            other => panic!("{other}: no such rule is used"),
        };
        part.as_object().expect("a schema").iter().all(holds)
    }

    fn keys(value: &Value) -> impl Iterator<Item = &str> {
        value.as_object().into_iter().flat_map(|object| object.keys().map(String::as_str))
    }

    /// The patterns of this schema, each with what it means.
    fn matches(pattern: &str, text: &str) -> bool {
        match pattern {
            NAME_PATTERN => super::super::is_name(text),
            "^[A-Za-z0-9._-]+$" => {
                !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            }
            "^(zookeeper\\.)?server\\." => text.trim_start_matches("zookeeper.").starts_with("server."),
            other => panic!("{other}: no such pattern is used"),
        }
    }
}
