//! Reading the ticket file with suspicion, and replacing it whole.

use crate::run::RunLock;
use serde_json::{Map, Value};
use shared::process;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A file that says how many tickets are left. Of one run, and all its processes.
#[derive(Debug)]
pub struct TicketFile {
    path: PathBuf,
    /// Held by all processes of the run, until the last has ended.
    _run: RunLock,
}

/// Why the tickets cannot be sold.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// The system would not do something with the file.
    #[error("{path}: cannot {what}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What was to be done with it.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// What is in the file is no number of tickets.
    #[error("{path}: not a ticket file: {why}")]
    Spoilt {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The steps by which a file is replaced, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new file beside the old one.
    Create,
    /// The new content goes there.
    Write,
    /// It is on the disk before anybody can see it.
    Sync,
    /// It takes the old one's place, in one step.
    Rename,
    /// The change of place is on the disk too.
    SyncFolder,
}

const PRIVATE: &str = "ticket_lock-";

impl TicketFile {
    /// Opens `file` as it is, or makes it with so many tickets in it.
    ///
    /// # Errors
    ///
    /// If it cannot be read or made, or is no ticket file.
    pub fn open(file: &Path, tickets: u64) -> Result<TicketFile, TicketError> {
        let failed = |what, source| TicketError::Io { path: file.display().to_string(), what, source };
        let path = real_path(file).map_err(|error| failed("find", error))?;
        let run = RunLock::wait_for(&path).map_err(|error| failed("reserve", error))?;
        let tickets_file = TicketFile { path, _run: run };
        tickets_file.sweep();
        match fs::symlink_metadata(&tickets_file.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => tickets_file.save(tickets)?,
            // Whatever is wrong with it is found before any process has started.
            _ => drop(tickets_file.count()?),
        }
        Ok(tickets_file)
    }

    /// Makes one in a folder of its own, which is removed when the program ends. A killed program removes
    /// nothing: then the next run does.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn private(tickets: u64) -> Result<TicketFile, TicketError> {
        let all = std::env::temp_dir();
        sweep_private(&all);
        let folder = all.join(format!("{PRIVATE}{:016x}", rand::random::<u64>()));
        let path = folder.join("db");
        let failed = |what, source| TicketError::Io { path: path.display().to_string(), what, source };
        // Reserved before it is there: nobody else can find it unreserved and sweep it.
        let run = RunLock::wait_for(&path).map_err(|error| failed("reserve", error))?;
        DirBuilder::new().mode(0o700).create(&folder).map_err(|error| failed("make", error))?;
        process::at_exit(move || drop(fs::remove_dir_all(folder)));
        let file = TicketFile { path, _run: run };
        file.save(tickets)?;
        Ok(file)
    }

    /// How many tickets are left.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no ticket file.
    pub fn count(&self) -> Result<u64, TicketError> {
        count_of(&self.read()?).map_err(|why| self.spoilt(why))
    }

    /// Replaces the file by one with this count. Whatever goes wrong, the old file or the new one is there,
    /// whole; and when this returns well, the new one is there even after a power cut.
    ///
    /// # Errors
    ///
    /// If the system refuses a step.
    pub fn save(&self, count: u64) -> Result<(), TicketError> {
        self.save_step_by_step(count, |_| Ok(()))
    }

    /// As [`save`](Self::save), asking before each step: the seam at which tests let a step fail.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    pub fn save_step_by_step(
        &self,
        count: u64,
        mut before: impl FnMut(Step) -> io::Result<()>,
    ) -> Result<(), TicketError> {
        let mut content = match fs::symlink_metadata(&self.path) {
            Ok(_) => self.read()?,
            Err(_) => Map::new(),
        };
        content.insert("count".to_owned(), count.into());
        let text = Value::from(content).to_string();

        // Another process may be saving too, if nothing keeps it from that: each has its own new file.
        let new = self.beside(&format!("{}{NEW}", std::process::id()));
        let saved = (|| {
            before(Step::Create)?;
            let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
            if let Ok(old) = fs::metadata(&self.path) {
                file.set_permissions(old.permissions())?;
            }
            before(Step::Write)?;
            file.write_all(text.as_bytes())?;
            before(Step::Sync)?;
            file.sync_all()?;
            before(Step::Rename)?;
            fs::rename(&new, &self.path)?;
            before(Step::SyncFolder)?;
            File::open(folder_of(&self.path))?.sync_all()
        })();
        saved.map_err(|source| {
            let _ = fs::remove_file(&new);
            self.failed("save", source)
        })
    }

    fn read(&self) -> Result<Map<String, Value>, TicketError> {
        let text = fs::read_to_string(&self.path).map_err(|error| self.failed("read", error))?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(content)) => Ok(content),
            Ok(_) => Err(self.spoilt("it is not an object".to_owned())),
            Err(error) => Err(self.spoilt(error.to_string())),
        }
    }

    /// Removes what a killed process was about to put in place. The run is ours, so none is at work.
    fn sweep(&self) {
        let start = self.beside("");
        let Ok(entries) = fs::read_dir(folder_of(&self.path)) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let (name, start) = (path.as_os_str().as_encoded_bytes(), start.as_os_str().as_encoded_bytes());
            if name.starts_with(start) && name.ends_with(NEW.as_bytes()) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// `.db.TAG`, in the folder of `db`.
    fn beside(&self, tag: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".");
        name.push(tag);
        folder_of(&self.path).join(name)
    }

    fn failed(&self, what: &'static str, source: io::Error) -> TicketError {
        TicketError::Io { path: self.path.display().to_string(), what, source }
    }

    fn spoilt(&self, why: String) -> TicketError {
        TicketError::Spoilt { path: self.path.display().to_string(), why }
    }
}

