//! Bugs that the tests plant, to see whether they would find them.

env::planted_bugs! {
    /// Begin with empty queues after a restart.
    ForgetOnRestart,
    /// Acknowledge before the entry is durable.
    AckBeforeSync,
    /// Count an entry as done when it is handed out.
    DoneWhenTaken,
    /// Move the head past an entry because a later one is done.
    HeadPastGap,
    /// Drop old entries without a mark.
    DropWithoutMark,
    /// Take the older slot of the head file.
    OlderHead,
    /// Let an entry that fails hold up the others.
    PoisonBlocks,
}
