//! The rows of the queues: what the victim does, and how things stand. The laws are in `queues.rs`.

use crate::items::{Item, Road, item};
use crate::queues::{BOUND, LONG_TEXT, Queues, SHORT_TEXT};
use crate::scene::{Part, Row};
use crate::victim::Marks;
use shared::memory::Shared;
use std::fmt;
use std::mem::forget;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// What the victim does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    PutLong,
    TryPut,
    PutTimeout,
    Get,
    GetLong,
    TryGet,
    GetTimeout,
    Close,
    CloseNow,
    GetTask,
    TaskDone,
    Lease,
    TryLease,
    Done,
    PutBack,
    Join,
}

impl Operation {
    pub(crate) fn is_joinable(self) -> bool {
        self as u8 >= Operation::GetTask as u8
    }

    pub(crate) fn is_put(self) -> bool {
        self as u8 <= Operation::PutTimeout as u8
    }

    pub(crate) fn is_plain_get(self) -> bool {
        use Operation::{Get, GetLong, GetTimeout, TryGet};
        matches!(self, Get | GetLong | TryGet | GetTimeout)
    }

    pub(crate) fn is_long(self) -> bool {
        matches!(self, Operation::PutLong | Operation::GetLong)
    }

    pub(crate) fn is_close(self) -> bool {
        matches!(self, Operation::Close | Operation::CloseNow)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Put => "put",
            Operation::PutLong => "put of a long item",
            Operation::TryPut => "try_put",
            Operation::PutTimeout => "put_timeout",
            Operation::Get | Operation::GetTask => "get",
            Operation::GetLong => "get of a long item",
            Operation::TryGet => "try_get",
            Operation::GetTimeout => "get_timeout",
            Operation::Close => "close",
            Operation::CloseNow => "close_now",
            Operation::TaskDone => "task_done",
            Operation::Lease => "get_lease",
            Operation::TryLease => "try_get_lease",
            Operation::Done => "done",
            Operation::PutBack => "drop of a lease",
            Operation::Join => "join",
        })
    }
}

/// Who has died before, and with what: the victim is the recoverer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dead {
    Nobody,
    /// One that had a place, and had not written its item. There is no other room.
    Producer,
    /// One that had all items.
    Consumer,
}

/// Who sleeps besides: from the start, or behind the victim once that sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleepers {
    Nobody,
    Getters,
    Putters,
    Joiners,
}

/// With the number of items that are in it at first.
pub(crate) type Stand = (Operation, u64, Part, Dead, Sleepers);

pub(crate) fn rows() -> Vec<Row> {
    use Operation::*;
    use Part::{Call, Sleep, SliceOver, TimeUp, Woken, WokenTooLate};
    use Sleepers::{Getters, Joiners, Putters};
    const NOBODY: Sleepers = Sleepers::Nobody;
    const FULL: u64 = BOUND;
    const NONE: Dead = Dead::Nobody;

    let all = [
        (&[Put, PutLong, TryPut, PutTimeout][..], "empty", 0, Call, NONE, NOBODY),
        (&[Put, PutLong, TryPut], "empty, two sleepers", 0, Call, NONE, Getters),
        (&[Put], "room for one", 1, Call, NONE, NOBODY),
        (&[Put, TryPut], "full", FULL, Call, NONE, NOBODY),
        (&[TryPut], "full, two putters asleep", FULL, Call, NONE, Putters),
        (&[Put, PutTimeout], "asleep, a putter asleep", FULL, Sleep, NONE, Putters),
        (&[Put, PutTimeout], "woken, a putter asleep", FULL, Woken, NONE, Putters),
        (&[Put], "woken too late, a putter asleep", FULL, WokenTooLate, NONE, Putters),
        (&[Put], "slice over, a putter asleep", FULL, SliceOver, NONE, Putters),
        (&[PutTimeout], "time up, a putter asleep", FULL, TimeUp, NONE, Putters),
        (&[TryPut], "a producer dead", 1, Call, Dead::Producer, NOBODY),
        (&[Put], "a producer dead, slice over", 1, SliceOver, Dead::Producer, NOBODY),
        (&[Get, GetLong, TryGet, GetTimeout, GetTask, Lease, TryLease], "full", FULL, Call, NONE, NOBODY),
        (&[Get, GetLong, TryGet, Lease], "full, two putters asleep", FULL, Call, NONE, Putters),
        (&[Get, TryGet, Lease], "empty", 0, Call, NONE, NOBODY),
        (&[TryGet], "empty, two sleepers", 0, Call, NONE, Getters),
        (&[Get, GetTimeout, Lease], "asleep, a sleeper", 0, Sleep, NONE, Getters),
        (&[Get, GetTimeout, Lease], "woken, a sleeper", 0, Woken, NONE, Getters),
        (&[Get], "woken too late, a sleeper", 0, WokenTooLate, NONE, Getters),
        (&[Get], "slice over, a sleeper", 0, SliceOver, NONE, Getters),
        (&[GetTimeout], "time up, a sleeper", 0, TimeUp, NONE, Getters),
        (&[TryGet], "a producer dead", 0, Call, Dead::Producer, NOBODY),
        (&[Get], "a producer dead, slice over", 0, SliceOver, Dead::Producer, NOBODY),
        (&[TryLease], "a consumer dead", FULL, Call, Dead::Consumer, NOBODY),
        (&[GetTask, Lease], "a consumer dead, slice over", FULL, SliceOver, Dead::Consumer, NOBODY),
        (&[TaskDone, Done, PutBack], "nobody waits", 1, Call, NONE, NOBODY),
        (&[TaskDone, Done], "two joiners asleep", 1, Call, NONE, Joiners),
        (&[PutBack], "two sleepers", 1, Call, NONE, Getters),
        (&[Join], "all done", 0, Call, NONE, NOBODY),
        (&[Join], "asleep, a joiner asleep", 1, Sleep, NONE, Joiners),
        (&[Join], "woken, a joiner asleep", 1, Woken, NONE, Joiners),
        (&[Join], "a consumer dead, slice over", 1, SliceOver, Dead::Consumer, NOBODY),
        (&[Close, CloseNow], "full", FULL, Call, NONE, NOBODY),
        (&[Close, CloseNow], "full, two putters asleep", FULL, Call, NONE, Putters),
        (&[Close, CloseNow], "empty, two sleepers", 0, Call, NONE, Getters),
    ];
    let mut rows = Vec::new();
    for (operations, state, inside, part, dead, sleepers) in all {
        rows.extend(operations.iter().map(|&operation| (state, (operation, inside, part, dead, sleepers))));
    }
    rows.sort_by_key(|(_, stand)| stand.0 as u8);
    let row = |(state, stand): (&'static str, Stand)| {
        let name = if stand.0.is_joinable() { "JoinableQueue" } else { "Queue" };
        let row = Row::new(format!("{name}, {}", stand.0), state, stand.2, move || Queues::new(stand));
        // Their wake-up may die with the victim.
        Row { slow: stand.4 != NOBODY && stand.2 != Sleep, ..row }
    };
    rows.into_iter().map(row).collect()
}

