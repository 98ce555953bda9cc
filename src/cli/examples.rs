//! What the help of each verb shows beside its options: lines that can be typed as they stand. Tests parse every one.
//! Prose is one line a paragraph: the terminal breaks it.

pub(super) const PROGRAM: &str = "\
Examples:
  zkops init root@192.168.17.130 root@192.168.17.131 root@192.168.17.132 -o orders.yml
  zkops deploy orders.yml                  # three bare hosts become an ensemble
  zkops status                             # the verbs after a deploy know its inventory
  zkops repair node-3
  zkops cli -server 192.168.17.130:2181 ls /

Exit codes: 0 done or healthy, 1 failed, 2 bad usage or inventory, 3 preflight failed, 4 refused as unsafe, 5 stopped \
half-way (run again to resume), 6 locked by another operator, 7 hosts unreachable, or health unknown (status), 8 changes \
pending (plan, --dry-run) or snapshots that differ, 9 unhealthy (status) or damaged files";

pub(super) const INIT: &str = "\
Examples:
  zkops init                               # on a terminal: by questions
  zkops init root@192.168.17.130 root@192.168.17.131 root@192.168.17.132 -o orders.yml --name orders
  zkops init ops@zk1.lan:2222 ops@zk2.lan:2222 ops@zk3.lan:2222 -o orders.yml
  zkops init localhost localhost localhost -o trial.yml     # three servers on this machine

An inventory that is there is replaced only after a question, or with --force.";

pub(super) const DEPLOY: &str = "\
Examples:
  zkops deploy orders.yml
  zkops deploy orders.yml --dry-run        # show the plan, change nothing
  zkops deploy orders.yml --without node-3 # its host is down for days
  zkops deploy orders.yml --timeout 2m     # whatever is not done by then is said
  zkops deploy orders.yml --old-host-is-gone

A second run changes nothing; one that was stopped is run again.

A member whose address changed moves: its old server is stopped and disabled first. Where its old host cannot be reached, \
--old-host-is-gone says that nobody will ever start it there again, and every other host blocks the old address until \
that server was seen disabled.";

pub(super) const PLAN: &str = "\
Examples:
  zkops plan orders.yml
  zkops plan orders.yml --without node-3   # as deploy would go without it
  zkops plan orders.yml --json             # one document, for machines";

pub(super) const CHECK: &str = "\
Examples:
  zkops check orders.yml
  zkops check --timeout 20s                # of the last deployment";

pub(super) const STATUS: &str = "\
Examples:
  zkops status
  zkops status --watch                     # redrawn on a terminal, plain lines in a pipe
  zkops status -i orders.yml --json
  zkops status --nagios                    # OK/WARNING/CRITICAL/UNKNOWN and exit codes 0 to 3
  zkops status --prometheus                # for node_exporter's textfile collector

Exit codes: 0 healthy (one leader, everybody in sync, writes committed), 9 proven not to be, 7 unknown: neither is proven.

Servers are asked at their client ports from here and, where that proves nothing, by the agents on their hosts.";

pub(super) const LOGS: &str = "\
Examples:
  zkops logs --since 10m
  zkops logs node-2 --follow
  zkops logs -n 1000 | grep -i quorum

Times are this machine's: the hosts' clocks are measured against it. Exit code 7: somebody's log was not seen.";

pub(super) const START: &str = "\
Examples:
  zkops start                              # all that do not run
  zkops start node-2 node-3";

pub(super) const STOP: &str = "\
Examples:
  zkops stop node-3                        # refused where the others have no quorum without it
  zkops stop --all                         # the whole ensemble, unasked";

pub(super) const OK_TO_STOP: &str = "\
Examples:
  zkops ok-to-stop node-2 && ssh node-2 reboot
  zkops ok-to-stop node-4 node-5           # both at once

Exit codes: 0 the others serve without, 4 they would not or it is not proven, 6 somebody is at work on the hosts, \
7 hosts unreachable. It is an answer for this moment and holds nothing: whoever reboots hosts does so one at a time.";

pub(super) const RESTART: &str = "\
Examples:
  zkops restart                            # all, one at a time, the leader last
  zkops restart node-2 -i orders.yml
  zkops restart --without node-3,node-5    # where the others are a quorum
  zkops restart --break-lock               # the run that holds the lock has died";

pub(super) const REPAIR: &str = "\
Repair looks for the cause first and does what that cause needs: a server that ended is started, a port opened, myid, \
zoo.cfg or service written again. Damaged or lost data stays where it is: the server takes the data of the others by \
itself and keeps the damage. Data is moved aside (renamed to zkops.old-*, never deleted at once) only when you agree, \
and only while the others are proven to hold all of it.

Examples:
  zkops repair node-3                          # shows what it found and will do, and asks
  zkops repair node-3 --yes                    # that much without asking, and nothing beyond it
  zkops repair node-3 --yes --move-data-aside  # damaged data goes aside if a start did not heal it
  zkops repair node-3 --foreign-data billing   # what is there is data of billing: it goes aside
  zkops repair node-3 --purge-old              # remove what earlier repairs moved aside";

