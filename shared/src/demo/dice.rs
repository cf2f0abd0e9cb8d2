//! The draws of the stories: random, or the same again with `--seed`.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::RangeInclusive;

/// The option `--seed`, for examples that draw numbers.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Seed {
    /// Draw the same numbers as the run that showed this seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Seed {
    /// The dice of this run. Without `--seed` a seed is drawn, and shown on standard error.
    pub fn dice(&self) -> Dice {
        let seed = self.seed.unwrap_or_else(|| {
            let seed = rand::random_range(0..1_000_000);
            eprintln!("seed {seed}");
            seed
        });
        Dice { seed }
    }
}

/// Where each one of the cast gets his own stream of numbers: they depend on the seed and on who draws, and
/// not on who comes first.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    seed: u64,
}

impl Dice {
    /// The numbers of number `who` of the cast.
    pub fn of(&self, who: u64) -> Draws {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&who.to_le_bytes());
        Draws(StdRng::from_seed(seed))
    }
}

/// One stream of numbers.
#[derive(Debug)]
pub struct Draws(StdRng);

impl Draws {
    /// The next number, both ends included: Python's `randint`.
    pub fn draw(&mut self, range: RangeInclusive<u32>) -> u32 {
        self.0.random_range(range)
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_numbers_depend_on_the_seed_and_on_who_draws() {
        let numbers = |seed, who| {
            let mut draws = Dice { seed }.of(who);
            [(); 8].map(|()| draws.draw(1..=1000))
        };
        assert_eq!(numbers(1, 2), numbers(1, 2));
        assert_ne!(numbers(1, 2), numbers(1, 3));
        assert_ne!(numbers(1, 2), numbers(2, 2));
    }
}
