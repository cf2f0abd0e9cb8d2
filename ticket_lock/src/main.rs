//! **Ten people, three tickets, one lock: who reads, decides and writes must do so alone.**
//!
//! # The original
//!
//! ```python
//! def buy(i):
//!     with open('db', 'r') as f:
//!         count_dic = json.load(f)
//!     time.sleep(0.2)
//!     if count_dic['count'] > 0:
//!         count_dic['count'] -= 1
//!         print('Person %s purchased a ticket successfully' % i)
//!     time.sleep(0.2)
//!     with open('db', 'w') as f:
//!         json.dump(count_dic, f)
//!
//! def task(i, lock):
//!     search(i)
//!     lock.acquire()
//!     buy(i)
//!     lock.release()
//!
//! lock = Lock()
//! for i in range(10):
//!     p = Process(target=task, args=(i, lock))
//!     p.start()
//! ```
//!
//! # Run it
//!
//! `cargo run -p ticket_lock`
//!
//! # You will see
//!
//! Everybody finds some tickets left, and exactly three get one. Who they are changes from run to run, and so
//! does the number that each one saw before: looking is not forbidden while another buys.
//!
//! # Try breaking it
//!
//! `cargo run -p ticket_lock --bin tickets_oversold` is this program without the lock. Or kill a buyer while
//! he has the lock (`--time-scale 20` gives you time, `ps` his number): the next one gets it all the same.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::{self, Builder};
use shared::sync::{Lock, Poisoned};
use ticket_lock::{Sale, TicketFile};

/// Ten people compete for three tickets, under a lock.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    sale: Sale,
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { sale, demo } = demo::options();

    // The file first: if it cannot be read, nobody need set out.
    let tickets = &sale.open()?;

    // The lock before the people. A fork copies memory, and a copied lock would lock nobody out; this one
    // lies in memory that a fork shares. `()`, because what it guards is not in memory: it is the file.
    let lock = &Lock::new(());

    // A process for each. The scope waits for all of them; asking each one tells us who failed, and why.
    process::scope(|s| {
        let mut people = Vec::new();
        for i in 0..sale.people {
            let person = Builder::new().name(format!("Person {i}"));
            people.push(person.spawn_scoped(s, move || task(i, tickets, lock, demo))?);
        }
        demo::join_all(people)
    })
}

fn task(i: u32, tickets: &TicketFile, lock: &Lock<()>, demo: Demo) -> demo::Outcome {
    search(i, tickets, demo)?;

    // Between reading the count and writing it back nobody else may do the same, or both sell the last
    // ticket. The guard is the turn; it ends when the guard is dropped, also when `buy` fails.
    //
    // `Poisoned` would say that an earlier buyer died in the middle of his turn. Then the data must be
    // doubted. But here the data is the file, and saving it is one step: it is as it was, or as it should be.
    let _turn = lock.lock().unwrap_or_else(Poisoned::into_inner);
    buy(i, tickets, demo)
}

/// Looking needs no turn. But what is seen may be gone when the turn comes.
fn search(i: u32, tickets: &TicketFile, demo: Demo) -> demo::Outcome {
    let count = tickets.count()?;
    demo.sleep(0.2);
    println!("Person {i} remaining tickets: {count}");
    Ok(())
}

fn buy(i: u32, tickets: &TicketFile, demo: Demo) -> demo::Outcome {
    let count = tickets.count()?;
    demo.sleep(0.2);
    // The second pause is the original's, between deciding and writing: the window in which, without the
    // lock, the others read the old count.
    demo.sleep(0.2);
    if count > 0 {
        // Saved first and told afterwards: a buyer who dies in between has a ticket that he never heard of.
        // The other way round, a ticket that was promised would be sold again.
        tickets.save(count - 1)?;
        println!("Person {i} purchased a ticket successfully");
    }
    Ok(())
}
