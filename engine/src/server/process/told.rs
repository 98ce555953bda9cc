//! What has been told already: the same trouble is worth a line when it begins, and one a minute while it lasts.

use std::time::{Duration, Instant};

/// The trouble that was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Option<(String, Instant)>,
}

impl Told {
    /// Whether this is worth a line; it counts as told then.
    pub(super) fn is_news(&mut self, cause: &str, now: Instant) -> bool {
        if let Some((last, at)) = &self.last
            && last == cause
            && now.saturating_duration_since(*at) < AGAIN_AFTER
        {
            return false;
        }
        self.last = Some((cause.to_owned(), now));
        true
    }

    /// It was told lately enough to be going on still.
    pub(super) fn lasts(&self, now: Instant) -> bool {
        self.last.as_ref().is_some_and(|(_, at)| now.saturating_duration_since(*at) < 2 * AGAIN_AFTER)
    }

    /// Nothing was ever told.
    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none()
    }
}

/// Who looks at the end of a log finds the reason there.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once_and_every_minute_and_another_at_once() {
        let (mut told, start) = (Told::default(), Instant::now());
        assert!(told.is_empty());
        let mut is_news = |cause: &str, after_s| told.is_news(cause, start + Duration::from_secs(after_s));
        assert!(is_news("in use", 0));
        assert!(!is_news("in use", 1) && !is_news("in use", 59));
        assert!(is_news("unknown", 59), "another cause");
        assert!(is_news("in use", 60));
        assert!(is_news("in use", 120));
    }
}
