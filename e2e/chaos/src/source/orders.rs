//! What the directory orders, held open for as long as the stream lives.

use std::time::Duration;

use futures_util::StreamExt as _;
use protocol::StreamId;
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};

use crate::directory::{Directory, Refusal};

/// Pauses between two tries to open it.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What comes of it.
#[derive(Debug)]
pub(super) enum Ordered {
    /// An order.
    Order(Value),
    /// The directory does not know the stream.
    Unknown,
}

/// Tells orders until nobody listens.
pub(super) async fn hold(directory: Directory, id: StreamId, key: String, tell: mpsc::UnboundedSender<Ordered>) {
    let mut pause = PAUSE_MIN;
    while !tell.is_closed() {
        match directory.orders(id, &key).await {
            Ok(response) => {
                pause = PAUSE_MIN;
                read(response, &tell).await;
            }
            Err(Refusal::Code(code)) if code == "stream_not_found" => {
                let _ = tell.send(Ordered::Unknown);
            }
            Err(_) => {}
        }
        sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Reads events until they end. Each is one line of data here.
async fn read(response: reqwest::Response, tell: &mpsc::UnboundedSender<Ordered>) {
    let mut body = Box::pin(response.bytes_stream());
    let mut rest = Vec::new();
    while let Some(Ok(bytes)) = body.next().await {
        rest.extend_from_slice(&bytes);
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let data = line.strip_prefix(b"data:").and_then(|data| serde_json::from_slice(data).ok());
            if let Some(order) = data
                && tell.send(Ordered::Order(order)).is_err()
            {
                return;
            }
        }
    }
}
