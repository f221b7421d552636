//! What a failed command tells the window: a stable code and a sentence, as the directory's own errors have it.

use broadcaster::{StartError, directory_client::DirectoryError, sources::SourceError};
use serde::Serialize;
use ts_rs::TS;

/// A failed command. Codes are those of `protocol` and the constants of [`code`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[ts(export)]
pub(crate) struct CommandError {
    /// For programs; stable.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
}

/// The codes that only the app has.
pub(crate) mod code {
    /// Nobody answers at the directory's address.
    pub(crate) const UNREACHABLE: &str = "unreachable";
    /// Somebody answers at the directory's address, with a certificate that is not trusted.
    pub(crate) const UNTRUSTED: &str = "untrusted";
    /// Somebody answers at the directory's address, but not a directory.
    pub(crate) const NOT_A_DIRECTORY: &str = "not_a_directory";
    /// The source, the sound or ffmpeg is not there.
    pub(crate) const CAPTURE: &str = "capture_failed";
    /// A stream is being sent already.
    pub(crate) const ALREADY_LIVE: &str = "already_live";
    /// No stream is being sent.
    pub(crate) const NOT_LIVE: &str = "not_live";
    /// The stream can't be encrypted.
    pub(crate) const ENCRYPTION: &str = "encryption_failed";
    /// Stopped before it had begun.
    pub(crate) const CANCELLED: &str = "cancelled";
    /// The directory's address is not an address.
    pub(crate) const INVALID_ADDRESS: &str = "invalid_address";
    /// The operator's pass is not a pass.
    pub(crate) const INVALID_PASS: &str = "invalid_pass";
    /// The settings can't be kept.
    pub(crate) const SETTINGS: &str = "settings_failed";
    /// The window asked for something that is none of its business.
    pub(crate) const INVALID_REQUEST: &str = "invalid_request";
}

impl CommandError {
    pub(crate) fn new(code: &str, message: impl std::fmt::Display) -> Self {
        Self { code: code.to_owned(), message: message.to_string() }
    }
}

impl From<DirectoryError> for CommandError {
    fn from(error: DirectoryError) -> Self {
        let code = match &error {
            DirectoryError::Refused { code, .. } => code.as_str(),
            DirectoryError::Unreachable { .. } => code::UNREACHABLE,
            DirectoryError::Untrusted { .. } => code::UNTRUSTED,
            DirectoryError::NotADirectory { .. } => code::NOT_A_DIRECTORY,
        };
        Self::new(code, &error)
    }
}

impl From<SourceError> for CommandError {
    fn from(error: SourceError) -> Self {
        Self::new(code::CAPTURE, error)
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Directory(error) => error.into(),
            StartError::Source(error) => error.into(),
            StartError::Seal(error) => Self::new(code::ENCRYPTION, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::ErrorCode;

    use super::*;

    #[test]
    fn refusal_of_the_directory_keeps_its_code_and_sentence() {
        let refused = DirectoryError::Refused { code: ErrorCode::NoRelay, message: "no relay has room".to_owned() };
        assert_eq!(CommandError::from(refused), CommandError::new("no_relay", "no relay has room"));
    }

    #[test]
    fn silent_directory_is_unreachable() {
        let silent = DirectoryError::Unreachable { directory: "http://localhost:1/".parse().unwrap() };
        assert_eq!(CommandError::from(silent).code, "unreachable");
    }
}
