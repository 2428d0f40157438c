//! Bugs that the tests plant, to see whether they would find them.

env::planted_bugs! {
    /// Report records durable that are not.
    SyncNothing,
    /// Forget that a new file's name needs a sync of its own.
    SyncNoNames,
    /// Begin a segment while the one before is not durable.
    BeginWithoutSync,
    /// Believe a second sync after a failed one.
    SyncAgain,
    /// Believe, when opening, that what can be read is on the disk.
    TrustCache,
    /// Append where a lost record stood.
    UsePositionsTwice,
    /// Report what a crash left as damage of durable records.
    CallLossDamage,
    /// Take damage for the end of the segment.
    StopAtDamage,
    /// Leave the place out of the checksum.
    ForgetPlace,
}
