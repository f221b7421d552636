//! A relay that others pull from by WebTransport, played by a test: it says and sends what the test wants, in the order it wants.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{WebTransportAddress, framing::framed, http::RelayAddress};
use relay::{data_dir::DataDir, webtransport::certificate::OwnCertificates};
use serde_json::{Value, json};
use tokio::time::timeout;
use webtransport::{Control, ControlError, Listener, Session};

use crate::driver::{PATIENCE, now_s, relay_name, stream};

/// It, before anybody has come.
pub(crate) struct UpstreamPlayer {
    listener: Listener,
    pub(crate) address: RelayAddress,
    /// Whoever comes there hears nothing.
    _tcp: std::net::TcpListener,
    _folder: tempfile::TempDir,
}

/// A relay that pulls from it.
pub(crate) struct Pulling {
    session: Session,
    control: Control,
}

impl UpstreamPlayer {
    /// One that is called `upstream`, and that nobody reaches by WebSocket.
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path().into()).unwrap();
        let own = Arc::new(OwnCertificates::open(data_dir, "127.0.0.1", now_s()).unwrap());
        let certificate_hashes = own.hashes();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls =
            rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let tls = tls.unwrap().with_no_client_auth().with_cert_resolver(own);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = Listener::new(socket, tls).unwrap();
        let url = format!("https://{}/wt", listener.local_addr().unwrap()).parse().unwrap();
        let webtransport = Some(WebTransportAddress { url, certificate_hashes });
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/ws", tcp.local_addr().unwrap()).parse().unwrap();
        Self {
            listener,
            address: RelayAddress { name: relay_name("upstream"), url, webtransport },
            _tcp: tcp,
            _folder: folder,
        }
    }

    /// The next relay that comes to pull; it has said so.
    pub(crate) async fn pulled(&self) -> Pulling {
        let coming = async {
            let session = self.listener.accept().await.unwrap().enter().await.unwrap().accept().await.unwrap();
            let mut control = session.accept_control().await.unwrap();
            let hello: Value = serde_json::from_str(&control.receive().await.unwrap()).unwrap();
            assert_eq!(hello["type"], "pull_stream");
            Pulling { session, control }
        };
        timeout(PATIENCE, coming).await.unwrap()
    }
}

impl Pulling {
    pub(crate) async fn say(&mut self, message: Value) {
        self.try_say(message).await.unwrap();
    }

    /// The same to one who may have gone.
    pub(crate) async fn try_say(&mut self, message: Value) -> Result<(), ControlError> {
        self.control.send(&message.to_string()).await
    }

    /// Says that it sends a picture of this codec as track 1.
    pub(crate) async fn announces(&mut self, codec: &str) {
        let tracks = json!([{"track": 1, "kind": "video", "codec": codec}]);
        let (stream, path) = (stream(1), json!(["upstream"]));
        let watching =
            json!({"type": "watching", "stream": stream, "tracks": tracks, "selected": [1], "epoch": 1, "path": path});
        self.say(watching).await;
    }

    /// A stream with these messages.
    pub(crate) async fn stream(&self, messages: &[Bytes]) -> quinn::SendStream {
        let mut stream = self.session.quic().open_uni().await.unwrap();
        stream.write_all(&[0x40, 0x54, 0x00]).await.unwrap();
        for message in messages {
            stream.write_all(&framed(message)).await.unwrap();
        }
        stream
    }

    /// The same, whole; all of it has come.
    pub(crate) async fn whole_stream(&self, messages: &[Bytes]) {
        let mut stream = self.stream(messages).await;
        stream.finish().unwrap();
        assert_eq!(timeout(PATIENCE, stream.stopped()).await.unwrap().unwrap(), None);
    }
}
