//! A member with the places of its parts in the file, for findings about several members.

use std::collections::BTreeMap;

use super::finding::Span;
use super::model::Member;
use super::yaml::Spanned;

/// A member and where its parts were written, for findings about several members.
pub(super) struct Placed {
    pub(super) member: Member,
    pub(super) at: Places,
}

/// Spans of one member's parts; a default's span is the node's own.
pub(super) struct Places {
    pub(super) node: Span,
    pub(super) id: Span,
    pub(super) host: Span,
    pub(super) ports: [Span; 3],
    pub(super) data_dir: Span,
    pub(super) data_log_dir: Span,
    pub(super) install_dir: Span,
    pub(super) zoo: BTreeMap<String, Setting>,
}

/// A zoo.cfg key and its value.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) key: Span,
    pub(super) value: Spanned<String>,
}
