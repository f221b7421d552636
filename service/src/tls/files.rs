//! An operator's certificate in two files, read again when what is in them changes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    certificate::{Certificate, Shown},
    private_file,
};
use crate::Clock;

/// How often the files are looked at. What is in them counts, not their time or inode: mounts and copies keep neither.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The two files.
#[derive(Debug, Clone)]
pub(super) struct Files {
    cert: PathBuf,
    key: PathBuf,
    /// What was seen last, good or not.
    seen: Option<Contents>,
}

/// What is in the two files.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contents(..)")
    }
}

impl Files {
    /// Reads the files and shows the certificate. Files that are not there yet are waited for by [`Self::watch`]: whoever obtains
    /// the certificate may be slower to start.
    ///
    /// # Errors
    /// A sentence: a file can't be read, or what is in it can't be used.
    pub(super) fn open(cert: PathBuf, key: PathBuf, shown: &Shown) -> Result<Self> {
        let seen = read(&cert, &key)?;
        let files = Self { cert, key, seen };
        match &files.seen {
            Some(contents) => files.show(contents, shown).with_context(|| files.words("can't be used"))?,
            None => warn!("{}, and no connection is served before", files.missing()),
        }
        Ok(files)
    }

    /// What there is instead of a certificate.
    pub(super) fn missing(&self) -> String {
        self.words("are waited for")
    }

    fn words(&self, what: &str) -> String {
        format!("--tls-cert {} and --tls-key {} {what}", self.cert.display(), self.key.display())
    }

    /// Looks at the files until `stopping`. Files that went away or can't be used leave the certificate as it is.
    pub(super) async fn watch(mut self, shown: Arc<Shown>, stopping: CancellationToken) {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        while stopping.run_until_cancelled(looks.tick()).await.is_some() {
            let (cert, key) = (self.cert.clone(), self.key.clone());
            let read = tokio::task::spawn_blocking(move || read(&cert, &key)).await;
            match read {
                Ok(Ok(Some(contents))) if self.seen.as_ref() != Some(&contents) => {
                    match self.show(&contents, &shown) {
                        Ok(()) => info!(
                            fingerprint = shown.fingerprint().unwrap_or_default(),
                            "the certificate was read again; new connections get it"
                        ),
                        Err(error) => warn!(
                            reason = format!("{error:#}"),
                            "{}, and the old certificate stays",
                            self.words("have changed and can't be used")
                        ),
                    }
                    self.seen = Some(contents);
                    failing = false;
                }
                Ok(Err(error)) if !failing => {
                    failing = true;
                    warn!(reason = format!("{error:#}"), "the old certificate stays");
                }
                Ok(Ok(Some(_))) => failing = false,
                _ => {}
            }
        }
    }

    fn show(&self, contents: &Contents, shown: &Shown) -> Result<()> {
        let certificate = Certificate::from_pem(&contents.cert, &contents.key)?;
        // A clock that is wrong must not keep a server down; clients judge for themselves.
        if let Err(error) = certificate.check_time(Clock::system().now_s()) {
            warn!(reason = %error, "{}", self.words("will not be trusted"));
        }
        shown.show(certificate);
        Ok(())
    }
}

/// What is in the files; `None` while one of them is not there.
fn read(cert: &Path, key: &Path) -> Result<Option<Contents>> {
    let read = |path: &Path| private_file::read(path).with_context(|| format!("can't read {}", path.display()));
    Ok(read(cert)?.zip(read(key)?).map(|(cert, key)| Contents { cert, key }))
}
