//! One connection of a source to a relay, as a task: takes messages to send, tells what it hears.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{directory::Relay, feed::LinkId, link::open};

/// Messages on the way to a relay: two seconds of picture and sound. A line that is that far behind goes on at a key frame.
const QUEUE_MAX: usize = 80;

/// Longest that the goodbye may take.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);

/// What a line tells.
#[derive(Debug)]
pub(super) enum Told {
    /// A control message.
    Message(Value),
    /// It is over.
    Closed,
}

/// A line. Closed when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: LinkId,
    pub(super) relay: Relay,
    pub(super) epoch: u64,
    queue: mpsc::Sender<Message>,
    serving: JoinHandle<()>,
    _life: DropGuard,
}

impl Line {
    /// Begins to open one.
    pub(super) fn begin(
        id: LinkId,
        relay: Relay,
        epoch: u64,
        hello: Value,
        tell: mpsc::UnboundedSender<(LinkId, Told)>,
    ) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE_MAX);
        let life = CancellationToken::new();
        let over = life.clone();
        let to = relay.clone();
        let serving = tokio::spawn(async move {
            let serving = serve(id, to, hello, messages, tell.clone());
            if over.run_until_cancelled(serving).await.is_some() {
                let _ = tell.send((id, Told::Closed));
            }
        });
        Self { id, relay, epoch, queue, serving, _life: life.drop_guard() }
    }

    /// Queues a message; false when the line is too far behind.
    pub(super) fn send(&self, message: Message) -> bool {
        self.queue.try_send(message).is_ok()
    }

    /// Closes it in good order: everything that is queued goes out first.
    pub(super) async fn finish(self) {
        drop(self.queue);
        let _ = timeout(GOODBYE_TIME_MAX, self.serving).await;
    }

    /// Queues a control message.
    pub(super) fn say(&self, message: &Value) -> bool {
        self.send(Message::text(message.to_string()))
    }
}

async fn serve(
    id: LinkId,
    relay: Relay,
    hello: Value,
    mut messages: mpsc::Receiver<Message>,
    tell: mpsc::UnboundedSender<(LinkId, Told)>,
) {
    let Ok(socket) = open(&relay, hello).await else { return };
    let (mut sink, mut stream) = socket.split();
    let sending = async {
        while let Some(message) = messages.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        // What the relay still says is read, so that the close comes after all that was sent.
        let _ = sink.close().await;
        std::future::pending().await
    };
    let hearing = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Text(text) = message
                && let Ok(message) = serde_json::from_str(&text)
            {
                let _ = tell.send((id, Told::Message(message)));
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = hearing => {}
    }
}
