//! Files in the data folder that only their owner can read, and that are never seen half written.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tracing::warn;

/// A file under another name, removed at the end unless it was put in its place.
pub(crate) struct Draft(PathBuf);

impl Draft {
    /// A draft of the file at `path`, with all of its content on the disk.
    pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let draft = Self(path.with_extension(format!("draft-{}", std::process::id())));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file: File = options.open(&draft.0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(draft)
    }

    /// Puts it in place of what is at `path`.
    pub(crate) fn replace(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)?;
        // The new name is to outlive a loss of power; where folders can't be synchronized, it nearly always does.
        if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Puts it at `path`, unless something is there: [`io::ErrorKind::AlreadyExists`].
    pub(crate) fn put_new(self, path: &Path) -> io::Result<()> {
        fs::hard_link(&self.0, path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a folder that only its owner can look into.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Says so in the log when others than its owner can read a file.
#[cfg(unix)]
pub(crate) fn warn_when_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        warn!(path = %path.display(), "others can read this secret file; `chmod 600` it");
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_when_others_can_read(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draft_takes_its_place_or_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        Draft::write(&path, b"one").unwrap().put_new(&path).unwrap();
        let taken = Draft::write(&path, b"two").unwrap().put_new(&path).unwrap_err();
        assert_eq!((taken.kind(), fs::read(&path).unwrap()), (io::ErrorKind::AlreadyExists, b"one".to_vec()));
        Draft::write(&path, b"three").unwrap().replace(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
