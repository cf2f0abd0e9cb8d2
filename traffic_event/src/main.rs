//! **An event is one flag that many wait for: the light sets it once, and every waiting car drives on.**
//!
//! # The original
//!
//! ```python
//! def traffic_light(e):
//!     print('\033[1;31m red light \033[0m')
//!     while True:
//!         time.sleep(2)
//!         if e.is_set():
//!             print('\033[1;31m red light \033[0m')
//!             e.clear()
//!         else:
//!             print('\033[1;32m green light \033[0m')
//!             e.set()
//!
//! def car(id, e):
//!     if not e.is_set():
//!         print('car %s waits' % id)
//!         e.wait()
//!     print('car %s through' % id)
//!
//! def police_car(id, e):
//!     if not e.is_set():
//!         e.wait(timeout=0.5)
//!     print('police car %s through' % id)
//!
//! for i in range(20):
//!     p = Process(target=random.choice([car, police_car]), args=(i, e))
//!     p.start()
//!     time.sleep(random.randrange(0, 3, 2))
//! ```
//!
//! # Run it
//!
//! `cargo run -p traffic_event`
//!
//! # You will see
//!
//! Red and green in turn, two seconds each. Who comes at red waits, and all who wait are through at the next
//! green, in any order; the police wait half a second at most. Who comes when varies (`--seed` repeats it).
//! When all are through the program ends; with `--forever` the light goes on, as it does in Python.
//!
//! # Try breaking it
//!
//! With `--time-scale 0` the light changes as fast as it can, and a green may be over before a car that it
//! wakes has looked up. The car is through all the same, for a wait ends because the event *was* set. (Python's
//! `wait` looks at the flag once more, and would tell that car `False`.) Or kill the light, the first child in
//! `ps`: nobody is left waiting for it.
#![forbid(unsafe_code)]

use shared::channel::wait;
use shared::demo::{self, Color, Demo, Seed};
use shared::process::{self, Builder};
use shared::sync::Event;

/// Cars wait for the green light, police cars not for long.
#[derive(clap::Parser)]
struct Options {
    /// How many vehicles come along
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    vehicles: u32,
    /// No police
    #[arg(long)]
    only_cars: bool,
    /// Leave the light on when everybody is through
    #[arg(long)]
    forever: bool,
    #[command(flatten)]
    seed: Seed,
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { vehicles, only_cars, forever, seed, demo } = demo::options();
    let dice = seed.dice();

    // The event before all who share it. It begins unset: red.
    let e = &Event::new();

    process::scope(|s| {
        // The light before the traffic. It has no end of its own, so it must be a daemon, or the program
        // would have none either.
        let light = Builder::new().name("traffic light").daemon(true);
        let light = light.spawn_scoped(s, || traffic_light(e, demo))?;

        // The vehicles are daemons for another reason: who waits for the light must not outlive it.
        let mut traffic = Vec::new();
        for id in 0..vehicles {
            let mut draws = dice.of(id.into());
            let police = draws.draw(0..=1) == 1 && !only_cars;
            let name = format!("{} {id}", if police { "police car" } else { "car" });
            let vehicle = Builder::new().name(name).daemon(true);
            let drive = move || if police { police_car(id, e, demo) } else { car(id, e) };
            traffic.push(vehicle.spawn_scoped(s, drive)?);

            // The document's pause, which ends early if the light does: a dead light never turns green, and
            // an event knows nothing of who was to set it.
            if light.wait_timeout(demo.time((2 * draws.draw(0..=1)).into())) {
                return Ok(light.join()?);
            }
        }

        // Everybody is waited for, since the end of the scope would stop them where they are; and again no
        // longer than the light lives.
        for vehicle in &traffic {
            if wait(&[&light, vehicle], None).contains(&0) {
                return Ok(light.join()?);
            }
        }
        demo::join_all(traffic)?;
        if forever {
            light.join()?;
        }
        Ok(())
    })
}

fn traffic_light(e: &Event, demo: Demo) {
    println!("{}", demo.paint(Color::Red, " red light "));
    loop {
        demo.sleep(2.0);
        if e.is_set() {
            println!("{}", demo.paint(Color::Red, " red light "));
            e.clear();
        } else {
            println!("{}", demo.paint(Color::Green, " green light "));
            // After the print, or a car could be through before anybody has seen the green.
            e.set();
        }
    }
}

fn car(id: u32, e: &Event) -> demo::Outcome {
    if !e.is_set() {
        println!("car {id} waits");

        // It may have turned green since the car looked. Then this does not wait at all: looking and falling
        // asleep are one step here, which `while !e.is_set() { sleep }` could not be.
        e.wait();
    }
    println!("car {id} through");
    Ok(())
}

fn police_car(id: u32, e: &Event, demo: Demo) -> demo::Outcome {
    if !e.is_set() {
        // Green or not, after this time it drives: the answer is of no interest.
        let _green = e.wait_timeout(demo.time(0.5));
    }
    println!("police car {id} through");
    Ok(())
}
