//! Watch events and the enums of the watch operations (§5).

use crate::wire::jute::{Error, Reader, Result, Str, Writer};

/// What happened to a node (§5.3). Types 5–7 are made by clients only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum EventType {
    None = -1,
    NodeCreated = 1,
    NodeDeleted = 2,
    NodeDataChanged = 3,
    NodeChildrenChanged = 4,
    DataWatchRemoved = 5,
    ChildWatchRemoved = 6,
    PersistentWatchRemoved = 7,
}

impl EventType {
    pub const fn from_code(code: i32) -> Option<EventType> {
        Some(match code {
            -1 => EventType::None,
            1 => EventType::NodeCreated,
            2 => EventType::NodeDeleted,
            3 => EventType::NodeDataChanged,
            4 => EventType::NodeChildrenChanged,
            5 => EventType::DataWatchRemoved,
            6 => EventType::ChildWatchRemoved,
            7 => EventType::PersistentWatchRemoved,
            _ => return None,
        })
    }
}

/// The connection state an event reports; always `SyncConnected` from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum EventState {
    Disconnected = 0,
    SyncConnected = 3,
    AuthFailed = 4,
    ConnectedReadOnly = 5,
    SaslAuthenticated = 6,
    Closed = 7,
    Expired = -112,
}

impl EventState {
    pub const fn from_code(code: i32) -> Option<EventState> {
        Some(match code {
            0 => EventState::Disconnected,
            3 => EventState::SyncConnected,
            4 => EventState::AuthFailed,
            5 => EventState::ConnectedReadOnly,
            6 => EventState::SaslAuthenticated,
            7 => EventState::Closed,
            -112 => EventState::Expired,
            _ => return None,
        })
    }
}

/// The body of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatcherEvent {
    pub kind: EventType,
    pub state: EventState,
    pub path: Str,
}

impl WatcherEvent {
    pub fn encode(&self, w: &mut Writer) {
        w.int(self.kind as i32);
        w.int(self.state as i32);
        w.string(&self.path);
    }

    pub fn decode(r: &mut Reader) -> Result<WatcherEvent> {
        let kind = r.int()?;
        let state = r.int()?;
        Ok(WatcherEvent {
            kind: EventType::from_code(kind)
                .ok_or(Error::Value { what: "event type", value: kind.into() })?,
            state: EventState::from_code(state)
                .ok_or(Error::Value { what: "event state", value: state.into() })?,
            path: r.text()?,
        })
    }
}

/// Which watches `checkWatches` and `removeWatches` mean (§5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum WatcherType {
    Children = 1,
    Data = 2,
    Any = 3,
    Persistent = 4,
    PersistentRecursive = 5,
}

impl WatcherType {
    pub const fn from_code(code: i32) -> Option<WatcherType> {
        Some(match code {
            1 => WatcherType::Children,
            2 => WatcherType::Data,
            3 => WatcherType::Any,
            4 => WatcherType::Persistent,
            5 => WatcherType::PersistentRecursive,
            _ => return None,
        })
    }
}

/// The modes of `addWatch` (§5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum AddWatchMode {
    Persistent = 0,
    PersistentRecursive = 1,
}

impl AddWatchMode {
    pub const fn from_code(code: i32) -> Option<AddWatchMode> {
        Some(match code {
            0 => AddWatchMode::Persistent,
            1 => AddWatchMode::PersistentRecursive,
            _ => return None,
        })
    }
}
