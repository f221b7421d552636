//! The key that tickets are signed with: made at the first start, kept in a file that only its owner can read.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context as _, Result, anyhow};
use protocol::signing::SigningKey;
use tracing::info;

use crate::private_file::{Draft, make_folder, warn_when_others_can_read};

/// The file in the data folder: an Ed25519 private key in PKCS #8 (RFC 5958), DER.
const FILE_NAME: &str = "ticket-key.der";

/// The key of this data folder; a new one when there is none.
///
/// # Errors
/// A sentence when the folder or file can't be used.
pub(crate) fn load_or_make(data_dir: &Path) -> Result<SigningKey> {
    make_folder(data_dir).with_context(|| {
        format!("can't use the data folder {}; choose one that can be written with --data-dir", data_dir.display())
    })?;
    let path = data_dir.join(FILE_NAME);
    match fs::read(&path) {
        Ok(pkcs8) => {
            warn_when_others_can_read(&path);
            read(&pkcs8, &path)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(&path),
        Err(error) => Err(error).with_context(|| {
            format!("can't read the ticket key {}; let this user read it, or choose another --data-dir", path.display())
        }),
    }
}

fn read(pkcs8: &[u8], path: &Path) -> Result<SigningKey> {
    SigningKey::from_pkcs8(pkcs8).map_err(|_| {
        anyhow!(
            "the ticket key {} is damaged; restore it, or remove it to get a new one (tickets signed with the old one stop \
             working)",
            path.display()
        )
    })
}

/// Makes the key file in one step: a second directory that starts at the same time reads the same key, and nobody reads half a
/// file.
fn make(path: &Path) -> Result<SigningKey> {
    let pkcs8 = SigningKey::generate_pkcs8().context("the system has no randomness for a ticket key")?;
    let wanted = || format!("can't write the ticket key {}; choose another --data-dir", path.display());
    let draft = Draft::write(path, &pkcs8).with_context(wanted)?;
    match draft.put_new(path) {
        Ok(()) => info!(path = %path.display(), "made a ticket key"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(wanted),
    }
    read(&fs::read(path).with_context(wanted)?, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let first = load_or_make(&data_dir).unwrap();
        let again = load_or_make(&data_dir).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let names: Vec<_> = fs::read_dir(&data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE_NAME]);
    }

    #[cfg(unix)]
    #[test]
    fn key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        load_or_make(&data_dir).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data_dir), mode(&data_dir.join(FILE_NAME))), (0o700, 0o600));
    }

    #[test]
    fn damaged_key_is_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), b"not a key").unwrap();
        let error = load_or_make(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is damaged; restore it, or remove it"), "{error}");
    }

    #[test]
    fn data_folder_that_is_a_file_is_a_sentence() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = load_or_make(file.path()).unwrap_err().to_string();
        assert!(error.contains("can't use the data folder"), "{error}");
    }
}
