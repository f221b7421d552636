//! What a broadcaster comes to a relay by: a WebSocket, or a WebTransport session.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{CertificateHash, ErrorCode, WebTransportAddress};
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use webtransport::{Control, Inbox, Listener, Session, tuning};

use super::Io;

/// Bytes of a session under way: who reads nothing is behind within seconds.
const WINDOW_BYTES: u32 = 256 * 1024;

/// One connection.
pub(super) enum Wire {
    Socket(Box<WebSocketStream<Box<dyn Io>>>),
    Session(Box<SessionWire>),
}

pub(super) struct SessionWire {
    session: Session,
    control: Control,
    inbox: Inbox,
}

/// What comes on it.
pub(super) enum Incoming {
    Words(String),
    Media(Bytes),
}

impl Wire {
    /// What comes next; `None` when nothing follows.
    pub(super) async fn next(&mut self) -> Option<Incoming> {
        match self {
            Self::Socket(socket) => loop {
                match socket.next().await?.ok()? {
                    Message::Binary(bytes) => return Some(Incoming::Media(bytes)),
                    Message::Text(text) => return Some(Incoming::Words(text.to_string())),
                    _ => {}
                }
            },
            Self::Session(wire) => tokio::select! {
                biased; // what came before the last words is in order
                media = wire.inbox.next() => media.ok().map(|(_, message)| Incoming::Media(message)),
                words = wire.control.exchange() => words.ok().map(Incoming::Words),
            },
        }
    }

    pub(super) async fn say(&mut self, text: String) -> Option<()> {
        match self {
            Self::Socket(socket) => socket.send(Message::text(text)).await.ok(),
            Self::Session(wire) => wire.control.send(&text).await.ok(),
        }
    }

    /// Waits until a session is over, and reads nothing meanwhile.
    pub(super) async fn left(&self) {
        let Self::Session(wire) = self else { panic!("this is no session") };
        wire.session.closed().await;
    }

    /// Says that, and closes.
    pub(super) async fn refuse(self, error: String, code: ErrorCode) {
        match self {
            Self::Socket(mut socket) => {
                socket.send(Message::text(error)).await.unwrap();
                let _ = WebSocketStream::close(&mut socket, None).await;
            }
            Self::Session(wire) => {
                wire.control.say_last(&[error], super::PATIENCE).await;
                wire.session.close(code.close_code(), "");
            }
        }
    }
}

/// Listens for sessions, with a certificate of its own.
pub(super) struct Sessions(Listener);

impl Sessions {
    pub(super) fn listen() -> (Self, WebTransportAddress) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = std::time::SystemTime::now();
        params.not_before = (now - Duration::from_secs(3600)).into();
        params.not_after = (now + Duration::from_secs(10 * 24 * 3600)).into();
        let certificate = params.self_signed(&key).unwrap();
        let hash = CertificateHash(Sha256::digest(certificate.der()).into());
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let socket = tuning::socket(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = Listener::new(socket, tls).unwrap();
        let address = address(listener.local_addr().unwrap(), hash);
        (Self(listener), address)
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(super) async fn accept(&self) -> Wire {
        let session = self.0.accept().await.unwrap().enter().await.unwrap().accept().await.unwrap();
        let control = session.accept_control().await.unwrap();
        // As it allows media, but for less: room that was given can't be taken back.
        session.quic().set_max_concurrent_uni_streams(tuning::MEDIA_STREAMS_MAX.into());
        session.quic().set_receive_window(WINDOW_BYTES.into());
        let inbox = session.inbox();
        Wire::Session(Box::new(SessionWire { session, control, inbox }))
    }
}

/// What a relay at `socket` tells of itself.
pub(super) fn address(socket: SocketAddr, hash: CertificateHash) -> WebTransportAddress {
    WebTransportAddress { url: format!("https://{socket}/wt").parse().unwrap(), certificate_hashes: vec![hash] }
}
