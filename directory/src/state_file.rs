//! What the directory knows for good: a value in memory and the same in a file, versioned JSON. The file is first: what could not
//! be written did not happen. Directories that share a store share the value, too.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::sync::Mutex;
use tracing::{error, warn};

use crate::{
    private_file::{Draft, warn_when_others_can_read},
    sharing::Link,
    store::{Entry, Put, Tag},
};

/// The form of the files that this release reads and writes.
const VERSION: u32 = 1;

/// How often a change is tried anew that another directory was faster with.
const TRIES_MAX: usize = 8;

/// What can be kept.
pub(crate) trait State: Serialize + DeserializeOwned + Clone + Default + PartialEq + Send + 'static {
    /// The file in the data folder.
    const FILE_NAME: &'static str;

    /// What is lost with the file, for the operator who thinks of removing a damaged one.
    const LOST_WITHOUT: &'static str;

    /// The entry in the store that directories share.
    const KEY: &'static str;

    /// Takes over what another directory knows. It must not matter in which order and how often this is done; what somebody was
    /// refused for stays so.
    fn merge(&mut self, other: &Self, now_s: u64);
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

/// A value, and the state of the shared one that it knows of.
struct Held<T> {
    value: Arc<T>,
    tag: Option<Tag>,
}

/// A value and its file.
pub(crate) struct Kept<T> {
    path: PathBuf,
    held: Mutex<Held<T>>,
    link: OnceLock<Arc<Link>>,
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
        Ok(Self { path, held: Mutex::new(Held { value: Arc::new(value), tag: None }), link: OnceLock::new() })
    }

    /// From now on it is shared.
    pub(crate) fn share(&self, link: Arc<Link>) {
        // Asked once, at the start.
        let _ = self.link.set(link);
    }

    /// The value as it is now.
    pub(crate) async fn get(&self) -> Arc<T> {
        Arc::clone(&self.held.lock().await.value)
    }

    /// Changes the value and, when it is another one then, the file and what is shared. `work` is done anew on what another directory has
    /// made of the value meanwhile.
    pub(crate) async fn change<R, E: From<NotWritten>>(
        &self,
        mut work: impl FnMut(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut held = self.held.lock().await;
        for _ in 0..TRIES_MAX {
            let mut changed = T::clone(&held.value);
            let result = work(&mut changed)?;
            if changed == *held.value {
                return Ok(result);
            }
            let changed = Arc::new(changed);
            self.write(Arc::clone(&changed)).await?;
            let Some(theirs) = self.tell(&mut held.tag, &changed).await else {
                held.value = changed;
                return Ok(result);
            };
            let merged = Arc::new(self.merged(&held.value, &theirs));
            self.write(Arc::clone(&merged)).await?;
            held.value = merged;
        }
        warn!(key = T::KEY, "a change was given up: other directories were faster each time");
        Err(NotWritten.into())
    }

    /// Takes over what another directory has made of the value. Tells what it was and what it is now.
    pub(crate) async fn absorb(&self, entry: &Entry) -> Option<(Arc<T>, Arc<T>)> {
        let Ok(theirs) = serde_json::from_str::<T>(&entry.text) else {
            warn!(key = T::KEY, "what another directory shares can't be read; is it of another release?");
            return None;
        };
        let mut held = self.held.lock().await;
        let before = Arc::clone(&held.value);
        let merged = Arc::new(self.merged(&before, &theirs));
        if *merged != *before {
            // Also when it can't be written: who was shut out is shut out.
            let _ = self.write(Arc::clone(&merged)).await;
        }
        // Together: who knows the tag has heard what belongs to it.
        (held.value, held.tag) = (Arc::clone(&merged), Some(entry.tag));
        if *merged != theirs {
            // If somebody is faster, what they say is heard next.
            let _ = self.tell(&mut held.tag, &merged).await;
        }
        Some((before, merged))
    }

    /// Tells the others what it is, when they have nothing.
    pub(crate) async fn tell_all(&self) {
        let mut held = self.held.lock().await;
        let value = Arc::clone(&held.value);
        if *value != T::default() {
            // If somebody is faster, what they say is heard next.
            let _ = self.tell(&mut held.tag, &value).await;
        }
    }

    /// Tells the others, as far as there are any. What they have come up with meanwhile, when they were faster.
    async fn tell(&self, tag: &mut Option<Tag>, value: &T) -> Option<T> {
        let link = self.link.get().filter(|link| link.is_there())?;
        let text = serde_json::to_string(value).ok()?;
        loop {
            match link.put(T::KEY, *tag, Some(&text), None).await {
                Ok(Put::Done(done)) => *tag = done,
                Ok(Put::Other(Some(there))) => {
                    *tag = Some(there.tag);
                    return serde_json::from_str(&there.text).ok();
                }
                // The store was emptied since: nobody else has said anything.
                Ok(Put::Other(None)) if tag.take().is_some() => continue,
                Ok(Put::Other(None)) | Err(_) => {} // those who can't be told now are told when they can
            }
            return None;
        }
    }

    fn merged(&self, value: &T, theirs: &T) -> T {
        let mut merged = value.clone();
        merged.merge(theirs, self.link.get().map_or(0, |link| link.now_s()));
        merged
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
        const KEY: &'static str = "notes";

        fn merge(&mut self, other: &Self, _: u64) {
            self.notes
                .extend(other.notes.iter().filter(|note| !self.notes.contains(note)).cloned().collect::<Vec<_>>());
            self.notes.sort_unstable();
        }
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
