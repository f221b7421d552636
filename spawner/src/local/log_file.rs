//! A relay's log: a bounded file, the address that the relay tells in it, and whether the relay still runs.
//!
//! The file is locked as long as a process writes to it: the lock belongs to what the process was started with as its output, and
//! goes when the last of its holders has ended, however it did. So whoever starts relays knows which of them run, also those
//! that another process has started.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// Largest log: it is then kept as `.old`, and begun anew; twice this is what a relay's logs may need.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How far into a run's log the address is looked for: it is told with the first lines.
const START_BYTES_MAX: u64 = 64 * 1024;

/// The log of one run.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Where this run begins in it; `None`: it was begun by another process.
    begun_at: Option<u64>,
    address: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    listen: Option<String>,
}

impl LogFile {
    /// Opens the log for one more run. The process writes it by itself: it would miss a reader that ends before it does.
    ///
    /// # Errors
    /// When it can't be opened, and when a process that was started before still writes to it.
    pub(super) fn open(path: &Path) -> io::Result<(Self, File)> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.try_lock()?;
        let begun_at = Some(file.metadata()?.len());
        Ok((Self { path: path.to_owned(), begun_at, address: None }, file))
    }

    /// The log of a relay that another process has started and that still runs; `None`: none does.
    ///
    /// # Errors
    /// When it can't be told.
    pub(super) fn of_running(path: &Path) -> io::Result<Option<Self>> {
        let running = Self { path: path.to_owned(), begun_at: None, address: None };
        Ok(running.is_written()?.then_some(running))
    }

    /// Whether a process still writes to it.
    ///
    /// # Errors
    /// When it can't be told.
    pub(super) fn is_written(&self) -> io::Result<bool> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        match file.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Where this run listens, once it has said so; not known of a run that another process has begun.
    pub(super) fn address(&mut self) -> Option<String> {
        if self.address.is_none() {
            self.address = self.find_address().ok().flatten();
        }
        self.address.clone()
    }

    fn find_address(&self) -> io::Result<Option<String>> {
        let Some(begun_at) = self.begun_at else { return Ok(None) };
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(begun_at))?;
        let lines = BufReader::new(file.take(START_BYTES_MAX)).split(b'\n');
        let told = |line: Vec<u8>| serde_json::from_slice::<Line>(&line).ok()?.listen;
        Ok(lines.map_while(Result::ok).find_map(told))
    }

    /// Keeps the file from growing for ever. What is written between copy and cut is lost: a log is not worth a pause.
    pub(super) fn bound(&self) {
        let is_large = fs::metadata(&self.path).is_ok_and(|file| file.len() > LOG_BYTES_MAX);
        if is_large && fs::copy(&self.path, self.path.with_extension("log.old")).is_ok() {
            // The process appends, so that its next line comes at the new end.
            let _ = OpenOptions::new().write(true).open(&self.path).and_then(|file| file.set_len(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn address_is_that_of_this_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.log");
        let (mut first, mut file) = LogFile::open(&path).unwrap();
        assert_eq!(first.address(), None);
        file.write_all(b"no JSON\n{\"message\":\"starting\"}\n{\"message\":\"serving\",\"listen\":\"127.0.0.1:1\"}\n")
            .unwrap();
        assert_eq!(first.address().unwrap(), "127.0.0.1:1");
        drop(file);
        let (mut second, mut file) = LogFile::open(&path).unwrap();
        assert_eq!(second.address(), None);
        file.write_all(b"{\"listen\":\"127.0.0.1:2\"}\n").unwrap();
        assert_eq!(second.address().unwrap(), "127.0.0.1:2");
    }

    #[test]
    fn log_is_of_one_process_at_a_time_and_tells_whether_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.log");
        assert!(LogFile::of_running(&path).unwrap().is_none());
        let (log, file) = LogFile::open(&path).unwrap();
        let held_by_the_process = file.try_clone().unwrap();
        drop(file);
        assert!(log.is_written().unwrap());
        assert_eq!(LogFile::open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut adopted = LogFile::of_running(&path).unwrap().unwrap();
        assert_eq!(adopted.address(), None);
        drop(held_by_the_process);
        assert!(!log.is_written().unwrap() && !adopted.is_written().unwrap());
    }

    #[test]
    fn log_that_grew_too_large_is_kept_once_and_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.log");
        let (log, mut file) = LogFile::open(&path).unwrap();
        file.set_len(LOG_BYTES_MAX + 1).unwrap();
        log.bound();
        file.write_all(b"next\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"next\n");
        assert_eq!(fs::metadata(folder.path().join("relay.log.old")).unwrap().len(), LOG_BYTES_MAX + 1);
        log.bound();
        assert_eq!(fs::read(&path).unwrap(), b"next\n");
    }
}
