//! Two ends of a session.

use std::{net::SocketAddr, sync::Arc};

use protocol::CertificateHash;
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest as _, Sha256};
use webtransport::{Client, Listener, Session, Trust, tuning};

/// A listener with a certificate of ten days, and its hash.
pub(crate) fn listener() -> (Listener, CertificateHash) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let now = std::time::SystemTime::now();
    params.not_before = (now - std::time::Duration::from_secs(3600)).into();
    params.not_after = (now + std::time::Duration::from_secs(10 * 24 * 3600)).into();
    let certificate = params.self_signed(&key).unwrap();
    let hash = CertificateHash(Sha256::digest(certificate.der()).into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let socket = tuning::socket(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    (Listener::new(socket, tls).unwrap(), hash)
}

pub(crate) struct Pair {
    pub(crate) client: Session,
    pub(crate) server: Session,
    /// Dropped last: it carries both.
    pub(crate) _listener: Listener,
    pub(crate) _client: Client,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        let (listener, hash) = listener();
        let url = format!("https://127.0.0.1:{}/wt", listener.local_addr().unwrap().port()).parse().unwrap();
        let client = Client::new(&Trust::Hashes(vec![hash])).unwrap();
        let accepting = async {
            let request = listener.accept().await.unwrap().enter().await.unwrap();
            assert_eq!(request.path(), "/wt");
            request.accept().await.unwrap()
        };
        let (connected, server) = tokio::join!(client.connect(&url), accepting);
        Self { client: connected.unwrap(), server, _listener: listener, _client: client }
    }
}
