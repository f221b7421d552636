//! A store in a server that speaks as Redis does: Redis, Valkey. Each entry is a string, its tag before its text. A script compares,
//! sets and tells in one step.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use protocol::Secret;
use redis::{AsyncConnectionConfig, Client, Msg, RedisError, Script, TlsCertificates, aio::MultiplexedConnection, cmd};
use tokio::time::timeout;

use super::{Away, Change, Changes, Entry, Put, Store, Tag, address};

/// What all keys begin with, so that others can use the server, too.
const PREFIX: &str = "dead-streaming:";

/// How long the server may take to be reached or to answer. Calls that wait for it are given up by then.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// Entries that are asked for at a time: some 100 kB.
const READ_AT_A_TIME: usize = 100;

/// Digits of a tag.
const TAG_DIGITS: usize = 16;

/// KEYS: the entry. ARGV: the tag before or nothing, the value or nothing, milliseconds or nothing, the channel, the key's short name.
static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local there = redis.call('GET', KEYS[1])
        local tag = there and string.sub(there, 1, 16) or ''
        if tag ~= ARGV[1] then return {0, there} end
        if ARGV[2] == '' then
            redis.call('DEL', KEYS[1])
        elseif ARGV[3] == '' then
            redis.call('SET', KEYS[1], ARGV[2])
        else
            redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        end
        redis.call('PUBLISH', ARGV[4], ARGV[5] .. '\n' .. ARGV[2])
        return {1, false}
        ",
    )
});

/// See the module.
pub struct RedisStore {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
    channel: String,
    shown: String,
}

impl RedisStore {
    /// The store at an address, which is not asked yet. `ca` is a PEM file of the only authority to be trusted, instead of the system's.
    ///
    /// # Errors
    /// When it can't be an address.
    pub fn new(address: &Secret, ca: Option<Vec<u8>>) -> Result<Self> {
        let certificates = TlsCertificates { client_tls: None, root_cert: ca };
        let client = if address.expose().starts_with("rediss:") {
            Client::build_with_tls(address.expose(), certificates)
        } else {
            Client::open(address.expose())
        };
        let client = client.context("--store can't be used")?;
        // Channels are those of the whole server, keys those of one of its databases.
        let number = client.get_connection_info().redis_settings().db();
        let channel = format!("{PREFIX}{number}:changes");
        Ok(Self { client, connection: Mutex::new(None), channel, shown: address::without_secrets(address) })
    }

    async fn connection(&self) -> Result<MultiplexedConnection, Away> {
        if let Some(connection) = &*self.connection.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_TIME_MAX))
            .set_response_timeout(Some(ANSWER_TIME_MAX));
        let made = in_time(self.client.get_multiplexed_async_connection_with_config(&config)).await?;
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
        Ok(made)
    }

    /// What a call brought; after one that failed the next call connects anew.
    fn judge<T>(&self, result: Result<T, RedisError>) -> Result<T, Away> {
        result.map_err(|error| {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = None;
            away(&error)
        })
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn put(
        &self,
        key: &str,
        before: Option<Tag>,
        text: Option<&str>,
        kept: Option<Duration>,
    ) -> Result<Put, Away> {
        let tag = Tag::random()?;
        let mut connection = self.connection().await?;
        let mut call = PUT.key(format!("{PREFIX}{key}"));
        call.arg(before.map(written).unwrap_or_default());
        call.arg(text.map(|text| written(tag) + text).unwrap_or_default());
        call.arg(kept.map(|kept| kept.as_millis().max(1).to_string()).unwrap_or_default());
        call.arg(&self.channel).arg(key);
        let answer: Result<(i64, Option<String>), _> = call.invoke_async(&mut connection).await;
        let (done, there) = self.judge(answer)?;
        Ok(if done == 1 { Put::Done(text.map(|_| tag)) } else { Put::Other(there.as_deref().and_then(read)) })
    }

    async fn all(&self) -> Result<Vec<(String, Entry)>, Away> {
        let mut connection = self.connection().await?;
        let (mut cursor, mut entries) = (0_u64, Vec::new());
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{PREFIX}*")).arg("COUNT").arg(READ_AT_A_TIME);
            let page: Result<(u64, Vec<String>), _> = scan.query_async(&mut connection).await;
            let (next, keys) = self.judge(page)?;
            for keys in keys.chunks(READ_AT_A_TIME) {
                let values: Result<Vec<Option<String>>, _> = cmd("MGET").arg(keys).query_async(&mut connection).await;
                for (key, value) in keys.iter().zip(self.judge(values)?) {
                    let entry = value.as_deref().and_then(read);
                    entries.extend(key.strip_prefix(PREFIX).map(str::to_owned).zip(entry));
                }
            }
            if next == 0 {
                return Ok(entries);
            }
            cursor = next;
        }
    }

    async fn follow(&self) -> Result<Changes, Away> {
        let mut following = in_time(self.client.get_async_pubsub()).await?;
        in_time(following.subscribe(&self.channel)).await?;
        Ok(following.into_on_message().filter_map(async |message| change(&message)).boxed())
    }

    fn shown(&self) -> &str {
        &self.shown
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, RedisError>>) -> Result<T, Away> {
    match timeout(ANSWER_TIME_MAX, call).await {
        Ok(result) => result.map_err(|error| away(&error)),
        Err(_) => Err(Away("the server does not answer".to_owned())),
    }
}

/// The library's words, of which none repeats what was asked.
fn away(error: &RedisError) -> Away {
    Away(error.to_string())
}

fn written(tag: Tag) -> String {
    format!("{:016x}", tag.0)
}

fn read(value: &str) -> Option<Entry> {
    let (tag, text) = value.split_at_checked(TAG_DIGITS)?;
    Some(Entry { tag: Tag(u64::from_str_radix(tag, 16).ok()?), text: text.to_owned() })
}

fn change(message: &Msg) -> Option<Change> {
    let text: String = message.get_payload().ok()?;
    let (key, value) = text.split_once('\n')?;
    // What can't be read is no removal.
    let entry = if value.is_empty() { None } else { Some(read(value)?) };
    Some(Change { key: key.to_owned(), entry })
}
