//! One suite for all stores.

mod server;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::join_all};

use self::server::RedisServer;
use super::{Change, Entry, MemoryStore, Put, RedisStore, Store, Tag};

/// Far above what a store takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long an entry is kept that goes by itself.
const SHORT: Duration = Duration::from_millis(300);

/// A store, or two clients of one.
struct Two {
    one: Arc<dyn Store>,
    other: Arc<dyn Store>,
    _server: Option<RedisServer>,
}

async fn stores() -> Vec<Two> {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let server = RedisServer::start().await;
    let client = || Arc::new(RedisStore::new(&server.url().into(), None).unwrap()) as Arc<dyn Store>;
    let (one, other) = (client(), client());
    vec![Two { one: Arc::clone(&memory), other: memory, _server: None }, Two { one, other, _server: Some(server) }]
}

async fn put(store: &Arc<dyn Store>, key: &str, before: Option<Tag>, text: &str) -> Put {
    store.put(key, before, Some(text), None).await.unwrap()
}

fn done(put: Put) -> Tag {
    let Put::Done(Some(tag)) = put else { panic!("{put:?}") };
    tag
}

async fn texts(store: &Arc<dyn Store>) -> Vec<(String, String)> {
    let all = store.all().await.unwrap().into_iter().map(|(key, entry)| (key, entry.text));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn entry_is_changed_by_who_knows_its_state_alone() {
    for Two { one, other, _server } in stores().await {
        let first = done(put(&one, "a", None, "1").await);
        let there = Entry { tag: first, text: "1".to_owned() };
        assert_eq!(put(&other, "a", None, "2").await, Put::Other(Some(there.clone())), "there is one");
        let second = done(put(&other, "a", Some(first), "3").await);
        assert_ne!(first, second);
        let there = Entry { tag: second, text: "3".to_owned() };
        assert_eq!(put(&one, "a", Some(first), "4").await, Put::Other(Some(there.clone())), "it was changed since");
        assert_eq!(put(&one, "b", Some(first), "4").await, Put::Other(None), "there is none");
        assert_eq!(one.put("a", Some(first), None, None).await, Ok(Put::Other(Some(there))));
        assert_eq!(texts(&one).await, pairs(&[("a", "3")]));
        assert_eq!(one.put("a", Some(second), None, None).await, Ok(Put::Done(None)));
        assert_eq!(texts(&other).await, []);
        assert_eq!(put(&one, "a", Some(second), "5").await, Put::Other(None), "it was removed");
    }
}

#[tokio::test]
async fn same_text_under_the_same_key_is_another_state_each_time() {
    for Two { one, other, _server } in stores().await {
        let first = done(put(&one, "a", None, "1").await);
        one.put("a", Some(first), None, None).await.unwrap();
        let second = done(put(&other, "a", None, "1").await);
        assert!(matches!(put(&one, "a", Some(first), "2").await, Put::Other(Some(there)) if there.tag == second));
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_first() {
    for Two { one, other, _server } in stores().await {
        let before = done(put(&one, "a", None, "0").await);
        let texts: Vec<_> = (0..40).map(|number| number.to_string()).collect();
        let puts = texts.iter().enumerate().map(|(number, text)| {
            let store = if number % 2 == 0 { &one } else { &other };
            put(store, "a", Some(before), text)
        });
        let won = join_all(puts).await.into_iter().filter(|put| matches!(put, Put::Done(_))).count();
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn followers_hear_of_each_change_once_and_in_order() {
    for Two { one, other, _server } in stores().await {
        put(&one, "before", None, "unheard").await;
        let mut changes = [one.follow().await.unwrap(), other.follow().await.unwrap()];
        let text = "a line\nand another, of \u{1f980}, and \"quotes\"";
        let first = done(put(&one, "a", None, text).await);
        put(&other, "a", None, "refused").await;
        let second = done(one.put("b", None, Some("x"), Some(PATIENCE)).await.unwrap());
        other.put("a", Some(first), None, None).await.unwrap();
        let entry = |tag, text: &str| Some(Entry { tag, text: text.to_owned() });
        let expected = [("a", entry(first, text)), ("b", entry(second, "x")), ("a", None)];
        for changes in &mut changes {
            for (key, entry) in expected.clone() {
                let change = tokio::time::timeout(PATIENCE, changes.next()).await.unwrap();
                assert_eq!(change, Some(Change { key: key.to_owned(), entry }));
            }
        }
    }
}

#[tokio::test]
async fn entry_that_nobody_refreshes_goes_by_itself() {
    for Two { one, other, _server } in stores().await {
        let tag = done(one.put("lease", None, Some("1"), Some(SHORT)).await.unwrap());
        let refreshed = done(other.put("lease", Some(tag), Some("2"), Some(PATIENCE)).await.unwrap());
        let tag = done(one.put("lost", None, Some("1"), Some(SHORT)).await.unwrap());
        let gone = async {
            while texts(&other).await.len() > 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
        assert_eq!(texts(&one).await, pairs(&[("lease", "2")]));
        assert_eq!(put(&one, "lost", Some(tag), "2").await, Put::Other(None));
        done(put(&one, "lease", Some(refreshed), "3").await);
    }
}

#[tokio::test]
async fn many_entries_are_read_at_once() {
    for Two { one, other, _server } in stores().await {
        let keys: Vec<_> = (0..1234).map(|number| format!("key:{number:04}")).collect();
        // Not all at once: the store has a bounded time for each, and the machine may be busy.
        for keys in keys.chunks(100) {
            join_all(keys.iter().map(|key| put(&one, key, None, key))).await.into_iter().for_each(|put| _ = done(put));
        }
        let read = texts(&other).await;
        assert_eq!(read, keys.iter().map(|key| (key.clone(), key.clone())).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn store_that_is_away_says_so_and_can_be_asked_again_when_it_is_back() {
    let memory = Arc::new(MemoryStore::default());
    let mut changes = memory.follow().await.unwrap();
    memory.set_away(true);
    assert!(memory.all().await.is_err() && memory.follow().await.is_err());
    assert!(memory.put("a", None, Some("1"), None).await.is_err());
    assert_eq!(changes.next().await, None);
    memory.set_away(false);
    assert_eq!(memory.all().await.unwrap(), []);

    let mut server = RedisServer::start().await;
    let redis: Arc<dyn Store> = Arc::new(RedisStore::new(&server.url().into(), None).unwrap());
    let tag = done(put(&redis, "a", None, "1").await);
    let mut changes = redis.follow().await.unwrap();
    server.kill().await;
    assert!(redis.all().await.is_err() && redis.follow().await.is_err());
    assert!(redis.put("a", None, Some("1"), None).await.is_err());
    assert_eq!(tokio::time::timeout(PATIENCE, changes.next()).await.unwrap(), None);
    server.start_again().await;
    assert_eq!(redis.all().await.unwrap(), [], "it was restarted empty");
    assert_eq!(put(&redis, "a", Some(tag), "2").await, Put::Other(None), "and knows nothing of before");
}

#[tokio::test]
async fn what_others_keep_on_the_server_is_left_alone() {
    let server = RedisServer::start().await;
    let store: Arc<dyn Store> = Arc::new(RedisStore::new(&server.url().into(), None).unwrap());
    let client = redis::Client::open(server.url()).unwrap();
    let mut others = client.get_multiplexed_async_connection().await.unwrap();
    let set = async |others: &mut redis::aio::MultiplexedConnection, key: &str| {
        redis::cmd("SET").arg(key).arg("nothing of ours").query_async::<()>(others).await.unwrap();
    };
    set(&mut others, "somebody").await;
    set(&mut others, "dead-streaming:damaged").await;
    put(&store, "a", None, "1").await;
    assert_eq!(texts(&store).await, pairs(&[("a", "1")]));
    assert!(matches!(put(&store, "damaged", None, "1").await, Put::Other(None)));
}