/// The end of a new file's name.
const NEW: &str = ".new";

fn count_of(content: &Map<String, Value>) -> Result<u64, String> {
    let count = content.get("count").ok_or("it has no \"count\"")?;
    count.as_u64().ok_or_else(|| format!("its \"count\" is {count}, which is no number of tickets"))
}

/// The file itself, behind all links: that is what is replaced, and what two runs have in common.
fn real_path(file: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = file.file_name().ok_or(error)?;
            Ok(fs::canonicalize(folder_of(file))?.join(name))
        }
        found => found,
    }
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes the private folders of runs that were killed: those that nobody has reserved.
fn sweep_private(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for folder in
        entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PRIVATE.as_bytes()))
    {
        if let Ok(Some(_mine_meanwhile)) = RunLock::try_get(&folder.path().join("db")) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, TicketError, TicketFile};
    use std::fs;
    use std::io;

    fn listing(folder: &std::path::Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the folder is there");
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_save_that_fails_at_any_step_leaves_the_old_file_or_the_new_one_whole() {
        for failing in [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncFolder] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("db");
            let file = TicketFile::open(&path, 3).expect("a new file");
            let saved = file.save_step_by_step(2, |step| {
                if step == failing { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
            });
            assert!(matches!(saved, Err(TicketError::Io { what: "save", .. })), "{failing:?}: {saved:?}");
            let renamed = failing == Step::SyncFolder;
            let expected = if renamed { r#"{"count":2}"# } else { r#"{"count":3}"# };
            assert_eq!(fs::read_to_string(&path).expect("readable"), expected, "{failing:?}");
            assert_eq!(listing(folder.path()), ["db"], "{failing:?}: something was left behind");
        }
    }

    #[test]
    fn what_else_the_file_says_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("db");
        fs::write(&path, r#"{"train":"G1","count":3}"#).expect("written");
        let file = TicketFile::open(&path, 0).expect("a ticket file");
        file.save(2).expect("saved");
        let text = fs::read_to_string(&path).expect("readable");
        assert!(text.contains(r#""train":"G1""#) && text.contains(r#""count":2"#), "{text}");
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [".db.4711.new", ".dbx.4711.new", "db.new"] {
            fs::write(folder.path().join(name), "half").expect("written");
        }
        drop(TicketFile::open(&folder.path().join("db"), 3).expect("a new file"));
        let mut left = listing(folder.path());
        left.sort();
        assert_eq!(left, [".dbx.4711.new", "db", "db.new"]);
    }
}
