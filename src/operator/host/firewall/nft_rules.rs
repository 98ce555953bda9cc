//! Tables, chains and rules of nftables, and the walk that tells what becomes of a new TCP connection.
//! Pure; it knows no command and no file.

use super::matching::{Asked, JUMPS_MAX, Matches, Walk, comes_from, covers};
use super::records::Verdict;
use super::scope::TAG;
use crate::formats::opening::{Network, Opening};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ruleset {
    pub(crate) tables: Vec<Table>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// "ip", "ip6", "inet" …
    pub(crate) family: String,
    pub(crate) name: String,
    pub(crate) chains: Vec<Chain>,
    /// Name and elements of named sets.
    pub(crate) sets: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: String,
    /// "input", "forward" … for a base chain.
    pub(crate) hook: Option<String>,
    /// "accept" or "drop".
    pub(crate) policy: String,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) text: String,
    pub(crate) handle: Option<u64>,
    pub(crate) comment: Option<String>,
}

/// A new TCP connection from another host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) port: u16,
    /// The one it comes in by, when it is known.
    pub(crate) interface: Option<&'a str>,
    /// Where it comes from; `None`: from anywhere.
    pub(crate) from: Option<Network>,
    /// Openings of ours beside this very one do not count.
    pub(crate) alone: bool,
}

impl<'a> Packet<'a> {
    pub(crate) fn of(asked: &Asked, interface: Option<&'a str>) -> Packet<'a> {
        let Opening { port, from } = asked.opening;
        Packet { port, interface, from, alone: asked.alone }
    }

    fn asked(&self) -> Asked {
        Asked { opening: Opening { port: self.port, from: self.from }, alone: self.alone }
    }
}

impl Table {
    /// iptables keeps its rules in nftables under its own names.
    pub(crate) fn of_iptables(&self) -> bool {
        matches!(self.family.as_str(), "ip" | "ip6")
            && self
                .chains
                .iter()
                .any(|chain| matches!(chain.name.as_str(), "INPUT" | "FORWARD" | "PREROUTING"))
    }
}

impl Rule {
    fn is_ours(&self) -> bool {
        self.comment.as_deref() == Some(TAG)
    }

    pub(crate) fn opening_of_ours(&self) -> Option<Opening> {
        let words: Vec<&str> = self.text.split(' ').filter(|_| self.is_ours()).collect();
        let (from, rest) = match words.as_slice() {
            ["ip" | "ip6", "saddr", from, rest @ ..] => (Some(from.parse().ok()?), rest),
            all => (None, all),
        };
        let ["tcp", "dport", port, "accept", ..] = rest else { return None };
        Some(Opening { port: port.parse().ok()?, from })
    }
}

impl Chain {
    /// As nft names it: `inet filter input`.
    pub(crate) fn place(&self, table: &Table) -> String {
        format!("{} {} {}", table.family, table.name, self.name)
    }
}

impl Ruleset {
    /// Base chains on the input hook that an IPv4 or IPv6 packet passes; those of one family, where
    /// the source tells which.
    pub(crate) fn input_chains(&self, from: Option<Network>) -> impl Iterator<Item = (&Table, &Chain)> {
        let passes = move |table: &&Table| match table.family.as_str() {
            "inet" => true,
            "ip" => from.is_none_or(|from| from.is_ipv4()),
            "ip6" => from.is_none_or(|from| !from.is_ipv4()),
            _ => false,
        };
        self.tables
            .iter()
            .filter(passes)
            .flat_map(|table| table.chains.iter().map(move |chain| (table, chain)))
            .filter(|(_, chain)| chain.hook.as_deref() == Some("input"))
    }

    /// Can this chain refuse anything? Jumps count: the chains they lead to are in the same table.
    pub(crate) fn filters(&self, chain: &Chain) -> bool {
        let refuses = |rule: &Rule| {
            let words = tokens(&rule.text);
            words.iter().any(|word| {
                matches!(word.as_str(), "drop" | "reject" | "jump" | "goto") || word.contains(": drop")
            })
        };
        chain.policy == "drop" || chain.rules.iter().any(refuses)
    }

    pub(crate) fn verdict(&self, table: &Table, chain: &Chain, packet: Packet<'_>) -> Verdict {
        let mut limited = None;
        let by = match self.walk(table, chain, packet, 0, &mut limited) {
            Walk::Accepted(by) => return Verdict::Open { by },
            Walk::Dropped(rule) => rule,
            Walk::FellThrough if chain.policy == "drop" => {
                format!("nft {}: policy drop, and no rule accepts it", chain.place(table))
            }
            Walk::FellThrough => return Verdict::open(),
        };
        match limited {
            Some(by) => Verdict::Limited { by },
            None => Verdict::Blocked { by },
        }
    }

    /// Is it a rule about this very port that refuses, and not a general one?
    pub(crate) fn forbids_by_name(&self, table: &Table, chain: &Chain, packet: Packet<'_>) -> bool {
        let mut unused = None;
        match self.walk(table, chain, packet, 0, &mut unused) {
            Walk::Dropped(rule) => rule.contains("dport"),
            Walk::Accepted(_) | Walk::FellThrough => false,
        }
    }

