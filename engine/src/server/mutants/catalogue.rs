//! The faults, each with what it breaks, what it stands for (a rule of quorum-protocol §6.1, a ZOOKEEPER- number of
//! §6.2, a TRAP), and the schedule that shows it. Who shows it, and how soon, is in docs/testing.md.

/// Defines the enum, its names and its list from one table, so that none can be forgotten.
macro_rules! catalogue {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// One fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Mutant {
            /// All of them, by phase of the protocol.
            pub const ALL: [Mutant; [$($name),*].len()] = [$(Mutant::$variant),*];

            /// Their names, in the same order.
            pub const NAMES: [&str; Mutant::ALL.len()] = [$($name),*];
        }
    };
}

impl Mutant {
    /// The name as it is typed.
    pub fn name(self) -> &'static str {
        Mutant::NAMES[self as usize]
    }

    /// The fault of that name.
    pub fn parse(name: &str) -> Option<Mutant> {
        Mutant::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}

catalogue! {
    // Election.
    /// Votes are ordered without the zxid (ZOOKEEPER-335). Discovery refuses the short history again and again:
    /// no leader, once the highest id is behind and the leader of the others has gone.
    VoteIgnoresZxid = "vote-ignores-zxid",
    /// Votes are ordered by zxid alone (ZOOKEEPER-1081, 1082). A server with a tail of an older epoch beats those
    /// that have entered a newer one without a transaction; they refuse it for ever.
    VoteIgnoresEpoch = "vote-ignores-epoch",
    /// A vote of a later round is dropped instead of adopted (§1.5). Servers that look in three different rounds
    /// never hear each other.
    HigherRoundIgnored = "higher-round-ignored",
    /// A server that leads or follows does not answer one that looks (I11). Who lost its role but not its election
    /// connections stays outside.
    LookingVoterUnanswered = "looking-voter-unanswered",
    /// A follower's vote keeps the epoch of the election (ZOOKEEPER-1732, 1805). Leader and followers then name
    /// different epochs to a server that comes back: it never sees a quorum.
    VoteKeepsOldEpoch = "vote-keeps-old-epoch",
    /// The log's tail is not applied on the way to an election (ZOOKEEPER-2845). A follower that held proposals
    /// without their commit wins: its tree lacks them, its log and the others have them.
    TailNotReplayed = "tail-not-replayed",

    // Discovery and epochs.
    /// The highest id leads: histories are compared neither in the election nor by its electors (§2.3 step 4).
    /// Acknowledged transactions that the winner lacks are cut off.
    HistoryNotCompared = "history-not-compared",
    /// ACKEPOCH leaves before acceptedEpoch is durable (I1, ZOOKEEPER-1291). A crash in between, and the promise is
    /// forgotten: the server may go back to the older leader.
    PromiseBeforeFsync = "promise-before-fsync",
    /// A learner follows a leader of an older epoch than it has promised, and a leader takes such a learner (§2.3).
    /// Two candidates one after the other, the first one comes back: an older epoch is acknowledged.
    StaleEpochAccepted = "stale-epoch-accepted",
    /// A leader stays although a voter has promised a later epoch (§2.3 notes): that voter can never follow it.
    /// A candidate fails after its epoch was promised, the others agree on a lower one.
    OutbidLeaderStays = "outbid-leader-stays",
    /// NEWLEADER is acknowledged before the synced transactions are durable (I3, ZOOKEEPER-3023, 4646). The leader
    /// leads, the follower crashes and has nothing of it.
    NewleaderAckedBeforeSync = "newleader-acked-before-sync",
    /// currentEpoch is written before the synced transactions are durable (I2, ZOOKEEPER-4643, 4785). A crash
    /// between the two leaves a short history under a new epoch, which wins the next election.
    CurrentEpochBeforeSync = "current-epoch-before-sync",
    /// The leader serves before a quorum has its history (§2.6). Its uncommitted tail is read and watched; it dies,
    /// the others never had it.
    LeadsBeforeQuorumSynced = "leads-before-quorum-synced",
    /// A leader whose counter is used up stays (ZOOKEEPER-1277): writes wait for ever.
    ExhaustedEpochKept = "exhausted-epoch-kept",

    // Sync.
    /// A learner behind the log in memory gets a DIFF, and nobody looks for holes (ZOOKEEPER-2418, 2846, 4925):
    /// a follower returns after more transactions than are kept.
    DiffAcrossHole = "diff-across-hole",
    /// A learner whose last transaction the leader never had gets a DIFF. An old leader returns with proposals that
    /// nobody else logged, into a new epoch that has transactions.
    DiffKeepsForeignTail = "diff-keeps-foreign-tail",
    /// TRUNC names one transaction too many (ZOOKEEPER-1154): one of the old leader's own survives.
    TruncKeepsOneMore = "trunc-keeps-one-more",
    /// A snapshot for a learner is named after the last proposal, not after what the tree holds: what was under way
    /// when the learner came is never applied by it.
    SnapshotNamedAhead = "snapshot-named-ahead",
    /// What was committed between the sync stream and UPTODATE is not committed to the learner (ZOOKEEPER-4394).
    /// A learner joins under load.
    CommitLostBehindGate = "commit-lost-behind-gate",
    /// TRUNC cuts the log and leaves the tree (ZOOKEEPER-1642's kin): the truncated transactions stay visible.
    TreeKeptAfterTrunc = "tree-kept-after-trunc",

    // Broadcast and commit.
    /// A follower acknowledges what it has handed to the log (I3, ZOOKEEPER-2678). It loses power, then the leader.
    AckBeforeFsync = "ack-before-fsync",
    /// The leader counts itself before its own fsync (I3): one follower and a leader's memory commit.
    LeaderCountsItselfBeforeFsync = "leader-counts-itself-before-fsync",
    /// Half of the voters, rounded down, are a quorum (§1.3): two leaders, one on each side of a split.
    QuorumOffByOne = "quorum-off-by-one",
    /// A transaction is applied and answered once it is durable here, committed or not. The leader is cut off and
    /// goes on answering; the others decide otherwise.
    DeliveredBeforeCommit = "delivered-before-commit",
    /// A leader that still hears an observer takes itself for followed (ZOOKEEPER-2959). Cut off from the voters
    /// it never steps down.
    ObserversKeepTheLeader = "observers-keep-the-leader",
    /// A serving leader does not ask whether a quorum follows (§2.8). It stays leader through a partition, and after.
    UnfollowedLeaderStays = "unfollowed-leader-stays",
    /// One COMMIT for everything that became committed together (§2.7): the learners see a gap.
    CommitNamesOnlyTheLast = "commit-names-only-the-last",
    /// The answer to SYNC does not wait for what was committed before it (§2.9). A follower with a slow disk tells a
    /// client that it is up to date.
    SyncAnsweredBeforeDelivery = "sync-answered-before-delivery",

    // Durability and recovery.
    /// The log is written and not synced (Law 3): a power cut loses what was acknowledged.
    LogNotFsynced = "log-not-fsynced",
    /// The last group of a batch is reported durable before it is written: any crash loses it.
    BatchReportedBeforeFlush = "batch-reported-before-flush",
    /// A new log file's name is not synced (TRAP D5): after a power cut the file is not there.
    LogNameNotDurable = "log-name-not-durable",
    /// The rename of an epoch file is not synced (I1, ZOOKEEPER-2307): a power cut takes a promise back.
    EpochFileNotDurable = "epoch-file-not-durable",
    /// A failed write of the log is ignored (ZOOKEEPER-2247, 3701): the server acknowledges what it could not write.
    WriteErrorIgnored = "write-error-ignored",
    /// A log that ends inside an entry counts as damaged (ZOOKEEPER-2332): a server does not start after a torn write.
    TornEndRefused = "torn-end-refused",
    /// Replay believes an entry whose checksum is wrong (disk-format §2.4): a flipped bit becomes data.
    ChecksumIgnored = "checksum-ignored",
    /// Replay begins with the first file named after the snapshot (disk-format §2.4): what stands between the
    /// snapshot and the end of the file before is lost at the next start.
    ReplaySkipsSpanningLog = "replay-skips-spanning-log",
    /// Replay begins where the fuzzy snapshot ended, not where it began (TRAP D6). Writes go on while a snapshot is
    /// being written, and the server restarts.
    ReplayFromSnapshotEnd = "replay-from-snapshot-end",
    /// A purge deletes the log file that the oldest kept snapshot begins in (TRAP D12): no way from it to the rest.
    PurgeDropsSpanningLog = "purge-drops-spanning-log",
    /// Truncation also cuts the transaction that it should end with (ZOOKEEPER-1156, 1489), on disk only: the next
    /// start lacks it.
    TruncateCutsOneMore = "truncate-cuts-one-more",
    /// Truncation leaves log files that lie wholly beyond the cut: the next start has the old leader's tail again.
    TruncateLeavesNewerLog = "truncate-leaves-newer-log",
    /// A snapshot gets its name before it is synced (ZOOKEEPER-2872). A learner installs one, the old data is set
    /// aside, power fails.
    SnapshotNamedBeforeFsync = "snapshot-named-before-fsync",
    /// A snapshot begun before a truncation is published after it (TRAP Q22): the truncated transactions come back
    /// with the next start.
    TaintedSnapshotPublished = "tainted-snapshot-published",

    // Prepare and apply.
    /// A failed multi is not taken back from the leader's view of the future (ZOOKEEPER-1624): what is asked next is
    /// judged by nodes that will never be.
    FailedMultiKeptInView = "failed-multi-kept-in-view",
    /// What stands before the failed op of a multi is applied (client-protocol §2.7).
    FailedMultiApplied = "failed-multi-applied",
    /// Sequence numbers are the number of children: used again after a delete (client-protocol §2.4).
    SequenceFromChildCount = "sequence-from-child-count",
    /// Requests are judged by what is applied, not by what is proposed (§3.1): of two conditional writes in flight
    /// both succeed.
    PreparedAgainstApplied = "prepared-against-applied",
    /// A loaded snapshot's ephemerals are not their sessions' (ZOOKEEPER-3144): they outlive them.
    EphemeralsLostOnLoad = "ephemerals-lost-on-load",
    /// A loaded snapshot's sessions are forgotten: a leader that started from it calls living clients expired, and
    /// never expires them.
    SessionsLostOnLoad = "sessions-lost-on-load",
    /// closeSession removes the ephemerals and keeps the session (ZOOKEEPER-1367): the next leader resumes it.
    ClosedSessionStaysKnown = "closed-session-stays-known",

    // Strangers at the ports between servers.
    /// Whoever comes to the quorum port is let in, listed or not: it is told the epoch, and could learn everything.
    StrangerAdmitted = "stranger-admitted",
    /// A second FOLLOWERINFO of a server whose link lives takes that link's place: anybody cuts a follower off.
    ClaimReplacesLivingLink = "claim-replaces-living-link",
    /// What a parked connection acknowledges counts for the server that it says it is.
    ParkedClaimSpeaks = "parked-claim-speaks",
    /// A parked connection's epoch makes the leader yield: anybody ends a reign, as often as he likes.
    ParkedClaimOutbids = "parked-claim-outbids",
    /// Any number of connections wait under one id.
    ParkedClaimsWithoutEnd = "parked-claims-without-end",
    /// Any number of callers may say nothing.
    SilentCallersWithoutEnd = "silent-callers-without-end",
    /// A caller may say nothing for ever.
    SilentCallerStays = "silent-caller-stays",
    /// An observer's promise raises the epoch as a voter's does: the leader yields to who has no vote.
    ObserverRaisesEpoch = "observer-raises-epoch",
    /// The last epochs there are are believed: one claim, and nobody leads again.
    ImpossibleEpochBelieved = "impossible-epoch-believed",
    /// A leader yields to every forged claim for a voter that is down.
    YieldsWithoutPause = "yields-without-pause",
    /// A round near the last that can be read is adopted: nobody reads the one behind it.
    ImpossibleRoundBelieved = "impossible-round-believed",
    /// A server is dialled wherever its HELLO says that it is.
    HelloAddressDialled = "hello-address-dialled",
    /// Any number of ids that no server line lists keep a connection at the election port.
    ElectionStrangersWithoutEnd = "election-strangers-without-end",

    // Other lists of voters (quorum-protocol §2.11).
    /// A reconfiguration is logged and acknowledged like any other transaction: the new voters count on it, and this
    /// server goes by the old list.
    ReconfigurationLogged = "reconfiguration-logged",
    /// A snapshot of an ensemble with other voters is installed.
    ForeignSnapshotInstalled = "foreign-snapshot-installed",
    /// A leader that names other voters in NEWLEADER is acknowledged.
    ForeignLeaderAcknowledged = "foreign-leader-acknowledged",
    /// The votes of servers that go by another list are counted.
    ForeignVotesCounted = "foreign-votes-counted",

    // Greedy clients.
    /// Who does not read is answered all the same.
    UnreadAnsweredOn = "unread-answered-on",
    /// One batch makes answers for one client without a bound in bytes.
    BatchAnswersWithoutEnd = "batch-answers-without-end",
    /// One client's requests are all answered in one batch: everybody else waits.
    TurnWithoutEnd = "turn-without-end",
    /// Any number of frames wait for a session to be made.
    EarlyFramesWithoutEnd = "early-frames-without-end",
    /// A connection proves to be as many people as it likes.
    CrowdAccepted = "crowd-accepted",
    /// A multiRead makes one answer of any length.
    MultiReadWithoutEnd = "multi-read-without-end",
    /// A connection that is closed is remembered for ever, with all that it asked.
    GoneClientRemembered = "gone-client-remembered",
    /// Requests of connections that are closed are counted as outstanding for ever.
    GoneRequestsCounted = "gone-requests-counted",

    // Sessions, watches, pipeline.
    /// A leader expires sessions whose clients ping a follower (client-protocol §6.3).
    FollowerTouchesIgnored = "follower-touches-ignored",
    /// A session whose end is proposed may still write (client-protocol §2.2 check 13): an ephemeral for ever.
    /// A client speaks just as its session expires.
    ClosingSessionWrites = "closing-session-writes",
    /// A session's write through the server that it left is accepted (client-protocol §1.5): a request of the old
    /// connection overtakes those of the new one.
    MovedSessionWrites = "moved-session-writes",
    /// A client that has seen more than this server knows is taken (client-protocol §1.3): it reads the past.
    ClientAheadTaken = "client-ahead-taken",
    /// A server that loses its role keeps its clients (ZOOKEEPER-3598, 4541): they read the uncommitted tail, and
    /// their writes are never answered.
    ClientsKeptWhileLooking = "clients-kept-while-looking",
    /// A read is answered before the write that its client sent first (client-protocol §1.8).
    ReadOvertakesWrite = "read-overtakes-write",
    /// A follower answers sync by itself (§2.9): the client reads less than it was promised.
    SyncAnsweredLocally = "sync-answered-locally",
    /// A leader answers sync without asking a quorum whether it still leads: after a pause longer than an election
    /// it speaks of the past. What the reference does (§2.9).
    SyncByDeposedLeader = "sync-by-deposed-leader",
    /// The leader's clients are told of a change when it is proposed (client-protocol §5.2).
    WatchBeforeCommit = "watch-before-commit",
    /// A write is answered before the watches that it fires (client-protocol §1.8 row 3).
    ReplyBeforeWatch = "reply-before-watch",
    /// A one-shot watch stays after it has fired (client-protocol §5.1).
    WatchNotUsedUp = "watch-not-used-up",
    /// A persistent watch is used up by the first change (client-protocol §5.1).
    PersistentWatchUsedUp = "persistent-watch-used-up",
    /// A change missed during a reconnect is not told (client-protocol §5.5).
    MissedChangeUntold = "missed-change-untold",
    /// Ephemerals that go with their session fire no watch (client-protocol §5.2): nobody takes over a lock.
    SessionEndFiresNoWatch = "session-end-fires-no-watch",
}
