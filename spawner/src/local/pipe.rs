//! The pipe by which a relay's guard is told to stop its relay. It has a name in the relay's folder: who starts relays after us finds
//! it there.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    process::Command,
};

use super::guard::STOP;

/// Our end of it. The guard goes on as long as somebody holds one, and for a time without.
#[derive(Debug)]
pub(super) struct Pipe(File);

impl Pipe {
    /// Opens the pipe, which is made when it is not there.
    ///
    /// # Errors
    /// When it can't be made or opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !is_pipe(path)? {
            // What POSIX has every system bring is not in every system's library.
            let made = Command::new("mkfifo").args(["-m", "600"]).arg(path).output()?;
            if !made.status.success() {
                return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).trim().to_owned()));
            }
        }
        // For both directions, as opening it for one waits until somebody opens it for the other.
        OpenOptions::new().read(true).write(true).open(path).map(Self)
    }

    /// Has the guard stop its relay.
    ///
    /// # Errors
    /// When it can't be told.
    pub(super) fn stop(&mut self) -> io::Result<()> {
        self.0.write_all(STOP)
    }
}

/// Whether it is there; what is there and is no pipe is an error.
fn is_pipe(path: &Path) -> io::Result<bool> {
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?.file_type(),
    };
    #[cfg(unix)]
    let is_pipe = std::os::unix::fs::FileTypeExt::is_fifo(&found);
    #[cfg(not(unix))]
    let is_pipe = found.is_file();
    if is_pipe { Ok(true) } else { Err(io::Error::other("something else is there")) }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    fn word_reaches_who_reads_and_the_end_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mut first = Pipe::open(&path).unwrap();
        let second = Pipe::open(&path).unwrap();
        let mut guard = BufReader::new(File::open(&path).unwrap());
        first.stop().unwrap();
        let mut word = String::new();
        guard.read_line(&mut word).unwrap();
        assert_eq!(word, "stop\n");
        drop((first, second));
        assert_eq!(guard.read_line(&mut word).unwrap(), 0);
    }

    #[test]
    fn other_things_in_its_place_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        std::fs::write(&path, "").unwrap();
        assert!(Pipe::open(&path).is_err());
        assert!(Pipe::open(&folder.path().join("nowhere/pipe")).is_err());
    }
}
