//! A WebTransport session.

use std::collections::BTreeMap;

use protocol::{MediaHeader, MediaKind, TrackNumber, WebTransportAddress};
use tokio::time::{Instant, timeout};
use webtransport::{Client, Control, Inbox, Outbox, Outgoing, Session, Trust};

use super::Got;
use crate::PATIENCE;

/// The session.
pub(super) struct SessionSocket {
    session: Session,
    control: Control,
    inbox: Inbox,
    outbox: Outbox,
    /// Init segments that go with the next chunk of their track.
    inits: BTreeMap<TrackNumber, Vec<u8>>,
    /// Nothing comes any more but what is said.
    over: bool,
    /// It carries the session.
    _client: Client,
}

impl SessionSocket {
    pub(super) async fn connect(address: &WebTransportAddress) -> Self {
        let client = Client::new(&Trust::Hashes(address.certificate_hashes.clone())).unwrap();
        let session = timeout(PATIENCE, client.connect(&address.url)).await.expect("no answer").unwrap();
        let control = session.open_control().await.unwrap();
        let (inbox, outbox) = (session.inbox(), session.outbox());
        Self { session, control, inbox, outbox, inits: BTreeMap::new(), over: false, _client: client }
    }

    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    pub(super) async fn say(&mut self, text: &str) {
        // One who listens no more is heard of by what is read.
        let _ = timeout(PATIENCE, self.control.send(text)).await.expect("the relay takes nothing");
    }

    pub(super) async fn media(&mut self, message: Vec<u8>) {
        let (header, _) = MediaHeader::decode(&message).unwrap();
        if header.kind == MediaKind::Init {
            self.inits.insert(header.track, message);
            return;
        }
        self.outbox.push(Outgoing {
            track: header.track,
            sound: false,
            segment: header.segment,
            key: header.key,
            init: self.inits.remove(&header.track).map(Into::into),
            chunk: message.into(),
            arrived: Instant::now(),
        });
        let _ = timeout(PATIENCE, self.outbox.flush()).await.expect("the relay takes nothing");
    }

    pub(super) async fn next(&mut self) -> Got {
        timeout(PATIENCE, self.come()).await.expect("nothing came")
    }

    async fn come(&mut self) -> Got {
        loop {
            tokio::select! {
                biased;
                words = self.control.receive() => {
                    if let Ok(words) = words {
                        return Got::Text(serde_json::from_str(&words).unwrap());
                    }
                    self.session.closed().await;
                    let code = self.session.close_code().and_then(|code| u16::try_from(code).ok());
                    return Got::Closed(code.filter(|code| *code != 0));
                }
                media = self.inbox.next(), if !self.over => match media {
                    Ok((_, message)) => return Got::Media(message.to_vec()),
                    Err(_) => self.over = true,
                },
            }
        }
    }
}
