//! What was dropped, and why.

/// Objects and records dropped, by reason. Counts only ever go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// Cut short, or not one of ours.
    pub malformed: u64,
    /// A signature that does not hold, or another session's record.
    pub forged: u64,
    /// Key commitment differs from the key: the sealer wanted two readers to see two things.
    pub uncommitted: u64,
    /// Sealed for another epoch than the group it came in.
    pub wrong_epoch: u64,
    /// Failed to open: another key, or changed on the way.
    pub unopened: u64,
    /// Opened before.
    pub replayed: u64,
    /// The wall clock claim is too far from ours: old footage, or a clock that is wrong.
    pub stale: u64,
    /// Came without an opening of its epoch, and the buffer for such objects was full.
    pub early: u64,
}

impl Drops {
    /// Those that an honest camera and an honest hub never cause, however busy the machine is.
    pub fn untrue(&self) -> u64 {
        let Self { malformed, forged, uncommitted, wrong_epoch, unopened, replayed: _, stale: _, early: _ } = self;
        malformed + forged + uncommitted + wrong_epoch + unopened
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        let Self { malformed, forged, uncommitted, wrong_epoch, unopened, replayed, stale, early } = self;
        malformed + forged + uncommitted + wrong_epoch + unopened + replayed + stale + early
    }
}
