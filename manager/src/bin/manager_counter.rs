//! **The manager shares the data; the race is still yours to lock.**
//!
//! # The original
//!
//! ```python
//! mutex = Lock()
//!
//! def task(dic, lock):
//!     lock.acquire()
//!     temp = dic['num']
//!     time.sleep(0.1)
//!     dic['num'] = temp - 1
//!     lock.release()
//!
//! m = Manager()
//! dic = m.dict({'num': 10})
//! l = []
//! for i in range(10):
//!     p = Process(target=task, args=(dic, mutex))
//!     l.append(p)
//!     p.start()
//! for p in l:
//!     p.join()
//! print(dic)
//! ```
//!
//! # Run it
//!
//! `cargo run -p manager --bin manager_counter`
//!
//! # You will see
//!
//! `{"num":0}`, after a second. Nothing varies.
//!
//! # Try breaking it
//!
//! Leave the lock out: that is `manager_lost_update`. Or leave both out, the lock and the pause, and write `dic.add("num", &-1)?`:
//! that is one request, and right again.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::manager::{Dict, Manager};
use shared::process::{self, Builder};
use shared::sync::Lock;

/// Ten processes take one from a number that a manager keeps, one after the other.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // The lock need not be the manager's: it guards nothing in memory, it only makes the tasks come one after the other.
    let mutex = Lock::try_new(())?;
    let m = Manager::start()?;
    let dic = m.dict_of([("num".to_owned(), 10)])?;

    process::scope(|s| {
        let (dic, mutex) = (&dic, &mutex);
        let mut l = Vec::new();
        for i in 0..10 {
            let task = move || task(dic, mutex, demo);
            l.push(Builder::new().name(format!("task {i}")).spawn_scoped(s, task)?);
        }
        demo::join_all(l)
    })?;

    println!("{}", serde_json::to_string(&dic.copy()?)?);
    Ok(())
}

fn task(dic: &Dict<String, i64>, lock: &Lock<()>, demo: Demo) -> demo::Outcome {
    // Reading, deciding and writing belong together. Each request is whole, the three of them are not: without the guard
    // all ten read 10, and all ten write 9.
    let guard = lock.lock().map_err(demo::Failure::new)?;
    let temp = dic.get("num")?.ok_or(demo::Failure::new("there is no num"))?;
    demo.sleep(0.1);
    dic.insert("num", &(temp - 1))?;
    drop(guard);
    Ok(())
}
