//! The table of repair: what keeps a member from taking part, and what cures it. Each cause says how it is proven; what
//! proves it stands in `diagnosis`, what is planned for it in `repair`. Data is never moved because of a row here:
//! that takes a start that was tried and watched, or the name of the cluster that the data belongs to.

/// The closed list of causes, the most explanatory first: where several stand, the first decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// No way to the host itself: the dialling failed, or nobody asked it.
    HostUnreachable,
    /// The host answers, and has no zkops: its directory was looked at.
    NotInstalled,
    /// The binary that is installed there does not answer as ours does.
    BinaryUnfit,
    /// The host answered, and could not look at what a verdict needs: it says what and why.
    Unreadable,
    /// The file system of a directory was asked and has less free than a log grows by.
    DiskFull,
    /// Another process listens on one of the member's ports: the kernel's table of sockets, with its pid.
    PortTaken,
    /// The other hosts block its address by a fence of zkops, and list it there still: a move was begun.
    HalfMoved,
    /// Its server runs, and says that its directory is no longer where it opened it.
    DataMoved,
    /// The marker in the data names another cluster, another uuid or another member.
    ForeignData,
    /// `myid` names another member, and no marker says that the data is this one's.
    MyidWrong,
    /// The installed zoo.cfg is gone, or the server's own parser refuses it.
    ConfigBroken,
    /// The firewall of its host closes one of its ports by a rule.
    PortBlocked,
    /// Connections of other members to its ports are lost, and no rule on its host says why: a person opens the way.
    PathBlocked,
    /// A firewall of another member's host closes what this member needs there, by a rule, or connections are lost.
    OthersBlocked,
    /// `myid` is missing or wrong beside a marker (or beside nothing) that says whose data it is.
    MyidMissing,
    /// Somebody forbade the service to be started: systemd calls it masked.
    UnitMasked,
    /// The service is not defined on its host.
    UnitMissing,
    /// Files of the database cannot be what a server wrote: their first and last bytes.
    DamagedData,
    /// A voter that took part has no database any more, and nobody meant it to be empty.
    LostData,
    /// Connections to its client port are lost on the way from here, and no rule on its host says why.
    ClientsBlocked,
    /// The wall clock is far from the median of all clocks, beyond the error of the measurement.
    ClockOff,
    /// Its manager gave up starting it, in its own words.
    StartLimit,
    /// The service says that no server process lives.
    ProcessDead,
    /// It runs with a zoo.cfg, a binary or a definition that is not the inventory's.
    ConfigDiffers,
    /// It runs and waits: too few other voters do.
    NoQuorum,
    /// Whether it runs or serves could not be seen, from here or from its host: nothing is proven against it.
    NotSeen,
    /// Another server has its id, leads or follows elsewhere, or lists other members: `doubles` says what.
    Double,
    /// It runs, a quorum is there, nothing above was found, and still it does not take part.
    Stuck,
}

/// What repair does about a cause, mildest first; where there are several, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cure {
    /// It keeps nobody from taking part: it is said.
    Said,
    /// Files, ports and service as the inventory says, and a server that does not run is started. Damaged or missing
    /// data stays where it is: the server takes the leader's and keeps the damage.
    InOrder,
    /// As InOrder, and a running server becomes a new process.
    Restart,
    /// Nothing on this member would help: the others come first.
    Elsewhere,
    /// The data goes aside once the name of its cluster was typed.
    Named,
    /// A person must act on the host first.
    Person,
}

impl Cause {
    pub fn cure(self) -> Cure {
        match self {
            // Where nothing else keeps a member out, PathBlocked is refused: nothing here would open the way.
            Cause::PathBlocked | Cause::ClientsBlocked | Cause::ClockOff => Cure::Said,
            Cause::PortBlocked
            | Cause::MyidMissing
            | Cause::UnitMissing
            | Cause::DamagedData
            | Cause::LostData
            | Cause::StartLimit
            | Cause::ProcessDead => Cure::InOrder,
            Cause::ConfigBroken | Cause::ConfigDiffers | Cause::Stuck => Cure::Restart,
            Cause::OthersBlocked | Cause::NoQuorum | Cause::NotSeen | Cause::Double => Cure::Elsewhere,
            Cause::ForeignData => Cure::Named,
            Cause::HostUnreachable
            | Cause::NotInstalled
            | Cause::BinaryUnfit
            | Cause::Unreadable
            | Cause::DiskFull
            | Cause::PortTaken
            | Cause::HalfMoved
            | Cause::UnitMasked
            | Cause::DataMoved
            | Cause::MyidWrong => Cure::Person,
        }
    }

    /// A server that is started in spite of it ends at once, or must not run.
    pub(crate) fn forbids_start(self) -> bool {
        matches!(
            self,
            Cause::Unreadable
                | Cause::DiskFull
                | Cause::PortTaken
                | Cause::DataMoved
                | Cause::ForeignData
                | Cause::MyidWrong
                | Cause::MyidMissing
                | Cause::ConfigBroken
                | Cause::UnitMissing
                | Cause::UnitMasked
        )
    }
}