    fn walk(
        &self,
        table: &Table,
        chain: &Chain,
        packet: Packet<'_>,
        depth: usize,
        limited: &mut Option<String>,
    ) -> Walk {
        for rule in &chain.rules {
            if rule.opening_of_ours().is_some_and(|ours| packet.asked().ignores(&ours)) {
                continue;
            }
            let seen = Seen::of(&tokens(&rule.text), table, packet);
            let shown = || {
                let handle = rule.handle.map(|handle| format!(" (handle {handle})")).unwrap_or_default();
                format!("nft {}: {}{handle}", chain.place(table), rule.text)
            };
            let verdict = match &seen.verdict {
                Word::Jump { to, back } if depth < JUMPS_MAX => {
                    let target = table.chains.iter().find(|chain| chain.name == *to);
                    let walked = target.map(|chain| self.walk(table, chain, packet, depth + 1, limited));
                    match walked.unwrap_or(Walk::FellThrough) {
                        Walk::FellThrough if !back => Word::Return,
                        Walk::FellThrough => Word::None,
                        Walk::Accepted(by) if seen.matches == Matches::Yes => return Walk::Accepted(by),
                        Walk::Accepted(_) => Word::Accept,
                        Walk::Dropped(by) if seen.matches == Matches::Yes => return Walk::Dropped(by),
                        Walk::Dropped(_) => Word::Drop,
                    }
                }
                other => other.clone(),
            };
            match (verdict, seen.matches) {
                (_, Matches::No) => {}
                (Word::Accept, Matches::Yes) => return Walk::Accepted(shown()),
                (Word::Drop, Matches::Yes) => return Walk::Dropped(shown()),
                (Word::Return, Matches::Yes) => return Walk::FellThrough,
                // Ours let in few where few were asked for: that is nobody's limit.
                (Word::Accept, Matches::Perhaps) if seen.names_port && !rule.is_ours() => {
                    limited.get_or_insert_with(shown);
                }
                _ => {}
            }
        }
        Walk::FellThrough
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Accept,
    Drop,
    Return,
    Jump { to: String, back: bool },
    None,
}

/// One rule against one packet.
struct Seen {
    matches: Matches,
    verdict: Word,
    /// The rule names a port, and this packet's is one of them.
    names_port: bool,
}

impl Seen {
    fn of(words: &[String], table: &Table, packet: Packet<'_>) -> Seen {
        let mut seen = Seen { matches: Matches::Yes, verdict: Word::None, names_port: false };
        let mut rest = words;
        while let Some((word, after)) = rest.split_first() {
            rest = after;
            let next = |at: usize| after.get(at).map(String::as_str);
            match (word.as_str(), next(0)) {
                ("tcp" | "th", Some("dport")) => rest = seen.port(&after[1..], table, packet),
                ("udp" | "icmp" | "icmpv6" | "sctp" | "dccp" | "igmp" | "esp" | "ah", _) => {
                    seen.matches = Matches::No;
                    return seen;
                }
                ("ip", Some("protocol")) | ("ip6", Some("nexthdr")) | ("meta", Some("l4proto")) => {
                    rest = seen.value(&after[1..], |value| Matches::when(matches!(value, "tcp" | "6")));
                }
                ("meta", Some("nfproto")) => {
                    let family = packet.from.map(|from| if from.is_ipv4() { "ipv4" } else { "ipv6" });
                    rest = seen.value(&after[1..], |value| match family {
                        Some(family) => Matches::when(value == family),
                        None => Matches::Perhaps,
                    });
                }
                ("ct", Some("state")) => {
                    rest = seen.value(&after[1..], |value| Matches::when(value == "new"))
                }
                ("iif" | "iifname", Some(_)) => rest = seen.interface(after, packet),
                ("meta", Some("iif" | "iifname")) => rest = seen.interface(&after[1..], packet),
                ("ip" | "ip6", Some("saddr")) => rest = seen.source(word, &after[1..], table, packet),
                ("ip" | "ip6", Some("daddr")) => rest = seen.value(&after[1..], |_| Matches::Perhaps),
                ("counter", Some("packets")) => rest = after.get(4..).unwrap_or_default(),
                ("counter", _) => {}
                ("comment", _) => rest = after.get(1..).unwrap_or_default(),
                ("log", _) => {
                    let end = after.iter().position(|word| is_verdict(word)).unwrap_or(after.len());
                    rest = &after[end..];
                }
                ("accept", _) => seen.verdict = Word::Accept,
                ("drop", _) => seen.verdict = Word::Drop,
                ("reject", _) => {
                    seen.verdict = Word::Drop;
                    rest = &[];
                }
                ("return", _) => seen.verdict = Word::Return,
                ("jump" | "goto", Some(to)) => {
                    seen.verdict = Word::Jump { to: to.to_string(), back: word == "jump" };
                    rest = &after[1..];
                }
                // Something we do not understand: it may hold or not.
                _ => seen.matches = seen.matches.min(Matches::Perhaps),
            }
        }
        seen
    }

