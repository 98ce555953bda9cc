//! Leading: the books of a question to all, "do you still follow?" (`confirm` asks it): rounds of asking, and the
//! PINGs of each link that answer them.

/// Rounds of asking, one at a time: questions that come while one is under way share the next.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The round begun last, the last one wanted, and the last one that a quorum has answered.
    begun: u64,
    wanted: u64,
    confirmed: u64,
}

impl Rounds {
    /// The number of a round that begins after now.
    pub(super) fn want(&mut self) -> u64 {
        self.wanted = self.begun + 1;
        self.wanted
    }

    /// Begins the round that is wanted next and says so; not while one is under way.
    pub(super) fn begin(&mut self) -> bool {
        let begins = !self.is_under_way() && self.begun < self.wanted;
        self.begun += u64::from(begins);
        begins
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.confirmed < self.begun
    }

    /// A quorum has answered the round that is under way; its number.
    pub(super) fn end(&mut self) -> u64 {
        self.confirmed = self.begun;
        self.confirmed
    }

    /// The last round that a quorum has answered.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }
}

/// The PINGs of one link, counted from UPTODATE on.
#[derive(Debug, Default)]
pub(super) struct Pings {
    sent: u64,
    answered: u64,
    /// As many answers prove that it followed after the present round had begun.
    proof: u64,
}

impl Pings {
    pub(super) fn note_sent(&mut self) {
        self.sent += 1;
    }

    /// A PING has come back. One that was never sent counts for nothing.
    pub(super) fn note_answered(&mut self) {
        self.answered = (self.answered + 1).min(self.sent);
    }

    pub(super) fn begin_round(&mut self) {
        self.proof = self.sent + 1;
    }

    pub(super) fn is_proof(&self) -> bool {
        self.answered >= self.proof.max(1)
    }
}
