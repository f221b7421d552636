//! Directories of one process that share a store in its memory.

use std::{sync::Arc, time::Duration};

use directory::store::{MemoryStore, Store};
use protocol::http::{ListEvent, StreamState};
use reqwest::Method;
use tempfile::TempDir;

use crate::driver::{Events, PATIENCE, Server};

const FAST: [&str; 2] = ["--calls-per-minute", "1000000"];

async fn start(store: &Arc<MemoryStore>, folder: &TempDir, key_of: Option<&TempDir>) -> Server {
    if let Some(other) = key_of {
        std::fs::copy(other.path().join("ticket-key.der"), folder.path().join("ticket-key.der")).unwrap();
    }
    let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(store);
    let server = Server::start_sharing(folder.path(), &FAST, Some(store)).await;
    remark_says(&server, "share").await;
    server
}

async fn remark_says(server: &Server, wanted: &str) {
    let said = async {
        let url = format!("http://{}/readyz", server.internal);
        while !server.client.get(&url).send().await.unwrap().text().await.unwrap().contains(wanted) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, said).await.expect("the directory never said so");
}

/// Waits until the list says that some stream is in this state.
async fn some_stream_is(events: &mut Events, state: StreamState) {
    while !matches!(events.next().await, Some(ListEvent::StreamChanged { stream }) if stream.state == state) {}
}

#[tokio::test]
async fn directories_that_share_a_store_are_one_and_each_goes_on_without_it() {
    let (store, folders) = (Arc::new(MemoryStore::default()), [TempDir::new().unwrap(), TempDir::new().unwrap()]);
    let a = start(&store, &folders[0], None).await;
    let b = start(&store, &folders[1], Some(&folders[0])).await;
    let relay = a.relay("relay-1").await;
    let mut list = b.follow().await;
    let made = a.create("demo", "public").await;
    relay.report(made.id, 1, true, 0).await;
    some_stream_is(&mut list, StreamState::Live).await;

    store.set_away(true);
    for server in [&a, &b] {
        remark_says(server, "goes on from memory").await;
    }
    let meanwhile = a.create("meanwhile", "public").await;
    relay.report(meanwhile.id, 1, true, 0).await;
    assert_eq!(b.get_json("/api/streams").await["streams"].as_array().unwrap().len(), 1);
    let (status, _) = b.operator(Method::DELETE, &format!("/streams/{}", made.id)).await;
    assert_eq!(status, 204);

    store.forget();
    store.set_away(false);
    for server in [&a, &b] {
        remark_says(server, "share").await;
        server.list_has(1).await;
        let listed = server.get_json("/api/streams").await;
        assert_eq!(listed["streams"][0]["title"], "meanwhile", "each has taken over what the other did");
    }
    a.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn directory_with_another_ticket_key_stays_apart_and_says_why() {
    let (store, folders) = (Arc::new(MemoryStore::default()), [TempDir::new().unwrap(), TempDir::new().unwrap()]);
    let _a = start(&store, &folders[0], None).await;
    let shared: Arc<dyn Store> = Arc::<MemoryStore>::clone(&store);
    let stranger = Server::start_sharing(folders[1].path(), &FAST, Some(shared)).await;
    remark_says(&stranger, "sign with another ticket key").await;
}