    /// `tcp dport …`: a number, a range, a set, a named set, `!=`, or a verdict map.
    fn port<'a>(&mut self, words: &'a [String], table: &Table, packet: Packet<'_>) -> &'a [String] {
        let named = |value: &str| -> Option<String> {
            let name = value.strip_prefix('@')?;
            table.sets.iter().find(|(set, _)| set == name).map(|(_, elements)| elements.clone())
        };
        if words.first().is_some_and(|word| word == "vmap") {
            return self.verdict_map(&words[1..], |key| covers(key, packet.port));
        }
        let rest = self.value(words, |value| match named(value) {
            Some(elements) => Matches::when(covers(&elements, packet.port)),
            None if value.starts_with('@') => Matches::Perhaps,
            None => Matches::when(covers(value, packet.port)),
        });
        self.names_port = self.matches != Matches::No;
        rest
    }

    /// `ip saddr …`: an address, a network, a set, a named set, `!=`.
    fn source<'a>(
        &mut self,
        family: &str,
        words: &'a [String],
        table: &Table,
        packet: Packet<'_>,
    ) -> &'a [String] {
        if packet.from.is_some_and(|from| from.is_ipv4() != (family == "ip")) {
            // The rule is about the other family, whatever it says of the address.
            self.matches = Matches::No;
        }
        let named = |name: &str| table.sets.iter().find(|(set, _)| set == name).map(|(_, elements)| elements);
        let one = |value: &str| comes_from(value.trim(), packet.from);
        self.value(words, |value| match value.strip_prefix('@') {
            None => one(value),
            Some(name) => named(name)
                .map_or(Matches::Perhaps, |all| all.split(',').map(one).max().unwrap_or(Matches::No)),
        })
    }

    /// `[!=|==] value`, where a set or a comma list matches when one of its elements does. Other
    /// comparisons may hold or not.
    fn value<'a>(&mut self, words: &'a [String], holds: impl Fn(&str) -> Matches) -> &'a [String] {
        let (operator, words) = match words.first().map(String::as_str) {
            Some(operator @ ("!=" | "==" | "<" | ">" | "<=" | ">=" | "&" | "and")) => (operator, &words[1..]),
            Some("vmap") => return self.verdict_map(&words[1..], |key| holds(key) == Matches::Yes),
            _ => ("==", words),
        };
        let Some((value, rest)) = words.split_first() else {
            self.matches = self.matches.min(Matches::Perhaps);
            return words;
        };
        let elements = value.trim_start_matches('{').trim_end_matches('}').split(',').map(str::trim);
        let any =
            elements.filter(|element| !element.is_empty()).map(&holds).max().unwrap_or(Matches::Perhaps);
        let holds = match operator {
            "==" => any,
            "!=" => any.negate(),
            _ => Matches::Perhaps,
        };
        self.matches = self.matches.min(holds);
        rest
    }

    fn interface<'a>(&mut self, words: &'a [String], packet: Packet<'_>) -> &'a [String] {
        self.value(words, |value| {
            let value = value.trim_matches('"');
            match (value.strip_suffix('*'), packet.interface) {
                // The packet comes from another host.
                _ if value == "lo" => Matches::No,
                (Some(head), Some(interface)) => Matches::when(interface.starts_with(head)),
                (None, Some(interface)) => Matches::when(interface == value),
                (_, None) => Matches::Perhaps,
            }
        })
    }

    /// `vmap { key : verdict, … }`.
    fn verdict_map<'a>(&mut self, words: &'a [String], is_key: impl Fn(&str) -> bool) -> &'a [String] {
        let Some((map, rest)) = words.split_first() else { return words };
        if map.starts_with('@') {
            self.matches = self.matches.min(Matches::Perhaps);
            return rest;
        }
        let entries = map.trim_start_matches('{').trim_end_matches('}').split(',');
        let hit = entries.filter_map(|entry| entry.split_once(" : ")).find(|(key, _)| is_key(key.trim()));
        let verdict: Vec<&str> =
            hit.map(|(_, verdict)| verdict.split_whitespace().collect()).unwrap_or_default();
        self.verdict = match verdict.as_slice() {
            ["accept"] => Word::Accept,
            ["drop" | "reject", ..] => Word::Drop,
            ["return"] => Word::Return,
            ["jump", to] => Word::Jump { to: (*to).to_string(), back: true },
            ["goto", to] => Word::Jump { to: (*to).to_string(), back: false },
            _ => {
                self.matches = Matches::No;
                Word::None
            }
        };
        rest
    }
}

fn is_verdict(word: &str) -> bool {
    matches!(word, "accept" | "drop" | "reject" | "return" | "jump" | "goto")
}

/// Words of a rule; `{ … }` and `"…"` are one word each.
fn tokens(text: &str) -> Vec<String> {
    let (mut words, mut word, mut depth, mut quoted) = (Vec::new(), String::new(), 0usize, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c.is_whitespace() && !quoted && depth == 0 {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
