//! One who speaks to a relay by WebTransport.

use protocol::{ErrorCode, MediaHeader, MediaKind, TrackNumber, ticket::Action, ticket::Grant};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use webtransport::{Client, Control, ControlError, Inbox, Outbox, Outgoing, Session, Trust};

use crate::driver::{PATIENCE, SOUND, TestRelay, header, tracks};

/// One end of a session.
pub(crate) struct Caller {
    pub(crate) session: Session,
    pub(crate) control: Control,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    /// It carries the session.
    _client: Client,
}

/// A session at `path`, by the hashes that the relay tells.
pub(crate) async fn connect(relay: &TestRelay, path: &str) -> Result<(Client, Session), webtransport::ConnectError> {
    let mut address = relay.webtransport.clone().unwrap();
    address.url.set_path(path);
    let client = Client::new(&Trust::Hashes(address.certificate_hashes)).unwrap();
    let session = timeout(PATIENCE, client.connect(&address.url)).await.unwrap()?;
    Ok((client, session))
}

impl Caller {
    pub(crate) async fn connect(relay: &TestRelay) -> Self {
        let (client, session) = connect(relay, "/wt").await.unwrap();
        let control = session.open_control().await.unwrap();
        let (inbox, outbox) = (session.inbox(), session.outbox());
        Self { session, control, inbox, outbox, _client: client }
    }

    /// Somebody who has said hello with a ticket that says this, whatever the answer is.
    pub(crate) async fn hello_with(relay: &TestRelay, grant: &Grant) -> Self {
        let mut caller = Self::connect(relay).await;
        let ticket = relay.sign(grant);
        caller
            .say(match grant.action {
                Action::Publish => {
                    json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks()})
                }
                Action::Watch => json!({"type": "watch_stream", "protocol": 1, "ticket": ticket}),
            })
            .await;
        caller
    }

    /// A viewer that was let in.
    pub(crate) async fn viewer(relay: &TestRelay, stream: protocol::StreamId) -> Self {
        let mut caller = Self::hello_with(relay, &relay.grant(Action::Watch, stream, 0)).await;
        assert_eq!(caller.text("watching").await["selected"], json!([1, 2]));
        caller
    }

    /// A broadcaster that was let in.
    pub(crate) async fn publisher(relay: &TestRelay, stream: protocol::StreamId) -> Self {
        let mut caller = Self::hello_with(relay, &relay.grant(Action::Publish, stream, 1)).await;
        assert_eq!(caller.text("stream_registered").await["stream"], stream.to_string());
        caller
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.control.send(&message.to_string()).await.unwrap();
    }

    /// The next control message of this type; others before it are passed over.
    pub(crate) async fn text(&mut self, wanted: &str) -> Value {
        loop {
            let text = timeout(PATIENCE, self.control.receive()).await.unwrap().unwrap();
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == wanted {
                return message;
            }
            assert_ne!(message["type"], "error", "{message} while waiting for {wanted}");
        }
    }

    /// The payloads of the next media messages of each track, until the track's last one is this.
    pub(crate) async fn payloads_until<const N: usize>(&mut self, last: [&str; N]) -> [Vec<String>; N] {
        let mut payloads = last.map(|_| Vec::new());
        while payloads
            .iter()
            .zip(last)
            .any(|(of_track, last): (&Vec<String>, _)| of_track.last().is_none_or(|l| l != last))
        {
            let (header, message) = timeout(PATIENCE, self.inbox.next()).await.unwrap().unwrap();
            let (_, payload) = MediaHeader::decode(&message).unwrap();
            payloads[usize::from(header.track.0) - 1].push(String::from_utf8_lossy(payload).into_owned());
        }
        payloads
    }

    /// The payloads of the next media messages of tracks 1 to 3, until one of them is `last`.
    pub(crate) async fn payloads_until_any(&mut self, last: &str) -> [Vec<String>; 3] {
        let mut payloads: [Vec<String>; 3] = Default::default();
        while payloads.iter().all(|of_track| of_track.last().is_none_or(|payload| payload != last)) {
            let (header, message) = timeout(PATIENCE, self.inbox.next()).await.unwrap().unwrap();
            let (_, payload) = MediaHeader::decode(&message).unwrap();
            payloads[usize::from(header.track.0) - 1].push(String::from_utf8_lossy(payload).into_owned());
        }
        payloads
    }

    /// Sends a chunk, whose payload tells which it is; the first one of a track comes behind its init segment.
    pub(crate) async fn chunk(&mut self, track: TrackNumber, segment: u32, chunk: u32) {
        let init = header(MediaKind::Init, track, 0, 0, 0).message(format!("init of {track}").as_bytes());
        let header = header(MediaKind::Chunk, track, segment, chunk, 0);
        self.outbox.push(Outgoing {
            track,
            sound: track == SOUND,
            segment,
            key: header.key,
            init: (segment == 0 && chunk == 0).then(|| init.into()),
            chunk: header.message(format!("{track}/{segment}/{chunk}").as_bytes()).into(),
            arrived: Instant::now(),
        });
        timeout(PATIENCE, self.outbox.flush()).await.unwrap().unwrap();
    }

    /// The error and the code that end the session are these.
    pub(crate) async fn ends_with(&mut self, code: ErrorCode) {
        let mut error = Value::Null;
        let end = loop {
            match timeout(PATIENCE, self.control.receive()).await.unwrap() {
                Ok(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] == "error" {
                        error = message;
                    }
                }
                Err(end) => break end,
            }
        };
        assert_eq!(end, ControlError::Closed, "{error}");
        assert_eq!(error["code"], code.as_str(), "{error}");
        timeout(PATIENCE, self.session.closed()).await.unwrap();
        assert_eq!(self.session.close_code(), Some(code.close_code().into()));
    }
}
