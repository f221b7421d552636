//! What the servers trust when they are clients: the system's authorities, and one more where an operator says so.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tracing::debug;

/// How to verify servers: by the system's authorities, and by the certificates in the PEM file `ca`.
///
/// # Errors
/// A sentence that names the file.
pub fn client_config(ca: Option<&Path>) -> Result<Arc<ClientConfig>> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        debug!(%error, "an authority of the system can't be read");
    }
    let mut roots = RootCertStore::empty();
    // Systems hold certificates that no longer pass; the others count all the same.
    roots.add_parsable_certificates(system.certs);
    if let Some(ca) = ca {
        for authority in authorities(ca)? {
            roots.add(authority).with_context(|| format!("{} holds a certificate that can't be one", ca.display()))?;
        }
    }
    let config = ClientConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()
        .context("TLS has no protocol versions")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates of a PEM file.
///
/// # Errors
/// A sentence that names the file: it can't be read, or holds none.
pub fn authorities(ca: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let shown = ca.display();
    let pem = std::fs::read(ca).with_context(|| format!("can't read {shown}, the file of one more authority"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.with_context(|| format!("{shown} is no PEM file of certificates"))?;
    ensure!(!certificates.is_empty(), "{shown} holds no certificate; give a PEM file of one");
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_holds_no_certificate_is_a_sentence_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let words = |file: &Path| format!("{:#}", client_config(Some(file)).unwrap_err());
        assert!(words(&file).contains("can't read") && words(&file).contains("ca.pem"));
        std::fs::write(&file, "no certificate").unwrap();
        assert!(words(&file).contains("ca.pem holds no certificate"), "{}", words(&file));
    }
}
