//! Queues whose words are overwritten: whatever stands there, calls answer, and touch nothing else.

mod harness;

use shared::channel::JoinableQueue;
use shared::channel::{TryGetError, TryPutError};
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

harness::main! {
    trials {
        a_scribbled_queue_answers_and_touches_nothing_else within 120,
        hints_that_lead_far_away_keep_nobody,
    }
}

/// Whatever a stranger writes over the words: no call may crash or hang.
fn a_scribbled_queue_answers_and_touches_nothing_else() {
    let memory = fs::OpenOptions::new().write(true).open("/proc/self/mem").expect("/proc");
    let mut random = 7_u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 20) % below
    };
    let mut corrupt = 0;
    for _ in 0..60 {
        let queue = JoinableQueue::<Vec<u8>>::bounded(8);
        for len in [1, 50, 200, 20_000, 7] {
            queue.put(vec![3; len]).unwrap();
        }
        let _ = queue.get();
        // The words, the map and the first places: all in the parts that have memory.
        let pages = harness::tools::shared_pages();
        for _ in 0..=draw(8) {
            let page = pages[draw(pages.len() as u64) as usize] as u64;
            let word = match draw(4) {
                0 => 0,
                1 => !0,
                2 => draw(1 << 20),
                _ => draw(u64::MAX),
            };
            memory.write_at(&word.to_ne_bytes(), page + 8 * draw(512)).expect("mapped");
        }
        let _ = (queue.len(), queue.is_full(), queue.is_empty());
        for _ in 0..10 {
            corrupt += u32::from(matches!(queue.try_put(vec![4; 300]), Err(TryPutError::Corrupt(_))));
            corrupt += u32::from(matches!(queue.try_get(), Err(TryGetError::Corrupt)));
            drop(queue.try_get_lease());
            let _ = queue.task_done();
        }
        let _ = queue.get_timeout(Duration::from_millis(1));
        let _ = queue.join_timeout(Duration::from_millis(1));
        queue.close_now();
    }
    println!("{corrupt} calls said so");
    assert!(corrupt > 0, "{corrupt}");
}

/// Hints that say that there are more positions than any queue ever has: nobody walks them one by one.
fn hints_that_lead_far_away_keep_nobody() {
    const HINTS: [u64; 8] = [0, 128, 256, 384, 392, 400, 408, 416];
    let memory = fs::OpenOptions::new().read(true).write(true).open("/proc/self/mem").expect("/proc");
    let queue = JoinableQueue::<u32>::bounded(8);
    (0..3).for_each(|n| queue.put(n).unwrap());
    let begins_with_3 = |page: &u64| {
        let mut tail = [0; 8];
        memory.read_exact_at(&mut tail, *page).expect("mapped");
        u64::from_ne_bytes(tail) == 3
    };
    let mut pages = harness::tools::shared_pages().into_iter().map(|page| page as u64);
    let start = pages.find(begins_with_3).expect("that of the hints");
    for one in HINTS {
        for other in HINTS {
            for number in [1, 4_000_000, 1 << 40, (1 << 52) - 1, u64::MAX] {
                let queue = queue.clone();
                HINTS.iter().for_each(|hint| memory.write_all_at(&[0; 8], start + hint).expect("mapped"));
                memory.write_all_at(&number.to_ne_bytes(), start + one).expect("mapped");
                memory.write_all_at(&number.wrapping_add(1).to_ne_bytes(), start + other).expect("mapped");
                let _ = (queue.len(), queue.is_full(), queue.is_empty());
                let _ = (queue.try_get(), queue.try_put(1), queue.task_done());
                let _ = queue.join_timeout(Duration::ZERO);
            }
        }
    }
}
