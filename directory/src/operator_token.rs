//! The operator's token: made at the first start, in a file that only its owner can read. Whoever can read it may do what operators
//! do.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::Secret;
use tracing::info;

use crate::private_file::{Draft, warn_when_others_can_read};

/// The file in the data folder: the token and the end of the line.
const FILE_NAME: &str = "operator-token";

/// What the token begins with, so that people and programs that look for lost secrets know it.
const PREFIX: &str = "dso_";

/// Characters below which what stands in the file is not a token.
const CHARS_MIN: usize = 32;

/// The token of this data folder; a new one when there is none.
///
/// # Errors
/// A sentence when the file can't be used.
pub(crate) fn load_or_make(data_dir: &Path) -> Result<Secret> {
    let path = data_dir.join(FILE_NAME);
    if !path.exists() {
        let mut random = [0; 24];
        rand::fill(&mut random).ok().context("the system has no randomness for an operator's token")?;
        let token = format!("{PREFIX}{}\n", URL_SAFE_NO_PAD.encode(random));
        let written = Draft::write(&path, token.as_bytes()).and_then(|draft| draft.put_new(&path));
        match written {
            Ok(()) => info!(path = %path.display(), "made an operator's token"),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                let wanted = format!("can't write {}; choose another --data-dir", path.display());
                return Err(error).context(wanted);
            }
        }
    }
    warn_when_others_can_read(&path);
    load(data_dir)
}

/// The token of this data folder.
///
/// # Errors
/// A sentence when there is none, or it can't be read.
pub(crate) fn load(data_dir: &Path) -> Result<Secret> {
    let path = data_dir.join(FILE_NAME);
    let text = fs::read_to_string(&path).with_context(|| {
        format!("can't read {}; give the --data-dir of a directory that runs, and be its user", path.display())
    })?;
    let token = text.trim();
    ensure!(
        token.len() >= CHARS_MIN && token.bytes().all(|byte| byte.is_ascii_graphic()),
        "{} is damaged; remove it, and the directory makes another when it starts",
        path.display()
    );
    Ok(token.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("give the --data-dir"));
        let token = load_or_make(folder.path()).unwrap();
        assert!(token.expose().starts_with("dso_") && token.expose().len() == 36);
        assert_eq!(load_or_make(folder.path()).unwrap(), token);
        assert_eq!(load(folder.path()).unwrap(), token);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn damaged_token_is_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "short", &"two words ".repeat(9)] {
            fs::write(folder.path().join(FILE_NAME), text).unwrap();
            assert!(load_or_make(folder.path()).unwrap_err().to_string().contains("is damaged"), "{text}");
        }
    }
}
