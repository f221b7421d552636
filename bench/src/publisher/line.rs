//! A publisher's way to its relay, once it is let in: a WebSocket, or a session in which each segment is a stream.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    MediaKind,
    control::{FromBroadcaster, ToBroadcaster},
};
use tokio::time::{Duration, Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use webtransport::{Client, Control, Outbox, Outgoing, Session, Trust};

use super::{Publisher, TRACK};
use crate::{
    media_clock::PlannedChunk,
    socket::{Socket, connect},
    transport::Transport,
};

/// How long the relay may take to hear that the stream has ended.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// One of the two.
pub(super) enum Line {
    Socket(Box<Socket>),
    Session(Box<WebTransport>),
}

/// An open session.
pub(super) struct WebTransport {
    session: Session,
    control: Control,
    outbox: Outbox,
    /// Goes before the first chunk, on the same stream.
    init: Option<Bytes>,
    /// The socket is its own.
    _client: Client,
}

impl Line {
    /// Comes to the relay and is let in.
    ///
    /// # Errors
    /// When it can't be reached, or refuses.
    pub(super) async fn open(publisher: &Publisher) -> Result<Self> {
        let hello = serde_json::to_string(&publisher.hello())?;
        if publisher.transport == Transport::WebTransport {
            return Ok(Self::Session(Box::new(WebTransport::open(publisher, &hello).await?)));
        }
        let mut socket = connect(&publisher.relay, publisher.tls.as_ref()).await?;
        socket.send(Message::text(hello)).await?;
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message?
                && is_registered(&text)?
            {
                return Ok(Self::Socket(Box::new(socket)));
            }
        }
        bail!("the relay has closed before it admitted the stream")
    }

    /// Sends a message, or has it sent by [`Self::exchange`].
    pub(super) async fn send(
        &mut self,
        publisher: &Publisher,
        kind: MediaKind,
        planned: Option<PlannedChunk>,
    ) -> Result<()> {
        let message = publisher.media(kind, planned);
        match (self, planned) {
            (Self::Socket(socket), _) => socket.send(Message::binary(message)).await?,
            (Self::Session(line), None) => line.init = Some(message.into()),
            (Self::Session(line), Some(planned)) => line.push(message.into(), planned),
        }
        Ok(())
    }

    /// Hears something, or sends some of what waits; both as often as it is called. Can be cancelled.
    ///
    /// # Errors
    /// When the relay ends the stream, or the connection breaks.
    pub(super) async fn exchange(&mut self) -> Result<()> {
        match self {
            // Reading is what answers the relay's pings.
            Self::Socket(socket) => match socket.next().await.context("the relay has closed")?? {
                Message::Text(text) => is_registered(&text).map(drop),
                _ => Ok(()),
            },
            Self::Session(line) => {
                tokio::select! {
                    words = line.control.exchange() => is_registered(&words?).map(drop),
                    sent = line.outbox.flush(), if !line.outbox.is_empty() => Ok(sent?),
                }
            }
        }
    }

    /// Tells that all is over.
    pub(super) async fn end(self) -> Result<()> {
        let words = serde_json::to_string(&FromBroadcaster::EndStream {})?;
        match self {
            Self::Socket(mut socket) => {
                socket.send(Message::text(words)).await?;
                socket.as_mut().close(None).await?;
            }
            Self::Session(mut line) => {
                // Viewers have gone by now: what they were sent is not held up by a relay that does not hear it.
                let _ = timeout(END_TIME_MAX, line.outbox.finish()).await;
                line.control.say_last(&[words], END_TIME_MAX).await;
                line.session.close(0, "over");
            }
        }
        Ok(())
    }
}

impl WebTransport {
    async fn open(publisher: &Publisher, hello: &str) -> Result<Self> {
        let address = publisher.webtransport.as_ref().context("the relay offers no WebTransport")?;
        let trust = match &publisher.tls {
            Some(tls) => Trust::of(address, tls),
            None => Trust::Hashes(address.certificate_hashes.clone()),
        };
        let client = Client::new(&trust)?;
        let session = client.connect(&address.url).await?;
        let mut control = session.open_control().await?;
        control.send(hello).await?;
        while !is_registered(&control.receive().await?)? {}
        let outbox = session.outbox();
        Ok(Self { session, control, outbox, init: None, _client: client })
    }

    fn push(&mut self, chunk: Bytes, planned: PlannedChunk) {
        self.outbox.push(Outgoing {
            track: TRACK,
            sound: false,
            segment: planned.segment,
            key: planned.chunk == 0,
            init: self.init.take(),
            chunk,
            arrived: Instant::now(),
        });
        self.outbox.take_sent().for_each(drop);
    }
}

/// Whether the relay says that the stream may come. Of what else it says only an error matters.
fn is_registered(words: &str) -> Result<bool> {
    match serde_json::from_str(words)? {
        ToBroadcaster::StreamRegistered { .. } => Ok(true),
        ToBroadcaster::Error { code, message } => bail!("the relay ends the stream: {message} ({code})"),
        _ => Ok(false),
    }
}
