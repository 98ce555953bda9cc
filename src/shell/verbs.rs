//! The table of commands: names, options, usage texts (operations §11.3, §11.4).

/// What a line can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    AddAuth,
    AddWatch,
    Close,
    Config,
    Connect,
    Create,
    Delete,
    DeleteAll,
    DelQuota,
    Get,
    GetAcl,
    GetAllChildrenNumber,
    GetEphemerals,
    Help,
    History,
    ListQuota,
    Ls,
    Ls2,
    PrintWatches,
    Quit,
    Redo,
    RemoveWatches,
    Rmr,
    Set,
    SetAcl,
    SetQuota,
    Stat,
    Sync,
    Version,
    WhoAmI,
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Grammar {
    pub(super) verb: Verb,
    pub(super) name: &'static str,
    /// What follows the name in the usage.
    pub(super) usage: &'static str,
    /// Letters of options without a value.
    pub(super) flags: &'static str,
    /// Letters of options with one.
    pub(super) valued: &'static str,
    pub(super) operands_min: usize,
    /// The command existed in 3.4, so it has an old form.
    pub(super) in_3_4: bool,
    /// Options that 3.4 had: they leave the old form alone.
    pub(super) letters_3_4: &'static str,
    /// Runs without a server.
    pub(super) local: bool,
}

/// ASCII order of names, as the usage prints them.
pub(super) const TABLE: &[Grammar] = &[
    Grammar {
        verb: Verb::AddWatch,
        name: "addWatch",
        usage: "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE",
        valued: "m",
        operands_min: 1,
        ..PLAIN
    },
    Grammar { verb: Verb::AddAuth, name: "addauth", usage: "scheme auth", operands_min: 1, ..PLAIN },
    Grammar { verb: Verb::Close, name: "close", ..PLAIN },
    Grammar { verb: Verb::Config, name: "config", usage: "[-c] [-w] [-s]", flags: "cws", ..PLAIN },
    Grammar { verb: Verb::Connect, name: "connect", usage: "host:port", local: true, ..PLAIN },
    Grammar {
        verb: Verb::Create,
        name: "create",
        usage: "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
        flags: "sec",
        valued: "t",
        operands_min: 1,
        in_3_4: true,
        letters_3_4: "se",
        ..PLAIN
    },
    Grammar {
        verb: Verb::Delete,
        name: "delete",
        usage: "[-v version] path",
        valued: "v",
        operands_min: 1,
        in_3_4: true,
        ..PLAIN
    },
    Grammar {
        verb: Verb::DeleteAll,
        name: "deleteall",
        usage: "path [-b batch size]",
        valued: "b",
        operands_min: 1,
        ..PLAIN
    },
    Grammar {
        verb: Verb::DelQuota,
        name: "delquota",
        usage: "[-n|-b|-N|-B] path",
        flags: "nbNB",
        operands_min: 1,
        ..PLAIN
    },
    Grammar { verb: Verb::Quit, name: "exit", local: true, ..PLAIN },
    Grammar {
        verb: Verb::Get,
        name: "get",
        usage: "[-s] [-w] [-b] [-x] path",
        flags: "swbx",
        operands_min: 1,
        in_3_4: true,
        ..PLAIN
    },
    Grammar {
        verb: Verb::GetAcl,
        name: "getAcl",
        usage: "[-s] path",
        flags: "s",
        operands_min: 1,
        in_3_4: true,
        ..PLAIN
    },
    Grammar {
        verb: Verb::GetAllChildrenNumber,
        name: "getAllChildrenNumber",
        usage: "path",
        operands_min: 1,
        ..PLAIN
    },
    Grammar { verb: Verb::GetEphemerals, name: "getEphemerals", usage: "path", ..PLAIN },
    Grammar { verb: Verb::Help, name: "help", usage: "[command]", local: true, ..PLAIN },
    Grammar { verb: Verb::History, name: "history", local: true, ..PLAIN },
    Grammar { verb: Verb::ListQuota, name: "listquota", usage: "path", operands_min: 1, ..PLAIN },
    Grammar {
        verb: Verb::Ls,
        name: "ls",
        usage: "[-s] [-w] [-R] path",
        flags: "swR?",
        operands_min: 1,
        in_3_4: true,
        ..PLAIN
    },
    Grammar { verb: Verb::Ls2, name: "ls2", usage: "path [watch]", operands_min: 1, in_3_4: true, ..PLAIN },
    Grammar { verb: Verb::PrintWatches, name: "printwatches", usage: "on|off", local: true, ..PLAIN },
    Grammar { verb: Verb::Quit, name: "quit", local: true, ..PLAIN },
    Grammar { verb: Verb::Redo, name: "redo", usage: "cmdno", operands_min: 1, local: true, ..PLAIN },
    Grammar {
        verb: Verb::RemoveWatches,
        name: "removewatches",
        usage: "path [-c|-d|-p|-r|-a] [-l]",
        flags: "cdpral",
        operands_min: 1,
        ..PLAIN
    },
    Grammar { verb: Verb::Rmr, name: "rmr", usage: "path", operands_min: 1, in_3_4: true, ..PLAIN },
    Grammar {
        verb: Verb::Set,
        name: "set",
        usage: "path data [-s] [-v version] [-b]",
        flags: "sb",
        valued: "v",
        operands_min: 2,
        in_3_4: true,
        ..PLAIN
    },
    Grammar {
        verb: Verb::SetAcl,
        name: "setAcl",
        usage: "[-s] [-v version] [-R] path acl",
        flags: "sR",
        valued: "v",
        operands_min: 2,
        in_3_4: true,
        ..PLAIN
    },
    Grammar {
        verb: Verb::SetQuota,
        name: "setquota",
        usage: "-n|-b|-N|-B val path",
        valued: "nbNB",
        operands_min: 1,
        ..PLAIN
    },
    Grammar {
        verb: Verb::Stat,
        name: "stat",
        usage: "[-w] path",
        flags: "w",
        operands_min: 1,
        in_3_4: true,
        ..PLAIN
    },
    Grammar { verb: Verb::Sync, name: "sync", usage: "path", operands_min: 1, in_3_4: true, ..PLAIN },
    Grammar { verb: Verb::Version, name: "version", local: true, ..PLAIN },
    Grammar { verb: Verb::WhoAmI, name: "whoami", ..PLAIN },
];

