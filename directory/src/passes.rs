//! Passes: who may go live at a directory that does not let everybody. Of a pass its hash is kept. Pure; outlives restarts.

use std::collections::BTreeMap;

use protocol::{Secret, SecretHash, limits::RECORD_TIME_MAX};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::state_file::{NotWritten, State};

/// What a pass begins with, so that people and programs that look for lost secrets know it.
const PREFIX: &str = "dsp_";

/// Most passes: each is looked at once per stream that is made.
const PASSES_MAX: usize = 10_000;

/// Longest name of a pass, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Why a pass was not made or revoked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PassError {
    /// The name can't be one.
    #[error("a pass has a name of 1 to {NAME_CHARS_MAX} characters, none of them a control character")]
    Name,
    /// There is one of this name.
    #[error("there is a pass named {0} already; revoke it first, or choose another name")]
    Exists(String),
    /// There is none of this name.
    #[error("there is no pass named {0}; `directory pass list` lists them")]
    Unknown(String),
    /// [`PASSES_MAX`] is reached.
    #[error("there are {PASSES_MAX} passes already, which is as many as there may be")]
    Full,
    /// It could not be remembered.
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pass {
    sha256: SecretHash,
    made_at_s: u64,
}

/// All passes, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Passes {
    passes: BTreeMap<String, Pass>,
    /// When passes of these names were revoked last, as long as a record of a stream that was made with one is good for.
    #[serde(default)]
    revoked: BTreeMap<String, u64>,
}

impl State for Passes {
    const FILE_NAME: &'static str = "passes.json";
    const LOST_WITHOUT: &'static str = "all passes, so that everybody who goes live needs a new one";
}

/// A new pass's text, of random bytes. 24 of them are 32 characters.
pub(crate) fn text_of(random: [u8; 24]) -> Secret {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)).into()
}

impl Passes {
    /// Remembers a new pass.
    pub(crate) fn add(&mut self, name: &str, pass: &Secret, now_s: u64) -> Result<(), PassError> {
        let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
        if !fits || name.trim() != name || name.chars().any(char::is_control) {
            return Err(PassError::Name);
        }
        if self.passes.contains_key(name) {
            return Err(PassError::Exists(name.to_owned()));
        }
        if self.passes.len() >= PASSES_MAX {
            return Err(PassError::Full);
        }
        self.passes.insert(name.to_owned(), Pass { sha256: pass.hash(), made_at_s: now_s });
        Ok(())
    }

    /// Forgets a pass.
    pub(crate) fn revoke(&mut self, name: &str, now_s: u64) -> Result<(), PassError> {
        self.passes.remove(name).ok_or_else(|| PassError::Unknown(name.to_owned()))?;
        self.revoked.retain(|_, at_s| now_s < at_s.saturating_add(RECORD_TIME_MAX.as_secs()));
        if self.revoked.len() >= PASSES_MAX
            && let Some(oldest) = self.revoked.iter().min_by_key(|(_, at_s)| **at_s).map(|(name, _)| name.clone())
        {
            self.revoked.remove(&oldest);
        }
        self.revoked.insert(name.to_owned(), now_s);
        Ok(())
    }

    /// Whether the pass of this name was revoked that was good at `then_s`.
    pub(crate) fn was_revoked_since(&self, name: &str, then_s: u64) -> bool {
        self.revoked.get(name).is_some_and(|at_s| *at_s >= then_s)
    }

    /// The name of the pass with this text. Looks at all of them, hash by hash: how long that takes says nothing about a pass.
    pub(crate) fn find(&self, text: &Secret) -> Option<&str> {
        let hash = text.hash();
        self.passes.iter().find(|(_, pass)| pass.sha256 == hash).map(|(name, _)| name.as_str())
    }

    /// Names, and when each was made in seconds since the Unix epoch.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&str, u64)> {
        self.passes.iter().map(|(name, pass)| (name.as_str(), pass.made_at_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pass_is_known_by_its_text_until_it_is_revoked() {
        let (mut passes, text) = (Passes::default(), text_of([7; 24]));
        assert!(text.expose().starts_with("dsp_") && text.expose().len() == 36);
        passes.add("anna", &text, 5).unwrap();
        assert_eq!((passes.find(&text), passes.find(&"dsp_".into())), (Some("anna"), None));
        assert_eq!(passes.add("anna", &text_of([8; 24]), 5), Err(PassError::Exists("anna".to_owned())));
        assert_eq!(passes.list().collect::<Vec<_>>(), [("anna", 5)]);
        passes.revoke("anna", 9).unwrap();
        assert!(passes.was_revoked_since("anna", 9) && !passes.was_revoked_since("anna", 10));
        assert_eq!(passes.find(&text), None);
        assert_eq!(passes.revoke("anna", 9), Err(PassError::Unknown("anna".to_owned())));
    }

    #[test]
    fn file_holds_no_pass() {
        let (mut passes, text) = (Passes::default(), text_of([7; 24]));
        passes.add("anna", &text, 5).unwrap();
        let file = serde_json::to_string(&passes).unwrap();
        assert!(!file.contains(text.expose()) && !file.contains(&text.expose()[4..]), "{file}");
        assert_eq!(serde_json::from_str::<Passes>(&file).unwrap().find(&text), Some("anna"));
    }

    #[test]
    fn names_that_a_table_cannot_show_are_refused() {
        for name in ["", " ", " anna", "a\nb", &"x".repeat(65)] {
            assert_eq!(Passes::default().add(name, &"p".into(), 0), Err(PassError::Name), "{name:?}");
        }
    }
}
