//! **What a manager shares: thirteen kinds of object, and what two processes do with each.**
//!
//! # The original
//!
//! The document has a list and no program: "a manager supports the types list, dict, Namespace, Lock, RLock, Semaphore,
//! BoundedSemaphore, Condition, Event, Barrier, Queue, Value and Array".
//!
//! # Run it
//!
//! `cargo run -p manager --bin manager_types`
//!
//! # You will see
//!
//! Thirteen lines, each with the name of a kind and what main and its child did with one. Nothing varies.
//!
//! # Try breaking it
//!
//! Let the child end (`process::exit(0)`) inside one of the closures below: main gets its exit code, and not what it did. Let it
//! end with the lock in its hands, and the next one that locks is told which process that was.
#![forbid(unsafe_code)]

use shared::channel::Message;
use shared::demo::{self, Demo};
use shared::manager::{List, LockError, Manager};
use shared::process::Builder;
use shared::sync::Cause;
use std::time::Duration;

/// Main and a child use one object of each kind.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    _demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { .. } = demo::options();
    let m = &Manager::start()?;

    let list = m.list_of(&[1, 2])?;
    child(&list, |list| Ok(list.push(&3)?))?;
    println!("list: main made [1, 2], the child appended 3: {:?}", list.to_vec()?);

    // A proxy can be a value: the dict keeps the list.
    let dict = m.dict_of([("list".to_owned(), list)])?;
    child(&dict, |dict| Ok(dict.get("list")?.iter().try_for_each(|list: &List<i32>| list.push(&4))?))?;
    let inner = dict.get("list")?.ok_or(demo::Failure::new("no list"))?;
    println!(
        "dict: main put the list into it, the child appended 4 to what it found there: {:?}",
        inner.to_vec()?
    );

    let namespace = m.namespace()?;
    child(&namespace, |namespace| {
        namespace.set("x", &10)?;
        Ok(namespace.set("_hidden", &true)?)
    })?;
    let visible = serde_json::to_string(&namespace.visible()?)?;
    println!("Namespace: the child set x and _hidden, main sees {visible}");

    // Guards stay where they were taken: a process that holds one may not even fork. The child that ends with this one in its
    // hands cannot give it back, so the manager does, and says so to the next one.
    let lock = m.lock()?;
    child(&lock, |lock| {
        std::mem::forget(lock.lock()?);
        Ok(())
    })?;
    let told = match lock.lock() {
        Err(LockError::Poisoned(poisoned)) => !matches!(poisoned.cause(), Cause::Panicked { .. }),
        unexpected => unexpected.map(|_guard| false)?,
    };
    println!("Lock: the child ended while it held it, main got it and was told: {told}");
    lock.clear_poison()?;

    let rlock = m.reentrant_lock()?;
    let twice = child(&rlock, |rlock| {
        let (_once, twice) = (rlock.lock()?, rlock.try_lock()?);
        Ok(twice.is_some())
    })?;
    println!("RLock: the child took it twice: {twice}; main finds it free: {}", !rlock.is_locked()?);

    let semaphore = m.semaphore(2)?;
    let left = child(&semaphore, |semaphore| {
        let _permits = (semaphore.acquire()?, semaphore.acquire()?);
        Ok(semaphore.available()?)
    })?;
    println!("Semaphore: the child took both permits and left {left}, main finds {}", semaphore.available()?);

    let bounded = m.bounded_semaphore(2)?;
    let refused = child(&bounded, |bounded| Ok(bounded.release(1).is_err()))?;
    println!("BoundedSemaphore: the child released a third of two permits, and was refused: {refused}");

    // A condition needs a lock, something to wait for, and somebody to notify.
    let (condition, turn) = (m.condition()?, m.value(&"main".to_owned())?);
    let waiting = Builder::new().name("child").spawn({
        let (lock, condition, turn) = (lock.clone(), condition.clone(), turn.clone());
        move || -> Result<(), demo::Failure> {
            let guard = condition.wait_while(lock.lock()?, || Ok(turn.get()? != "child"));
            drop(guard?);
            Ok(())
        }
    })?;
    let guard = lock.lock()?;
    turn.set(&"child".to_owned())?;
    condition.notify_all()?;
    drop(guard);
    waiting.join()??;
    println!("Condition: the child waited for its turn, main gave it to it and notified");

    let event = m.event()?;
    child(&event, |event| Ok(event.set()?))?;
    println!("Event: the child set it, main finds it {}", if event.is_set()? { "set" } else { "clear" });

    let barrier = m.barrier(2)?;
    let waiting = Builder::new().name("child").spawn({
        let barrier = barrier.clone();
        move || barrier.wait().map(|met| met.is_leader()).map_err(demo::Failure::from)
    })?;
    // If the child never comes, main is not to wait for ever; and then it is the child that has something to say.
    let met = barrier.wait_timeout(Duration::from_secs(5));
    let (theirs, mine) = (waiting.join()??, met?.is_leader());
    println!("Barrier: both met there, and one of them was the leader: {}", theirs != mine);

    let queue = m.queue(0)?;
    child(&queue, |queue| Ok((1..=3).try_for_each(|n| queue.put(n))?))?;
    let mut got = Vec::new();
    while let Some(n) = queue.get_timeout(Duration::ZERO)? {
        got.push(n);
    }
    println!("Queue: the child put three, main got {got:?}");

    let value = m.value(&5)?;
    child(&value, |value| Ok(value.add(&1)?))?;
    println!("Value: main made it 5, the child added 1: {}", value.get()?);

    let array = m.array(&[1.5, 2.5])?;
    child(&array, |array| Ok(array.set(0, &-1.5)?))?;
    println!("Array: main made [1.5, 2.5], the child set the first: {:?}", array.to_vec()?);
    Ok(())
}

/// What a child does with an object. It has a handle of its own, moved into it.
fn child<P, T>(
    proxy: &P,
    does: impl FnOnce(&P) -> Result<T, demo::Failure> + Send + 'static,
) -> Result<T, demo::Failure>
where
    P: Clone + Send + 'static,
    T: Message,
{
    let proxy = proxy.clone();
    Builder::new().name("child").spawn(move || does(&proxy))?.join()?
}
