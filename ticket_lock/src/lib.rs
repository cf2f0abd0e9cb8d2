//! The ticket file, which the programs of this crate compete for: `{"count":3}`.
//!
//! This is the part that is not about locks. It reads a file that anybody may have spoilt, and replaces it
//! so that whoever looks, at whatever moment, finds the old file or the new one and never half of one. It
//! does *not* keep two processes from reading the same count: that is what the programs are about.

mod file;
mod run;

pub use file::{Step, TicketError, TicketFile};

use std::path::PathBuf;

/// What there is to sell, and to how many.
#[derive(Clone, Debug, clap::Args)]
pub struct Sale {
    /// The ticket file; a missing one is made. Without it a private one serves, removed at the end
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,

    /// How many tickets a new file has
    #[arg(long, value_name = "N", default_value_t = 3)]
    tickets: u64,

    /// How many people want one
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub people: u32,
}

impl Sale {
    /// Opens the ticket file for this run; other runs on the same file wait until this one has ended.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or made, or is no ticket file.
    pub fn open(&self) -> Result<TicketFile, TicketError> {
        match &self.db {
            Some(file) => TicketFile::open(file, self.tickets),
            None => TicketFile::private(self.tickets),
        }
    }
}
