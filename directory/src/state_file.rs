//! What the directory knows for good: a value in memory and the same in a file, versioned JSON. The file is first: what could not
//! be written did not happen.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::sync::Mutex;
use tracing::error;

use crate::private_file::{Draft, warn_when_others_can_read};

/// The form of the files that this release reads and writes.
const VERSION: u32 = 1;

/// What can be kept.
pub(crate) trait State: Serialize + DeserializeOwned + Clone + Default + PartialEq + Send + 'static {
    /// The file in the data folder.
    const FILE_NAME: &'static str;

    /// What is lost with the file, for the operator who thinks of removing a damaged one.
    const LOST_WITHOUT: &'static str;
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    value: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// A change that could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the change could not be written to the data folder; the directory's log says why")]
pub(crate) struct NotWritten;

/// A value and its file.
pub(crate) struct Kept<T> {
    path: PathBuf,
    value: Mutex<Arc<T>>,
}

impl<T: State + Sync> Kept<T> {
    /// The value of this data folder; an empty one when there is none.
    ///
    /// # Errors
    /// A sentence when there is a file, but it can't be read or is damaged. It is left as it is.
    pub(crate) fn load(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(T::FILE_NAME);
        let value = match fs::read(&path) {
            Ok(bytes) => {
                warn_when_others_can_read(&path);
                parse(&bytes, &path)?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => T::default(),
            Err(error) => {
                let asked = "let this user read it, or choose another --data-dir";
                return Err(error).with_context(|| format!("can't read {}; {asked}", path.display()));
            }
        };
        Ok(Self { path, value: Mutex::new(Arc::new(value)) })
    }

    /// The value as it is now.
    pub(crate) async fn get(&self) -> Arc<T> {
        Arc::clone(&*self.value.lock().await)
    }

    /// Changes the value and, when it is another one then, the file.
    pub(crate) async fn change<R, E: From<NotWritten>>(
        &self,
        work: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut value = self.value.lock().await;
        let mut changed = T::clone(&value);
        let result = work(&mut changed)?;
        if changed != **value {
            let changed = Arc::new(changed);
            self.write(Arc::clone(&changed)).await?;
            *value = changed;
        }
        Ok(result)
    }

    async fn write(&self, value: Arc<T>) -> Result<(), NotWritten> {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            let text = serde_json::to_vec_pretty(&Versioned { version: VERSION, value: &*value })?;
            Draft::write(&path, &text)?.replace(&path)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                error!(%error, path = %self.path.display(), "what is to outlive a restart could not be written");
                Err(NotWritten)
            }
            Err(_) => Err(NotWritten), // the process ends
        }
    }
}

fn parse<T: State>(bytes: &[u8], path: &Path) -> Result<T> {
    let shown = path.display();
    if let Ok(VersionOnly { version }) = serde_json::from_slice(bytes)
        && version != VERSION
    {
        bail!(
            "{shown} is of version {version}, and this release reads version {VERSION}; use the release that wrote it"
        );
    }
    let read: Versioned<T> = serde_json::from_slice(bytes).with_context(|| {
        let lost = T::LOST_WITHOUT;
        format!("{shown} is damaged; restore it from a copy, or remove it and lose {lost}")
    })?;
    Ok(read.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    struct Notes {
        notes: Vec<String>,
    }

    impl State for Notes {
        const FILE_NAME: &'static str = "notes.json";
        const LOST_WITHOUT: &'static str = "all notes";
    }

    async fn note(kept: &Kept<Notes>, text: &str) -> Result<(), NotWritten> {
        kept.change(|notes| {
            notes.notes.push(text.to_owned());
            Ok(())
        })
        .await
    }

    #[tokio::test]
    async fn what_was_changed_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::<Notes>::load(folder.path()).unwrap();
        assert_eq!(*kept.get().await, Notes::default());
        note(&kept, "one").await.unwrap();
        note(&kept, "two").await.unwrap();
        let again = Kept::<Notes>::load(folder.path()).unwrap();
        assert_eq!(again.get().await.notes, ["one", "two"]);
    }

    #[tokio::test]
    async fn what_could_not_be_written_did_not_happen() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::<Notes>::load(&folder.path().join("gone")).unwrap();
        assert_eq!(note(&kept, "one").await, Err(NotWritten));
        assert_eq!(*kept.get().await, Notes::default());
    }

    #[test]
    fn damaged_file_is_a_sentence_and_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(Notes::FILE_NAME);
        for (text, expected) in [
            ("{\"version\":1,\"notes\":[\"hal", "is damaged; restore it from a copy, or remove it and lose all notes"),
            ("{\"notes\":[]}", "is damaged"),
            ("", "is damaged"),
            ("{\"version\":2,\"others\":[]}", "is of version 2, and this release reads version 1"),
        ] {
            fs::write(&path, text).unwrap();
            let error = Kept::<Notes>::load(folder.path()).err().unwrap();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
