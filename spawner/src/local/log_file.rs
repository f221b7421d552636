//! A relay's log: a bounded file, and the address that the relay tells in it.

use std::{
    fs::{self, File, OpenOptions},
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
    begun_at: u64,
    address: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    listen: Option<String>,
}

impl LogFile {
    /// Opens the log for one more run. The process writes it by itself: it would miss a reader that ends before it does.
    pub(super) fn open(path: &Path) -> io::Result<(Self, File)> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let begun_at = file.metadata()?.len();
        Ok((Self { path: path.to_owned(), begun_at, address: None }, file))
    }

    /// Where this run listens, once it has said so.
    pub(super) fn address(&mut self) -> Option<String> {
        if self.address.is_none() {
            self.address = self.find_address().ok().flatten();
        }
        self.address.clone()
    }

    fn find_address(&self) -> io::Result<Option<String>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.begun_at))?;
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
        let (mut second, mut file) = LogFile::open(&path).unwrap();
        assert_eq!(second.address(), None);
        file.write_all(b"{\"listen\":\"127.0.0.1:2\"}\n").unwrap();
        assert_eq!(second.address().unwrap(), "127.0.0.1:2");
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
