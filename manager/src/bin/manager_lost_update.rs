//! **The same without the lock: ten take one away, and nine of them for nothing.**
//!
//! # The original
//!
//! ```python
//! def task(dic):
//!     temp = dic['num']
//!     time.sleep(0.1)
//!     dic['num'] = temp - 1
//! ```
//!
//! All else is as in `manager_counter`.
//!
//! # Run it
//!
//! `cargo run -p manager --bin manager_lost_update`
//!
//! # You will see
//!
//! `{"num":9}`, as a rule; on a busy machine a little less. It should be 0. Then `{"num":0}`: the same ten, with the
//! one request that reads, takes away and writes by itself.
//!
//! # Try breaking it
//!
//! It is broken. With `--time-scale 0` there is no pause between reading and writing; run it a few times, and see how the number of the
//! lost updates varies. That is how such a mistake looks in the wild.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::manager::{Dict, Manager};
use shared::process::{self, Builder};

/// Ten processes take one from a number that a manager keeps, and come between one another.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();
    let m = Manager::start()?;
    ten(&m, move |dic| broken(dic, demo))?;
    ten(&m, whole)
}

/// Ten processes do this to a number that is 10 at first.
fn ten(m: &Manager, task: impl Fn(&Dict<String, i64>) -> demo::Outcome + Copy + Send) -> demo::Outcome {
    let dic = m.dict_of([("num".to_owned(), 10)])?;
    process::scope(|s| {
        let dic = &dic;
        let mut l = Vec::new();
        for i in 0..10 {
            l.push(Builder::new().name(format!("task {i}")).spawn_scoped(s, move || task(dic))?);
        }
        demo::join_all(l)
    })?;
    println!("{}", serde_json::to_string(&dic.copy()?)?);
    Ok(())
}

/// A process reads, and before it writes nine others have read the same.
fn broken(dic: &Dict<String, i64>, demo: Demo) -> demo::Outcome {
    let temp = dic.get("num")?.ok_or(demo::Failure::new("there is no num"))?;
    demo.sleep(0.1);
    dic.insert("num", &(temp - 1))?;
    Ok(())
}

/// One request: the manager reads, adds and writes, and nobody comes between. Python's proxies have no such thing.
fn whole(dic: &Dict<String, i64>) -> demo::Outcome {
    dic.add("num", &-1)?;
    Ok(())
}
