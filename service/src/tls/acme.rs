//! Certificates that the server obtains from an authority and renews (RFC 8555), proving its domain on the same listener
//! (TLS-ALPN-01, RFC 8737).

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::StreamExt as _;
use rustls::ServerConfig;
use rustls_acme::{AccountCache, AcmeConfig, AcmeState, CertCache, EventOk};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    AcmeFlags,
    certificate::{Certificate, Shown},
    client_config, private_file,
};

/// What obtains certificates.
pub(super) struct Acme {
    /// Taken by whoever runs it.
    state: Mutex<Option<AcmeState<io::Error>>>,
    challenge: Arc<ServerConfig>,
}

impl Acme {
    /// Sets up what obtains certificates for the domains in `flags`, keeps them in `kept`, gives them to relays
    /// in `folder`, and shows them.
    ///
    /// # Errors
    /// A sentence: the folder or the file of an authority can't be used.
    pub(super) fn open(flags: &AcmeFlags, folder: PathBuf, kept: PathBuf, shown: &Arc<Shown>) -> Result<Self> {
        for folder in [&folder, &kept] {
            private_file::make_folder(folder).with_context(|| {
                format!("can't make the folder {}; choose another with --data-dir", folder.display())
            })?;
        }
        info!(
            domains = flags.acme_domain.join(", "),
            authority = flags.directory(),
            "certificates are obtained for these domains, whose port 443 has to lead here"
        );
        let client = client_config(flags.acme_ca.as_deref()).context("--acme-ca can't be used")?;
        let state = AcmeConfig::new_with_client_config(&flags.acme_domain, client)
            .directory(flags.directory())
            .contact(flags.contacts())
            .cache(Kept { folder, kept, shown: Arc::clone(shown) })
            .state();
        let challenge = state.challenge_rustls_config_with_provider(super::provider());
        Ok(Self { state: Mutex::new(Some(state)), challenge })
    }

    /// What an authority's check is answered with.
    pub(super) fn challenge(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.challenge)
    }

    /// Obtains and renews until `stopping`; failures are tried again, ever less often.
    pub(super) fn run(&self, stopping: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let Some(mut state) = state else { return };
            while let Some(Some(event)) = stopping.run_until_cancelled(state.next()).await {
                match event {
                    Ok(EventOk::DeployedNewCert) => info!("a certificate was obtained; new connections get it"),
                    Ok(EventOk::DeployedCachedCert) => info!("the certificate that was obtained before is shown"),
                    Ok(event) => debug!(event = ?event, "kept"),
                    Err(error) => warn!(%error, "no certificate was obtained; it is tried again"),
                }
            }
        }
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme").finish_non_exhaustive()
    }
}

/// What was obtained. The certificate of the moment is also written as `cert.pem` and `key.pem`, for the operator's relays.
struct Kept {
    folder: PathBuf,
    kept: PathBuf,
    shown: Arc<Shown>,
}

impl Kept {
    /// A file of the account or certificate that goes with these words.
    fn file(&self, kind: &str, words: &[String], directory_url: &str) -> PathBuf {
        let all = words.iter().map(String::as_str).chain([directory_url]).collect::<Vec<_>>().join("\n");
        self.kept.join(format!("{kind}-{}.pem", hex::encode(digest(&SHA256, all.as_bytes()))))
    }

    /// Shows a certificate, and gives it to the relays.
    fn deploy(&self, pem: &[u8]) -> io::Result<()> {
        let certificate = Certificate::from_pem(pem, pem).map_err(io::Error::other)?;
        let text = std::str::from_utf8(pem).map_err(io::Error::other)?;
        // The certificate last: it is there only with its key.
        let begin = text.find("-----BEGIN CERTIFICATE").unwrap_or(text.len());
        let (key, chain) = text.split_at(begin);
        replace_changed(&self.folder.join("key.pem"), key.trim_end())?;
        replace_changed(&self.folder.join("cert.pem"), chain)?;
        self.shown.show(certificate);
        Ok(())
    }
}

fn replace_changed(path: &Path, text: &str) -> io::Result<()> {
    if private_file::read(path)?.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    private_file::replace(path, text.as_bytes())
}

#[async_trait]
impl CertCache for Kept {
    type EC = io::Error;

    async fn load_cert(&self, domains: &[String], directory_url: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(pem) = private_file::read(&self.file("certificate", domains, directory_url))? else { return Ok(None) };
        self.deploy(&pem)?;
        Ok(Some(pem))
    }

    async fn store_cert(&self, domains: &[String], directory_url: &str, pem: &[u8]) -> io::Result<()> {
        private_file::replace(&self.file("certificate", domains, directory_url), pem)?;
        self.deploy(pem)
    }
}

#[async_trait]
impl AccountCache for Kept {
    type EA = io::Error;

    async fn load_account(&self, contact: &[String], directory_url: &str) -> io::Result<Option<Vec<u8>>> {
        private_file::read(&self.file("account", contact, directory_url))
    }

    async fn store_account(&self, contact: &[String], directory_url: &str, account: &[u8]) -> io::Result<()> {
        private_file::replace(&self.file("account", contact, directory_url), account)
    }
}