/// What the victim's operation returned, when it was no item.
pub(crate) const NOTHING: u64 = 1;
pub(crate) const SUCCESS: u64 = 2;
/// Or the item of this number.
pub(crate) const ITEM: u64 = 3;

/// What the victim does as long as it is let.
pub(crate) fn live(
    road: &Road,
    own: Item,
    marks: &Marks,
    told: &Shared<AtomicU64>,
    operation: Operation,
    time_limit: Duration,
) {
    let warm = Road::new(operation.is_joinable(), BOUND);
    for len in [SHORT_TEXT, LONG_TEXT, SHORT_TEXT, LONG_TEXT] {
        warm.put_timeout(item(1, len), Duration::from_millis(1));
        warm.get_timeout(Duration::from_millis(1));
        warm.task_done();
    }
    warm.get_timeout(Duration::from_millis(1));
    let put = |put: bool| if put { SUCCESS } else { NOTHING };
    let got = |got: Option<u64>| got.map_or(NOTHING, |number| ITEM + number);
    let tell = |what| told.store(what, SeqCst);
    use Operation::*;
    match operation {
        Put | PutLong => marks.operation(|| tell(put(road.put(own)))),
        TryPut => marks.operation(|| tell(put(road.try_put(own)))),
        PutTimeout => marks.operation(|| tell(put(road.put_timeout(own, time_limit)))),
        Get | GetLong | GetTask => marks.operation(|| tell(got(road.get()))),
        TryGet => marks.operation(|| tell(got(road.try_get()))),
        GetTimeout => marks.operation(|| tell(got(road.get_timeout(time_limit)))),
        Close | CloseNow => marks.operation(|| {
            road.close(operation == CloseNow);
            tell(SUCCESS);
        }),
        TaskDone => {
            road.get();
            marks.operation(|| tell(put(road.task_done())));
        }
        Lease | TryLease | Done | PutBack | Join => {
            let queue = road.joinable().expect("a queue with leases");
            match operation {
                Lease => marks.operation(|| tell(put(queue.get_lease().map(forget).is_ok()))),
                TryLease => marks.operation(|| tell(put(queue.try_get_lease().map(forget).is_ok()))),
                Join => marks.operation(|| {
                    queue.join();
                    tell(SUCCESS);
                }),
                _ => {
                    let lease = queue.get_lease().expect("an item");
                    marks.operation(|| {
                        if operation == Done {
                            lease.done()
                        } else {
                            drop(lease)
                        }
                        tell(SUCCESS);
                    });
                }
            }
        }
    }
}
