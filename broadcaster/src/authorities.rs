//! Whose certificates are trusted: those of the system's authorities, and of one more where an operator names it.

use std::{fs, io, path::Path, sync::Arc};

use reqwest::{Certificate, ClientBuilder};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use thiserror::Error;
use tokio_tungstenite::Connector;

/// Why a file of certificates can't be used.
#[derive(Debug, Error)]
pub enum InvalidAuthorities {
    /// It can't be read.
    #[error("the certificates in {0} can't be read: {1}")]
    Unreadable(String, io::Error),
    /// It holds no certificate in PEM form.
    #[error("{0} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(String),
    /// TLS can't be set up with it.
    #[error("the certificates in {0} can't be used: {1}")]
    Unusable(String, rustls::Error),
}

/// Authorities for connections to a directory and to relays. The default are the system's. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    more: Option<Arc<More>>,
}

#[derive(Debug)]
struct More {
    certificates: Vec<Certificate>,
    relays: Arc<ClientConfig>,
}

impl Authorities {
    /// The system's authorities, and those whose certificates are in `file` (PEM).
    ///
    /// # Errors
    /// When the file is not there or holds no certificate.
    pub fn with_file(file: &Path) -> Result<Self, InvalidAuthorities> {
        let name = || file.display().to_string();
        let pem = fs::read(file).map_err(|error| InvalidAuthorities::Unreadable(name(), error))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let found = found.unwrap_or_default();
        if found.is_empty() {
            return Err(InvalidAuthorities::NoCertificate(name()));
        }
        let unusable = |error| InvalidAuthorities::Unusable(name(), error);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let mut certificates = Vec::with_capacity(found.len());
        for certificate in found {
            let parsed = Certificate::from_der(&certificate).map_err(|_| InvalidAuthorities::NoCertificate(name()))?;
            certificates.push(parsed);
            roots.add(certificate).map_err(unusable)?;
        }
        let relays = tls(roots).map_err(unusable)?;
        Ok(Self { more: Some(Arc::new(More { certificates, relays: Arc::new(relays) })) })
    }

    /// What makes an HTTP client that trusts them.
    pub(crate) fn http(&self) -> ClientBuilder {
        let certificates = self.more.as_ref().map(|more| more.certificates.clone()).unwrap_or_default();
        ClientBuilder::new().tls_certs_merge(certificates)
    }

    /// What secures a WebSocket; `None` for the library's own, with the system's authorities.
    pub(crate) fn websocket(&self) -> Option<Connector> {
        self.more.as_ref().map(|more| Connector::Rustls(Arc::clone(&more.relays)))
    }

    /// What secures QUIC, to relays that show a certificate of an authority.
    pub(crate) async fn quic(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(more) = &self.more {
            return Ok(Arc::clone(&more.relays));
        }
        // Reading the system's may take a moment.
        let reading = tokio::task::spawn_blocking(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            tls(roots)
        });
        reading.await.map_err(|error| error.to_string())?.map(Arc::new).map_err(|error| error.to_string())
    }
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
