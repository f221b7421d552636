//! What several directories share: entries under keys, changed by compare-and-set, each change told to all who follow. Knows nothing
//! of streams and relays.

mod address;
mod memory;
mod redis;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::rand;
use futures_util::stream::BoxStream;
use thiserror::Error;

pub use self::{
    address::{InvalidStoreAddress, StoreAddress},
    memory::MemoryStore,
    redis::RedisStore,
};

/// Says which state of an entry is meant. Random, so that no state of a store that was emptied meanwhile passes for one of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(u64);

impl Tag {
    fn random() -> Result<Self, Away> {
        let mut bytes = [0; 8];
        rand::fill(&mut bytes).map_err(|_| Away("the system has no randomness to give".to_owned()))?;
        Ok(Self(u64::from_le_bytes(bytes)))
    }
}

/// What lies under a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its state.
    pub tag: Tag,
    /// What it says. May hold hashes of secrets: not for logs.
    pub text: String,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:?}, {} bytes)", self.tag, self.text.len())
    }
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It was made. The tag is none when the entry was removed.
    Done(Option<Tag>),
    /// It was not: this is what lies there.
    Other(Option<Entry>),
}

/// One change, of whomever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The entry's key.
    pub key: String,
    /// What lies there from then on.
    pub entry: Option<Entry>,
}

/// All changes from the moment on that this was asked for. It ends when some may have been missed.
pub type Changes = BoxStream<'static, Change>;

/// The store can't be asked right now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Away(pub(crate) String);

/// Where several directories share what they know. All calls give up within seconds.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Changes the entry of a key, if it still is in the state `before` (none: if there is no entry), and tells everybody. Without a `text`
    /// the entry is removed. An entry that is `kept` for some time goes by itself then, and nobody is told.
    ///
    /// # Errors
    /// When the store can't be asked. The change may have been made nevertheless.
    async fn put(
        &self,
        key: &str,
        before: Option<Tag>,
        text: Option<&str>,
        kept: Option<Duration>,
    ) -> Result<Put, Away>;

    /// All entries, in no order.
    ///
    /// # Errors
    /// When the store can't be asked.
    async fn all(&self) -> Result<Vec<(String, Entry)>, Away>;

    /// All changes from now on.
    ///
    /// # Errors
    /// When the store can't be asked.
    async fn follow(&self) -> Result<Changes, Away>;

    /// What operators read of it, without secrets.
    fn shown(&self) -> &str;
}
