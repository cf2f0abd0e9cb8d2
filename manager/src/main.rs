//! **A dict and a list that ten processes share: a manager keeps them, and all others ask it.**
//!
//! # The original
//!
//! ```python
//! def func1(dic_1, list_1, name):
//!     dic_1[name] = 'test'
//!     list_1.append(name)
//!     print("son process dict id:%s list ID:%s" % (id(dic_1), id(list_1)))
//!
//! with multiprocessing.Manager() as manager:
//!     d1 = manager.dict()
//!     l1 = manager.list()
//!     print("main process dict id:%s list ID:%s" % (id(d1), id(l1)))
//!     pro_list = []
//!     for i in range(10):
//!         p = multiprocessing.Process(target=func1, args=(d1, l1, str(i)))
//!         p.start()
//!         pro_list.append(p)
//!     for res in pro_list:
//!         res.join()
//!     print(d1)
//!     print(l1)
//! ```
//!
//! # Run it
//!
//! `cargo run -p manager`
//!
//! # You will see
//!
//! The numbers of the dict and of the list, eleven times the same; then the dict, with ten keys, and the list, with ten names. The
//! order of the names in the list varies: it is the order in which the sons came.
//!
//! # Try breaking it
//!
//! Make the dict a `BTreeMap` of main's own: each son writes into its copy, and main prints `{}`, as in `isolation`. Or let the
//! manager go (`drop(manager)`) before the sons are joined: the next request of each fails, and says that the manager has ended.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::manager::{Dict, List, Manager};
use shared::process::{self, Builder};

/// Ten sons write into a dict and a list that a manager keeps.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    _demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { .. } = demo::options();

    // The manager is a process too, the eleventh child. It ends at the end of this function, as Python's does at the end of its
    // `with`; and with main, if main is killed.
    let manager = Manager::start()?;

    // These are no dict and no list, but proxies: each call is a request to the manager. The numbers are the objects' own.
    let (d1, l1) = (manager.dict()?, manager.list()?);
    println!("main process dict id:{} list ID:{}", d1.id(), l1.id());

    process::scope(|s| {
        let (d1, l1) = (&d1, &l1);
        let mut pro_list = Vec::new();
        for i in 0..10 {
            pro_list.push(Builder::new().name(format!("son {i}")).spawn_scoped(s, move || func1(d1, l1, i))?);
        }
        demo::join_all(pro_list)
    })?;

    // One request each: what is printed is the dict at one moment, and not key by key.
    println!("{}", serde_json::to_string(&d1.copy()?)?);
    println!("{}", serde_json::to_string(&l1.to_vec()?)?);
    Ok(())
}

fn func1(dic_1: &Dict<String, String>, list_1: &List<String>, i: u32) -> demo::Outcome {
    let name = i.to_string();
    // Nobody comes between, so this needs no lock: each is one request, and the manager does one after the other.
    dic_1.insert(&name, &"test".to_owned())?;
    list_1.push(&name)?;
    println!("son process dict id:{} list ID:{}", dic_1.id(), list_1.id());
    Ok(())
}
