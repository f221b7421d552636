//! Passes: who may go live at a directory that does not let everybody. Of a pass its hash is kept. Pure; outlives restarts.

use std::{collections::BTreeMap, time::Duration};

use protocol::{Secret, SecretHash};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::state_file::{NotWritten, State};

/// What a pass begins with, so that people and programs that look for lost secrets know it.
const PREFIX: &str = "dsp_";

/// Most passes: each is looked at once per stream that is made.
const PASSES_MAX: usize = 10_000;

/// How long it is remembered that a pass was revoked: longer than a directory is switched off that comes back and still knows it, and
/// far longer than a record of a stream is good for that was made with it.
const REVOKED_KEPT: Duration = Duration::from_secs(366 * 24 * 3600);

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
    /// When passes of these names were revoked last. Remembered for [`REVOKED_KEPT`].
    #[serde(default)]
    revoked: BTreeMap<String, u64>,
}

impl State for Passes {
    const FILE_NAME: &'static str = "passes.json";
    const LOST_WITHOUT: &'static str = "all passes, so that everybody who goes live needs a new one";
    const KEY: &'static str = "passes";

    fn merge(&mut self, other: &Self, now_s: u64) {
        for (name, at_s) in &other.revoked {
            let own = self.revoked.entry(name.clone()).or_insert(*at_s);
            *own = (*own).max(*at_s);
        }
        for (name, pass) in &other.passes {
            let order = |pass: &Pass| (pass.made_at_s, String::from(pass.sha256.clone()));
            if self.passes.get(name).is_none_or(|own| order(own) < order(pass)) {
                self.passes.insert(name.clone(), pass.clone());
            }
        }
        self.passes.retain(|name, pass| self.revoked.get(name).is_none_or(|at_s| pass.made_at_s > *at_s));
        self.forget_revoked(now_s);
    }
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
        // One of the same name that was revoked within this second is another one.
        let made_at_s = self.revoked.get(name).map_or(now_s, |at_s| now_s.max(at_s + 1));
        self.passes.insert(name.to_owned(), Pass { sha256: pass.hash(), made_at_s });
        Ok(())
    }

    /// Forgets a pass.
    pub(crate) fn revoke(&mut self, name: &str, now_s: u64) -> Result<(), PassError> {
        let pass = self.passes.remove(name).ok_or_else(|| PassError::Unknown(name.to_owned()))?;
        self.revoked.insert(name.to_owned(), now_s.max(pass.made_at_s));
        self.forget_revoked(now_s);
        Ok(())
    }

    fn forget_revoked(&mut self, now_s: u64) {
        self.revoked.retain(|_, at_s| now_s < at_s.saturating_add(REVOKED_KEPT.as_secs()));
        while self.revoked.len() > PASSES_MAX
            && let Some(oldest) = self.revoked.iter().min_by_key(|(_, at_s)| **at_s).map(|(name, _)| name.clone())
        {
            self.revoked.remove(&oldest);
        }
    }

    /// The passes that were revoked since this was `before`.
    pub(crate) fn revoked_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a str> {
        let news = |(name, at_s): &(&String, &u64)| before.revoked.get(*name) != Some(*at_s);
        self.revoked.iter().filter(news).map(|(name, _)| name.as_str())
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
    fn pass_that_one_directory_revoked_is_revoked_at_all_and_may_be_made_anew() {
        let (mut one, text) = (Passes::default(), text_of([7; 24]));
        one.add("anna", &text, 5).unwrap();
        let mut other = one.clone();
        one.revoke("anna", 5).unwrap();
        other.add("ben", &text_of([8; 24]), 6).unwrap();
        let both = |one: &Passes, other: &Passes| {
            let (mut ours, mut theirs) = (one.clone(), other.clone());
            ours.merge(other, 9);
            theirs.merge(one, 9);
            assert_eq!(ours, theirs);
            ours
        };
        let mut merged = both(&one, &other);
        assert_eq!((merged.find(&text), merged.find(&text_of([8; 24]))), (None, Some("ben")));
        assert_eq!(merged.revoked_since(&other).collect::<Vec<_>>(), ["anna"]);
        merged.add("anna", &text_of([9; 24]), 5).unwrap();
        assert_eq!(both(&merged, &other).find(&text_of([9; 24])), Some("anna"));
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