impl Verb {
    pub(super) fn named(name: &str) -> Option<Verb> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.verb)
    }

    pub(super) fn grammar(self) -> &'static Grammar {
        TABLE.iter().find(|row| row.verb == self).expect("a test holds that every verb has a row")
    }
}

impl Grammar {
    /// The usage line; `get` and `set` explain their options too (§11.4).
    pub(super) fn usage_lines(&self) -> String {
        let explained = match self.verb {
            Verb::Get => {
                "\n -b   Output data in base64 format\n -s   Print znode stats additionally\n -w   Watch for changes on the znode\n -x   Output data in hexdump format\n"
            }
            Verb::Set => {
                "\n -b         Supply data in base64 format\n -s         Print znode stats additionally\n -v <arg>   Set with an expected version\n"
            }
            _ => "",
        };
        format!("{} {}{explained}", self.name, self.usage)
    }
}

/// The whole usage, one command a line.
pub(super) fn usage() -> String {
    let mut text = "ZooKeeper -server host:port cmd args".to_owned();
    for row in TABLE {
        text.push_str(&format!("\n\t{} {}", row.name, row.usage));
    }
    text
}

const PLAIN: Grammar = Grammar {
    verb: Verb::Help,
    name: "",
    usage: "",
    flags: "",
    valued: "",
    operands_min: 0,
    in_3_4: false,
    letters_3_4: "",
    local: false,
};
