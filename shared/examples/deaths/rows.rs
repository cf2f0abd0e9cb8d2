//! The rows of the table: which operation the victim is in, and how things stand meanwhile.

use std::fmt;

/// What the victim does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Lock,
    TryLock,
    LockTimeout,
    Unlock,
    NestedLock,
    NestedUnlock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Lock => "lock",
            Operation::TryLock => "try_lock",
            Operation::LockTimeout => "lock_timeout",
            Operation::Unlock => "unlock",
            Operation::NestedLock => "nested lock",
            Operation::NestedUnlock => "nested unlock",
        })
    }
}

/// Who has the lock when the operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nobody; or, where the operation is to give it back or to take it again, the victim.
    VictimOrNobody,
    /// A survivor, which gives it back once the victim is dead.
    Holder,
    /// A process that has died with it and that nobody has collected: the victim is the recoverer.
    Dead,
}

/// Which part of the operation is stepped through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// From the call to the return, or to the first sleep.
    Call,
    /// The first sleep itself.
    Sleep,
    /// From the end of the sleep to the return or to the next sleep, the lock having been given back.
    Woken,
    /// The same, so slowly that its slice is over, and its own time too if it has a limit.
    WokenSlowly,
    /// The same as `Woken`, but somebody was faster and has the lock: what strands glibc's waiters.
    WokenTooLate,
    /// From the end of the sleep, nobody having woken it: it sleeps in slices.
    SliceOver,
    /// The same, and its time is up.
    TimeUp,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) operation: Operation,
    pub(crate) state: &'static str,
    pub(crate) owner: Owner,
    pub(crate) part: Part,
    /// A third process sleeps in `lock`: from the start, or behind the victim once that sleeps.
    pub(crate) sleeper: bool,
}

/// All rows of one kind of lock.
pub(crate) fn rows(reentrant: bool) -> Vec<Row> {
    use Operation::{Lock, LockTimeout, NestedLock, NestedUnlock, TryLock, Unlock};
    use Owner::{Dead, Holder, VictimOrNobody};
    use Part::{Call, Sleep, SliceOver, TimeUp, Woken, WokenSlowly, WokenTooLate};

    let all = [
        (&[Lock, TryLock, LockTimeout][..], "free", VictimOrNobody, Call, false),
        (&[Lock, TryLock, LockTimeout], "contended", Holder, Call, false),
        (&[Lock, TryLock, LockTimeout], "contended, a sleeper", Holder, Call, true),
        (&[Lock, LockTimeout], "asleep", Holder, Sleep, false),
        (&[Lock, LockTimeout], "asleep, a sleeper", Holder, Sleep, true),
        (&[Lock, LockTimeout], "woken", Holder, Woken, false),
        (&[Lock, LockTimeout], "woken, a sleeper", Holder, Woken, true),
        (&[Lock, LockTimeout], "woken, slice or time up, a sleeper", Holder, WokenSlowly, true),
        (&[Lock, LockTimeout], "woken too late, a sleeper", Holder, WokenTooLate, true),
        (&[Lock, LockTimeout], "slice over, a sleeper", Holder, SliceOver, true),
        (&[LockTimeout], "time up, a sleeper", Holder, TimeUp, true),
        (&[Lock, TryLock, LockTimeout], "owner dead", Dead, Call, false),
        (&[TryLock], "owner dead, a sleeper", Dead, Call, true),
        (&[Lock, LockTimeout], "owner dead, slice over", Dead, SliceOver, false),
        (&[Unlock], "nobody waits", VictimOrNobody, Call, false),
        (&[Unlock], "a sleeper", VictimOrNobody, Call, true),
        (&[NestedLock, NestedUnlock], "nobody waits", VictimOrNobody, Call, false),
        (&[NestedLock, NestedUnlock], "a sleeper", VictimOrNobody, Call, true),
    ];
    let mut rows = Vec::new();
    for (operations, state, owner, part, sleeper) in all {
        rows.extend(operations.iter().map(|&operation| Row { operation, state, owner, part, sleeper }));
    }
    rows.retain(|row| reentrant || !matches!(row.operation, NestedLock | NestedUnlock));
    rows.sort_by_key(|row| row.operation as u8);
    rows
}

/// Appendix to the table: the victim dies at the very moment in which a robust mutex of glibc 2.36 strands
/// the next waiter. It was woken, has not run since, and somebody else has taken the lock unmarked.
pub(crate) const STRAND: Row = Row {
    operation: Operation::Lock,
    state: "just woken, too late, a sleeper (glibc's strand)",
    owner: Owner::Holder,
    part: Part::WokenTooLate,
    sleeper: true,
};
