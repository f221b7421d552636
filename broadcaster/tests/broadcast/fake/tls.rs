//! A certificate of the test's own, and what serves with it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
    server::TlsStream,
};

/// What a test's server reads and writes.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A certificate for localhost that nobody else has signed.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) acceptor: TlsAcceptor,
    pem: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let CertifiedKey { cert, key_pair } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(key_pair.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), pem: cert.pem() }
    }

    pub(crate) fn write(&self, file: &Path) {
        std::fs::write(file, &self.pem).unwrap();
    }
}

/// Lets HTTP clients in over TLS, one handshake after the other.
pub(crate) struct TlsListener(pub(crate) TcpListener, pub(crate) TlsAcceptor);

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.0.accept().await.unwrap();
            // A client that does not trust the certificate goes away here.
            if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(5), self.1.accept(stream)).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
