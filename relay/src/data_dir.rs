//! The folder with this relay's private key, its membership and the directory's ticket key, readable by its owner alone.

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result, anyhow};
use protocol::{
    Secret,
    signing::{PublicKey, SigningKey},
};

const RELAY_KEY_FILE: &str = "relay-key.pk8";
const TICKET_KEY_FILE: &str = "ticket-key";
const MEMBERSHIP_FILE: &str = "membership";
const WEBTRANSPORT_FILE: &str = "webtransport-certificates.json";

/// The folder.
#[derive(Debug, Clone)]
pub struct DataDir {
    folder: PathBuf,
}

impl DataDir {
    /// The folder, made when it is not there.
    ///
    /// # Errors
    /// When it can't be made; the error names the flag.
    pub fn open(folder: PathBuf) -> Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&folder)
            .with_context(|| format!("can't make the folder {}; choose another with --data-dir", folder.display()))?;
        Ok(Self { folder })
    }

    /// This relay's key, by which the directory knows it again. Made at the first start.
    ///
    /// # Errors
    /// When the key can't be read, is none, or can't be written.
    pub fn key(&self) -> Result<SigningKey> {
        let path = self.folder.join(RELAY_KEY_FILE);
        let pkcs8 = match fs::read(&path) {
            Ok(pkcs8) => pkcs8,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let pkcs8 = SigningKey::generate_pkcs8().context("the system has no randomness for a key")?;
                self.write(RELAY_KEY_FILE, &pkcs8)?;
                pkcs8
            }
            Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
        };
        SigningKey::from_pkcs8(&pkcs8)
            .map_err(|_| anyhow!("{} holds no key; remove it to get a new one", path.display()))
    }

    /// The ticket key of the last registration, when there was one.
    #[must_use]
    pub fn ticket_key(&self) -> Option<PublicKey> {
        fs::read_to_string(self.folder.join(TICKET_KEY_FILE)).ok()?.trim().parse().ok()
    }

    /// Keeps the ticket key, for a start while the directory is down.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep_ticket_key(&self, key: &PublicKey) -> Result<()> {
        self.write(TICKET_KEY_FILE, key.to_string().as_bytes())
    }

    /// The membership that the directory gave last, when it gave one.
    #[must_use]
    pub fn membership(&self) -> Option<Secret> {
        let text = fs::read_to_string(self.folder.join(MEMBERSHIP_FILE)).ok()?;
        Some(Secret::from(text.trim())).filter(|membership| !membership.is_empty())
    }

    /// Keeps the membership, for the next start.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep_membership(&self, membership: &Secret) -> Result<()> {
        self.write(MEMBERSHIP_FILE, membership.expose().as_bytes())
    }

    /// What was kept of certificates for WebTransport; nothing when there is none, or none that can be read.
    #[must_use]
    pub fn webtransport_certificates<T: serde::de::DeserializeOwned>(&self) -> Vec<T> {
        let read = fs::read(self.folder.join(WEBTRANSPORT_FILE));
        read.ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// Keeps certificates for WebTransport with their keys, for the next start.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn keep_webtransport_certificates(&self, certificates: &[impl serde::Serialize]) -> Result<()> {
        self.write(WEBTRANSPORT_FILE, &serde_json::to_vec(certificates)?)
    }

    /// Writes beside and renames, so that a crash leaves the old file or the new one.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, beside) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let write = || {
            let mut file = options.open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().with_context(|| format!("can't write {}; choose another folder with --data-dir", path.display()))
    }
}