pub(super) const DESTROY: &str = "\
Examples:
  zkops destroy                            # asks for the cluster's name; the data stays
  zkops destroy --yes --without node-3     # what is there stays there, and is said
  zkops destroy --data --cluster orders    # the data too: its name is wanted, --yes is not enough";

pub(super) const SSH_SETUP: &str = "\
Examples:
  zkops ssh-setup orders.yml
  zkops ssh-setup -i orders.yml --accept-new-host-keys";

/// Where arguments are not ours, our options are none.
pub(super) const APACHE_TEMPLATE: &str = "{about-with-newline}\nUsage: {usage}\n{after-help}";
pub(super) const SERVER_USAGE: &str = "zkops server <zoo.cfg> [-Dkey=value …]";
pub(super) const SERVER_ABOUT: &str = "\
Run a coordination server in the foreground, from an ordinary zoo.cfg.

-Dkey=value sets what is a Java system property of Apache ZooKeeper, as its start script takes it.
RUST_LOG sets what is logged (info; debug; zkops_engine::server=debug).

It ends with 0 on TERM and INT. Exit codes: 1 it stopped by itself, 2 bad arguments or a zoo.cfg
that cannot be used, 3 damaged or foreign data.";
pub(super) const SERVER: &str = "\
Examples:
  zkops server zoo.cfg
  zkops server zoo.cfg -Dzookeeper.snapCount=50000";

pub(super) const CLI_USAGE: &str =
    "zkops cli [-server host:port[,…][/chroot]] [-timeout MS] [-r] [-waitforconnection] [command …]";
pub(super) const CLI_ABOUT: &str = "\
The shell: what zkCli.sh is. With a command it runs that one and ends with its exit code;
without, it reads commands.

  -server host:port[,…][/chroot]   the servers (localhost:2181)
  -timeout MS                      the session's timeout (30000)
  -r                               a server without a quorum will do, to read from
  -waitforconnection               wait for the session before the first command

Type help there for the commands. Exit codes: 0, 1 failed or no server reached, 2 bad options,
127 no such command.";
pub(super) const CLI: &str = "\
Examples:
  zkops cli -server 127.0.0.1:2181
  zkops cli -server 192.168.17.130:2181,192.168.17.131:2181/app get -s /config
  zkops cli -server 127.0.0.1:2181 create /greeting hello";

pub(super) const SCHEMA: &str = "\
Examples:
  zkops schema                             # into a file, which an inventory's first line names:
                                           # yaml-language-server: $schema=zkops.schema.json";

pub(super) const TXNLOG: &str = "\
Examples:
  zkops txnlog who /var/lib/zookeeper /app/lock   # who deleted it, when, from which session
  zkops txnlog zoo.cfg --since 2h                 # what happened lately, one line a transaction
  zkops txnlog /data --path /app --children --op delete
  zkops txnlog /data --session 0x1000012345 --data
  zkops txnlog log.100000001 --from-zxid 0x100000a00 --to-zxid 0x100000aff --json
  zkops txnlog check /data                        # exit 9 when anything is damaged
  zkops txnlog chop log.100000001 --to-zxid 0x100000aff --out /tmp/log.100000001

PATH is a log file, a version-2 directory, a dataDir or dataLogDir, or a zoo.cfg that names them; of a running server, too: \
everything is opened for reading alone. Times are UTC.

Exit codes: 0 done, 1 failed, 2 bad usage or no such files, 9 what was to be read is damaged, so that the answer may \
not be whole (all that can be read is in it)";

pub(super) const SNAPSHOT: &str = "\
Examples:
  zkops snapshot /var/lib/zookeeper --path /app --stat --data
  zkops snapshot zoo.cfg --sizes                  # the 20 largest subtrees; --sizes=100 for more
  zkops snapshot snapshot.100000a00 --session 0x1000012345
  zkops snapshot search /data needle --data
  zkops snapshot check /data                      # exit 9 when one is damaged
  zkops snapshot compare /backup/monday /data     # exit 8 when they differ

PATH is a snapshot (plain, .gz, .snappy), a version-2 directory, a dataDir, or a zoo.cfg that names it; of a running \
server, too: everything is opened for reading alone.

Exit codes: 0 done, or both are the same, 1 failed, 2 bad usage or no such files, 8 the two differ (compare), 9 damaged";

pub(super) const COMPLETIONS: &str = "\
Examples:
  zkops completions bash                   # into ~/.local/share/bash-completion/completions/zkops
  zkops completions zsh                    # into a directory of $fpath, as _zkops
  zkops completions fish                   # into ~/.config/fish/completions/zkops.fish";

pub(super) const MAN: &str = "\
Examples:
  zkops man                                # read it with: zkops man | man -l -
  zkops man --out /usr/local/share/man/man1";

pub(super) const VERSION: &str = "\
Examples:
  zkops version
  zkops version --json";
