//! Where a member's files are on its host: the one place where `~` gets its meaning.

use crate::operator::inventory::Member;
use crate::operator::render::Paths;

pub(super) fn of(member: &Member) -> Paths {
    let install = at_home(&member.install_dir);
    Paths {
        binary: format!("{install}/current/zkops"),
        config: format!("{install}/current/zoo.cfg"),
        dynamic_dir: format!("{install}/dynamic"),
        data_dir: at_home(&member.data_dir),
        data_log_dir: member.data_log_dir.as_deref().map(at_home),
        install_dir: install,
    }
}

pub(super) fn at_home(path: &str) -> String {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => format!("{}/{rest}", home.display()),
        _ => path.to_owned(),
    }
}
