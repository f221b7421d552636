//! A viewer's connection to a relay, carried by this process instead of the webview: a webview may refuse plain `ws://` to a
//! machine of the local network. Messages pass as they are; only what the window is too slow for is left out.

mod batch;
mod in_flight;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use protocol::{control::ToViewer, limits};
use serde::Serialize;
use tauri::ipc::{Channel, InvokeResponseBody};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{Error as SocketError, Message, protocol::WebSocketConfig},
};
use ts_rs::TS;
use url::Url;

use batch::Batch;
use in_flight::{InFlight, Verdict};

/// How long connecting may take: a slow mobile handshake with a retransmission or two.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Texts of the window that wait for the socket: a viewer sends one when it begins and hardly any later.
const TEXTS_MAX: usize = 16;

/// The most that goes into the window in one piece: a batch takes a few milliseconds, however much is in it.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// What the window hears besides batches of the relay's messages.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub(crate) enum MediaEvent {
    /// Connected.
    Open {},
    /// The connection is over, or was never made. Nothing follows.
    Closed {
        /// Why, for people.
        reason: String,
    },
}

/// Why a connection ended.
#[derive(Debug, Error)]
pub(crate) enum MediaError {
    /// Not the address of a relay.
    #[error("a relay's address begins with ws:// or wss://")]
    Scheme,
    /// Nobody answers.
    #[error("the relay does not answer")]
    Silent,
    /// The connection failed.
    #[error("the connection to the relay broke: {0}")]
    Socket(#[from] Box<SocketError>),
    /// The relay closed it.
    #[error("the relay closed the connection")]
    Closed,
    /// The window takes nothing any more.
    #[error("the window has stopped reading")]
    WindowStuck,
}

impl From<SocketError> for MediaError {
    fn from(error: SocketError) -> Self {
        Self::Socket(Box::new(error))
    }
}

/// The window's side of one connection.
#[derive(Debug, Clone)]
struct Window {
    texts: mpsc::Sender<String>,
    acknowledged: Arc<AtomicU64>,
}

/// The window's open connections, by the number of their channel.
#[derive(Debug, Default)]
pub(crate) struct MediaConnections {
    open: Mutex<HashMap<u32, Window>>,
}

/// Takes a connection out of the list when its work ends in whatever way.
struct Listed<'a>(&'a MediaConnections, u32);

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl MediaConnections {
    /// Connects to `url` and passes messages between it and the window until one side ends it.
    pub(crate) async fn carry(&self, url: &Url, channel: &Channel<InvokeResponseBody>) {
        let (texts, from_window) = mpsc::channel(TEXTS_MAX);
        let acknowledged = Arc::new(AtomicU64::new(0));
        self.lock().insert(channel.id(), Window { texts, acknowledged: Arc::clone(&acknowledged) });
        let _listed = Listed(self, channel.id());
        let mut outlet = Outlet { channel, acknowledged, in_flight: InFlight::default(), batch: Batch::default() };
        let reason = match pass_on(url, from_window, &mut outlet).await {
            Ok(()) => MediaError::Closed,
            Err(error) => error,
        };
        tracing::debug!(skipped = outlet.in_flight.skipped_chunks(), "The connection to a relay is over: {reason}.");
        outlet.flush();
        outlet.event(&MediaEvent::Closed { reason: reason.to_string() });
    }

    /// Sends a text of the window. A connection that is over, or not there yet, does not take it.
    pub(crate) fn send(&self, channel: u32, text: String) -> bool {
        self.lock().get(&channel).is_some_and(|window| window.texts.try_send(text).is_ok())
    }

    /// The window has taken `messages` in all.
    pub(crate) fn acknowledge(&self, channel: u32, messages: u64) {
        if let Some(window) = self.lock().get(&channel) {
            window.acknowledged.fetch_max(messages, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Window>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pass_on(
    url: &Url,
    mut from_window: mpsc::Receiver<String>,
    outlet: &mut Outlet<'_>,
) -> Result<(), MediaError> {
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(MediaError::Scheme);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::MESSAGE_BYTES_MAX))
        .max_frame_size(Some(limits::MESSAGE_BYTES_MAX));
    let connecting = connect_async_with_config(url.as_str(), Some(config), true);
    let (mut socket, _) =
        tokio::time::timeout(CONNECT_TIME_MAX, connecting).await.map_err(|_| MediaError::Silent)??;
    outlet.event(&MediaEvent::Open {});
    loop {
        let mut next = tokio::select! {
            message = socket.next() => Some(message),
            Some(text) = from_window.recv() => {
                socket.send(Message::text(text)).await?;
                continue;
            }
        };
        // What has arrived already goes along in one piece: a viewer that joins gets a whole segment at once.
        while let Some(message) = next {
            match message {
                Some(Ok(Message::Binary(bytes))) => outlet.media(&bytes),
                Some(Ok(Message::Text(text))) => outlet.text(&text),
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
            next = if outlet.is_full() { None } else { socket.next().now_or_never() };
        }
        outlet.flush();
        if outlet.in_flight.is_stuck(Instant::now()) {
            return Err(MediaError::WindowStuck);
        }
    }
}

/// The way into the window, with a bound on what is under way in it.
struct Outlet<'a> {
    channel: &'a Channel<InvokeResponseBody>,
    acknowledged: Arc<AtomicU64>,
    in_flight: InFlight,
    batch: Batch,
}

impl Outlet<'_> {
    fn media(&mut self, message: &[u8]) {
        self.in_flight.acknowledge(self.acknowledged.load(Ordering::Relaxed));
        match self.in_flight.offer(Instant::now(), message) {
            Verdict::LeaveOut => return,
            Verdict::Pass => {}
            Verdict::PassAfterSkip { track, chunks } => {
                let skipped = ToViewer::Skipped { track, chunks };
                self.text(&serde_json::to_string(&skipped).unwrap_or_default());
            }
        }
        self.batch.push_media(message);
    }

    fn text(&mut self, text: &str) {
        self.in_flight.acknowledge(self.acknowledged.load(Ordering::Relaxed));
        self.batch.push_text(text);
    }

    fn is_full(&self) -> bool {
        self.batch.bytes() >= BATCH_BYTES_MAX
    }

    fn flush(&mut self) {
        if self.batch.bytes() > 0 {
            let bytes = self.batch.take();
            self.send(bytes.len(), InvokeResponseBody::Raw(bytes));
        }
    }

    fn event(&mut self, event: &MediaEvent) {
        let json = serde_json::to_string(event).unwrap_or_default();
        self.send(json.len(), InvokeResponseBody::Json(json));
    }

    fn send(&mut self, bytes: usize, body: InvokeResponseBody) {
        self.in_flight.passed(Instant::now(), bytes);
        // It fails only when the window is gone, and then the page's end stops this connection.
        let _ = self.channel.send(body);
    }
}

#[cfg(test)]
mod tests {
    use protocol::{MediaHeader, MediaKind, TrackNumber};
    use tokio::net::TcpListener;

    use super::*;

    fn chunk(key: bool, number: u32) -> Vec<u8> {
        let kind = MediaKind::Chunk;
        let header = MediaHeader {
            kind,
            key,
            sealed: false,
            track: TrackNumber(0),
            segment: 1,
            chunk: number,
            captured_at_us: 7,
        };
        header.message(&[5; 2000])
    }

    /// Takes what is sent to the window.
    fn window() -> (Channel<InvokeResponseBody>, mpsc::UnboundedReceiver<InvokeResponseBody>) {
        let (into, messages) = mpsc::unbounded_channel();
        let channel = Channel::new(move |body| {
            let _ = into.send(body);
            Ok(())
        });
        (channel, messages)
    }

    fn event_of(body: InvokeResponseBody) -> serde_json::Value {
        match body {
            InvokeResponseBody::Json(json) => serde_json::from_str(&json).unwrap(),
            InvokeResponseBody::Raw(_) => panic!("media where an event was due"),
        }
    }

    #[tokio::test]
    async fn words_and_media_pass_both_ways_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("ws://{}/ws", listener.local_addr().unwrap())).unwrap();
        let relay = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            let hello = socket.next().await.unwrap().unwrap();
            socket.send(Message::text("{\"type\":\"watching\"}")).await.unwrap();
            socket.send(Message::binary(chunk(true, 0))).await.unwrap();
            socket.close(None).await.unwrap();
            hello.to_text().unwrap().to_owned()
        });

        let connections = Arc::new(MediaConnections::default());
        let (channel, mut messages) = window();
        let carried = tokio::spawn({
            let (connections, channel) = (Arc::clone(&connections), channel.clone());
            async move { connections.carry(&url, &channel).await }
        });
        assert_eq!(event_of(messages.recv().await.unwrap())["type"], "open");
        assert!(connections.send(channel.id(), "hello".to_owned()));
        let mut expected = Batch::default();
        expected.push_text("{\"type\":\"watching\"}");
        expected.push_media(&chunk(true, 0));
        let (expected, mut received) = (expected.take(), Vec::new());
        while received.len() < expected.len() {
            let Some(InvokeResponseBody::Raw(batch)) = messages.recv().await else { panic!("an event too early") };
            received.extend(batch);
        }
        assert_eq!(received, expected);
        assert_eq!(event_of(messages.recv().await.unwrap())["type"], "closed");
        assert_eq!(relay.await.unwrap(), "hello");
        carried.await.unwrap();
        assert!(!connections.send(channel.id(), "too late".to_owned()));
    }

    #[tokio::test]
    async fn nobody_at_the_address_closes_at_once() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (channel, mut messages) = window();
        let url = Url::parse(&format!("ws://{free}/ws")).unwrap();
        MediaConnections::default().carry(&url, &channel).await;
        assert_eq!(event_of(messages.recv().await.unwrap())["type"], "closed");
    }
}
