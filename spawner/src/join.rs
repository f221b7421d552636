//! What a new relay joins with.

use std::{fmt, sync::Arc};

use protocol::{RelayName, Secret};
use url::Url;

/// Makes a join token for the relay of this name, good for one use.
pub type TokenSource = Arc<dyn Fn(&RelayName) -> Secret + Send + Sync>;

/// What every new relay is told.
#[derive(Clone)]
pub struct Join {
    /// Where relays reach the directory.
    pub directory: Url,
    /// Makes their tokens.
    pub token: TokenSource,
}

impl Join {
    /// The variables of the environment that every relay gets.
    pub(crate) fn environment(&self, name: &RelayName) -> [(&'static str, String); 3] {
        [
            ("RELAY_NAME", name.to_string()),
            ("DIRECTORY_URL", self.directory.to_string()),
            ("JOIN_TOKEN", (self.token)(name).into()),
        ]
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("directory", &self.directory.as_str()).finish_non_exhaustive()
    }
}
