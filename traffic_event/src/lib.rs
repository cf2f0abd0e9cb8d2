//! The pictures that `copy_file` copies, and the folder for them: the part that is not about events.

#![forbid(unsafe_code)]

use shared::demo::{self, Failure, Outcome};
use shared::process;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What to copy, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct Pictures {
    /// The picture; without it a small one is made
    source: Option<PathBuf>,

    /// The folder for the copies. Without it a private one serves, and is kept
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// Where the pictures are copied to, and the one that comes from outside.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    source: Option<PathBuf>,
    kept: Arc<AtomicBool>,
}

impl Pictures {
    /// Finds the picture and the folder, or makes the folder: private to this user, named on standard error,
    /// and removed if the program ends before it says [`keep`](Folder::keep).
    ///
    /// # Errors
    ///
    /// If one of them is not there, or is not what it should be.
    pub fn open(self) -> Result<Folder, Failure> {
        if let Some(source) = &self.source {
            open(source)?;
        }
        let kept = Arc::new(AtomicBool::new(false));
        let path = match self.into {
            Some(path) => path,
            None => private(Arc::clone(&kept))?,
        };
        if !fs::metadata(&path).map_err(|why| failed(&path, "find", why))?.is_dir() {
            return Err(Failure::new(format!("{}: not a folder", path.display())));
        }
        let folder = Folder { path, source: self.source, kept };
        folder.refuse_source_as_target();
        Ok(folder)
    }
}

impl Folder {
    /// Writes the picture into this file.
    ///
    /// # Errors
    ///
    /// If it cannot be read or written.
    pub fn bring(&self, name: &str) -> Outcome {
        let picture = match &self.source {
            Some(source) => read(source)?,
            None => small_picture(),
        };
        write(&self.path.join(name), &picture)
    }

    /// Copies one file of the folder to another.
    ///
    /// # Errors
    ///
    /// If the one cannot be read, or the other not written.
    pub fn copy(&self, from: &str, to: &str) -> Outcome {
        write(&self.path.join(to), &read(&self.path.join(from))?)
    }

    /// From now on a private folder is not removed at the end.
    pub fn keep(&self) {
        self.kept.store(true, Relaxed);
    }

    /// Opening a file to write empties it. That must not be the picture, under whatever name.
    fn refuse_source_as_target(&self) {
        let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        let Some(source) = &self.source else { return };
        for target in ["file.jpg", "1.jpg", "2.jpg"].map(|name| self.path.join(name)) {
            if identity(&target).is_some_and(|target| Some(target) == identity(source)) {
                let (source, target) = (source.display(), target.display());
                demo::refuse(format!("{source} is {target}, which is to be written"));
            }
        }
    }
}

/// A new folder, with the promise to remove it if nobody wants it kept.
fn private(kept: Arc<AtomicBool>) -> Result<PathBuf, Failure> {
    let only_mine = Permissions::from_mode(0o700);
    let made = tempfile::Builder::new().prefix("copy_file-").permissions(only_mine).tempdir();
    let folder = made.map_err(|why| Failure::new(format!("cannot make a private folder: {why}")))?.keep();
    let path = folder.clone();
    process::at_exit(move || {
        if !kept.load(Relaxed) {
            let _ = fs::remove_dir_all(path);
        }
    });
    eprintln!("pictures in {}", folder.display());
    Ok(folder)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut picture = Vec::new();
    open(path)?.read_to_end(&mut picture).map_err(|why| failed(path, "read", why))?;
    Ok(picture)
}

fn open(path: &Path) -> Result<File, Failure> {
    // A pipe might keep us waiting, and a device might have no end.
    match fs::metadata(path) {
        Ok(file) if file.is_file() => File::open(path).map_err(|why| failed(path, "open", why)),
        Ok(_) => Err(Failure::new(format!("{}: not a file", path.display()))),
        Err(why) => Err(failed(path, "find", why)),
    }
}

fn write(path: &Path, picture: &[u8]) -> Outcome {
    fs::write(path, picture).map_err(|why| failed(path, "write", why))
}

fn failed(path: &Path, what: &str, why: io::Error) -> Failure {
    Failure::new(format!("{}: cannot {what}: {why}", path.display()))
}

/// A grey square of eight by eight, which is the least that a JPEG can be.
fn small_picture() -> Vec<u8> {
    let one_code = |table| [&[0xff, 0xc4, 0, 20, table, 1][..], &[0; 16]].concat();
    [
        &[0xff, 0xd8][..],                                  // start of image
        &[0xff, 0xdb, 0, 67, 0],                            // quantization: 64 steps
        &[1; 64],                                           // ... of 1
        &[0xff, 0xc0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0], // frame: 8 bits, 8 by 8, one component
        &one_code(0x00),                                    // the one code for its brightness: "as before"
        &one_code(0x10),                                    // the one code for its details: "none"
        &[0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0],             // start of scan
        &[0b0011_1111],                                     // "as before", "none", and filling
        &[0xff, 0xd9],                                      // end of image
    ]
    .concat()
}
