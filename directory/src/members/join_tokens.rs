//! How often each join token was used. Tokens that nobody has used yet are not known here: they say themselves what they allow.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{relay_proof::JoinToken, signing::PublicKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum TokenError {
    /// Its time is over.
    #[error("the join token has expired; ask the directory's operator for a new one")]
    Expired,
    /// As many relays have joined with it as may.
    #[error("the join token was used as often as it may be; ask the directory's operator for a new one")]
    UsedUp,
    /// A relay that joined with it was shut out.
    #[error("the join token is void; ask the directory's operator for a new one")]
    Void,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Uses {
    expires_at_s: u64,
    relays: BTreeSet<PublicKey>,
    #[serde(default)]
    void: bool,
}

/// The tokens that were used and have not expired.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct JoinTokens {
    used: BTreeMap<String, Uses>,
}

impl JoinTokens {
    /// A relay with this key joins with `token`. One that asks again, because it never read the answer, uses it once.
    pub(super) fn take(&mut self, now_s: u64, token: &JoinToken, key: PublicKey) -> Result<(), TokenError> {
        self.used.retain(|_, uses| uses.expires_at_s > now_s);
        if now_s >= token.expires_at_s {
            return Err(TokenError::Expired);
        }
        let uses = self.used.get(&token.id);
        if uses.is_some_and(|uses| uses.void) {
            return Err(TokenError::Void);
        }
        if uses.is_some_and(|uses| uses.relays.contains(&key)) {
            return Ok(());
        }
        if uses.map_or(0, |uses| uses.relays.len()) >= token.uses_max as usize {
            return Err(TokenError::UsedUp);
        }
        let fresh = Uses { expires_at_s: token.expires_at_s, relays: BTreeSet::new(), void: false };
        self.used.entry(token.id.clone()).or_insert(fresh).relays.insert(key);
        Ok(())
    }

    /// The same of another directory.
    pub(super) fn merge(&mut self, other: &Self, now_s: u64) {
        for (id, uses) in &other.used {
            let own = self.used.entry(id.clone()).or_insert_with(|| uses.clone());
            own.relays.extend(uses.relays.iter().copied());
            own.void |= uses.void;
        }
        self.used.retain(|_, uses| uses.expires_at_s > now_s);
    }

    /// Lets nobody in with this token any more.
    pub(super) fn void(&mut self, id: &str) {
        if let Some(uses) = self.used.get_mut(id) {
            uses.void = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::sample::{NOW_S, key, token};

    #[test]
    fn token_lets_in_as_many_relays_as_it_says() {
        let mut tokens = JoinTokens::default();
        tokens.take(NOW_S, &token(2), key(1)).unwrap();
        tokens.take(NOW_S, &token(2), key(1)).unwrap();
        tokens.take(NOW_S, &token(2), key(2)).unwrap();
        assert_eq!(tokens.take(NOW_S, &token(2), key(3)), Err(TokenError::UsedUp));
        tokens.take(NOW_S, &token(2), key(2)).unwrap();
        let other = JoinToken { id: "u".to_owned(), ..token(1) };
        tokens.take(NOW_S, &other, key(3)).unwrap();
        assert_eq!(tokens.take(NOW_S, &token(0), key(9)), Err(TokenError::UsedUp));
    }

    #[test]
    fn expired_token_lets_nobody_in_and_is_forgotten() {
        let mut tokens = JoinTokens::default();
        tokens.take(NOW_S, &token(1), key(1)).unwrap();
        assert_eq!(tokens.take(NOW_S + 3600, &token(1), key(1)), Err(TokenError::Expired));
        assert!(tokens.used.is_empty());
    }
}
