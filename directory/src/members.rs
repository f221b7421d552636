//! Which relays belong here: names and the keys that hold them, keys that were shut out, and the uses of join tokens. Pure: takes
//! `now_s` (seconds since the Unix epoch). Outlives restarts.

mod join_tokens;
mod names;
#[cfg(test)]
mod sample;

use protocol::{
    RelayName,
    http::RevokedRelay,
    limits::{REVOKED_TOLD_MAX, REVOKED_TOLD_TIME},
    relay_proof::JoinToken,
    signing::PublicKey,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use self::names::{Holder, NameError};
use self::{
    join_tokens::{JoinTokens, TokenError},
    names::Names,
};
use crate::state_file::{NotWritten, State};

/// Most keys that are shut out at a time. None is forgotten: an operator is told instead.
const REVOKED_MAX: usize = 4096;

/// Why a relay does not belong here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum JoinError {
    /// An operator has shut its key out.
    #[error("an operator has shut this relay out; to join again it needs another key, and a join token")]
    Revoked,
    /// Another key holds the name, or no name is left.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its join token lets nobody in.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It could not be remembered.
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

/// Why a relay could not be shut out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum RevokeError {
    /// Nobody holds the name.
    #[error("no relay holds the name {0}; `directory relays` lists those that do")]
    Unknown(RelayName),
    /// [`REVOKED_MAX`] is reached.
    #[error(
        "{REVOKED_MAX} relays are shut out already, which is as many as are remembered; shut strangers out by changing \
             the join secret instead"
    )]
    Full,
    /// It could not be remembered.
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

/// A key that was shut out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Revoked {
    relay: RelayName,
    public_key: PublicKey,
    at_s: u64,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Members {
    names: Names,
    #[serde(default)]
    revoked: Vec<Revoked>,
    #[serde(default)]
    join_tokens: JoinTokens,
}

impl State for Members {
    const FILE_NAME: &'static str = "relays.json";
    const LOST_WITHOUT: &'static str =
        "which relay names are taken, which relays are shut out, and which join tokens are used up";
    const KEY: &'static str = "members";

    fn merge(&mut self, other: &Self, now_s: u64) {
        for revoked in &other.revoked {
            match self.revoked.iter_mut().find(|own| own.public_key == revoked.public_key) {
                Some(own) if (revoked.at_s, &revoked.relay) < (own.at_s, &own.relay) => *own = revoked.clone(),
                Some(_) => {}
                None => self.revoked.push(revoked.clone()),
            }
        }
        self.revoked.sort_by(|one, other| (one.at_s, &one.public_key).cmp(&(other.at_s, &other.public_key)));
        self.join_tokens.merge(&other.join_tokens, now_s);
        self.names.merge(&other.names);
        let (names, revoked) = (&mut self.names, &self.revoked);
        names.release_all(|key| revoked.iter().any(|revoked| revoked.public_key == *key));
    }
}

impl Members {
    /// A relay with this key wants to hold a name. With a `token` it uses that up, the same key never twice.
    pub(crate) fn join(
        &mut self,
        now_s: u64,
        name: &RelayName,
        key: PublicKey,
        token: Option<&JoinToken>,
    ) -> Result<(), JoinError> {
        if self.is_revoked(&key) {
            return Err(JoinError::Revoked);
        }
        self.names.check(now_s, name, key)?;
        if let Some(token) = token {
            self.join_tokens.take(now_s, token, key)?;
        }
        self.names.hold(now_s, name, key, token.map(|token| token.id.clone()));
        Ok(())
    }

    /// Whether it is worth writing down that the relay of this name was heard of now.
    pub(crate) fn seen_is_news(&self, now_s: u64, name: &RelayName) -> bool {
        self.names.seen_is_news(now_s, name)
    }

    /// The relay of this name was heard of.
    pub(crate) fn seen(&mut self, now_s: u64, name: &RelayName) {
        self.names.seen(now_s, name);
    }

    /// Whether the relay of this name may have this key, as far as is known here.
    pub(crate) fn belongs(&self, name: &RelayName, key: &PublicKey) -> bool {
        !self.is_revoked(key) && self.names.holder(name).is_none_or(|holder| holder.public_key == *key)
    }

    /// Whether a key is shut out.
    pub(crate) fn is_revoked(&self, key: &PublicKey) -> bool {
        self.revoked.iter().any(|revoked| revoked.public_key == *key)
    }

    /// Shuts a relay out: its key, and everybody who would join with the token that it joined with. The name is free then.
    pub(crate) fn revoke(&mut self, now_s: u64, name: &RelayName) -> Result<(), RevokeError> {
        if self.revoked.len() >= REVOKED_MAX {
            return Err(RevokeError::Full);
        }
        let holder = self.names.release(name).ok_or_else(|| RevokeError::Unknown(name.clone()))?;
        if let Some(token) = &holder.join_token {
            self.join_tokens.void(token);
        }
        self.revoked.push(Revoked { relay: name.clone(), public_key: holder.public_key, at_s: now_s });
        Ok(())
    }

    /// The keys that held this name and were shut out.
    pub(crate) fn revoked_keys_of<'a>(&'a self, name: &'a RelayName) -> impl Iterator<Item = PublicKey> + 'a {
        self.revoked.iter().filter(move |revoked| revoked.relay == *name).map(|revoked| revoked.public_key)
    }

    /// The relays that are shut out and that other relays have to know: those whose tickets may still count, and those whose names are
    /// in other relays' tickets now. The newest first.
    pub(crate) fn revoked_to_tell(&self, now_s: u64) -> Vec<RevokedRelay> {
        let matters = |revoked: &&Revoked| {
            let lately = now_s.saturating_sub(revoked.at_s) < REVOKED_TOLD_TIME.as_secs();
            lately || self.names.holder(&revoked.relay).is_some()
        };
        let named = |revoked: &Revoked| RevokedRelay {
            relay: revoked.relay.clone(),
            public_key: revoked.public_key,
            at_s: revoked.at_s,
        };
        self.revoked.iter().rev().filter(matters).take(REVOKED_TOLD_MAX).map(named).collect()
    }

    /// Every name that is held, with its holder.
    pub(crate) fn holders(&self) -> impl Iterator<Item = (&RelayName, &Holder)> {
        self.names.iter()
    }

    /// Every relay that is shut out, and since when in seconds since the Unix epoch.
    pub(crate) fn revoked(&self) -> impl Iterator<Item = (&RelayName, u64)> {
        self.revoked.iter().map(|revoked| (&revoked.relay, revoked.at_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::sample::{NOW_S, key, name, token};

    #[test]
    fn revoked_key_never_joins_again_and_its_name_is_free_for_others() {
        let mut members = Members::default();
        members.join(NOW_S, &name("a"), key(1), None).unwrap();
        members.revoke(NOW_S, &name("a")).unwrap();
        assert_eq!(members.join(NOW_S, &name("a"), key(1), None), Err(JoinError::Revoked));
        assert_eq!(members.join(NOW_S, &name("b"), key(1), None), Err(JoinError::Revoked), "under any name");
        members.join(NOW_S, &name("a"), key(2), None).unwrap();
        assert_eq!(members.revoked_keys_of(&name("a")).collect::<Vec<_>>(), [key(1)]);
        assert_eq!(members.revoke(NOW_S, &name("c")), Err(RevokeError::Unknown(name("c"))));
    }

    #[test]
    fn relays_are_told_of_a_revoked_one_while_its_tickets_may_count_or_its_name_is_in_others() {
        let mut members = Members::default();
        for (number, relay) in [(1, "a"), (2, "b")] {
            members.join(NOW_S, &name(relay), key(number), None).unwrap();
            members.revoke(NOW_S + u64::from(number), &name(relay)).unwrap();
        }
        let told = |members: &Members, now_s| {
            members.revoked_to_tell(now_s).iter().map(|told| (told.relay.to_string(), told.at_s)).collect::<Vec<_>>()
        };
        let (a, b) = (("a".to_owned(), NOW_S + 1), ("b".to_owned(), NOW_S + 2));
        assert_eq!(told(&members, NOW_S + 2), [b.clone(), a]);
        let later_s = NOW_S + 1 + REVOKED_TOLD_TIME.as_secs();
        assert_eq!(told(&members, later_s), std::slice::from_ref(&b));
        assert_eq!(told(&members, later_s + 1), []);
        members.join(later_s, &name("b"), key(3), None).unwrap();
        assert_eq!(told(&members, 2 * later_s), [b], "another relay has the name, and its tickets have it");
        assert_eq!(members.revoked_to_tell(2 * later_s)[0].public_key, key(2));
    }

    #[test]
    fn no_more_are_told_of_than_an_answer_can_hold() {
        let mut members = Members::default();
        for number in 0..REVOKED_TOLD_MAX as u64 + 10 {
            members.join(NOW_S, &name("a"), key(7), None).unwrap();
            members.revoke(NOW_S + number, &name("a")).unwrap();
            members.revoked[number as usize].public_key = key(8);
        }
        let told = members.revoked_to_tell(NOW_S + 600);
        assert_eq!((told.len(), told[0].at_s), (REVOKED_TOLD_MAX, NOW_S + REVOKED_TOLD_MAX as u64 + 9));
    }

    #[test]
    fn token_of_a_revoked_relay_lets_nobody_in_any_more() {
        let mut members = Members::default();
        members.join(NOW_S, &name("a"), key(1), Some(&token(5))).unwrap();
        members.revoke(NOW_S, &name("a")).unwrap();
        assert_eq!(members.join(NOW_S, &name("a"), key(2), Some(&token(5))), Err(JoinError::Token(TokenError::Void)));
    }

    #[test]
    fn refused_name_costs_no_use_of_the_token() {
        let mut members = Members::default();
        members.join(NOW_S, &name("a"), key(1), None).unwrap();
        let taken = members.join(NOW_S, &name("a"), key(2), Some(&token(1)));
        assert!(matches!(taken, Err(JoinError::Name(NameError::Taken(_)))));
        members.join(NOW_S, &name("b"), key(2), Some(&token(1))).unwrap();
    }

    /// What two directories make of each other, which is the same.
    fn merged(one: &Members, other: &Members) -> Members {
        let (mut ours, mut theirs) = (one.clone(), other.clone());
        ours.merge(other, NOW_S);
        theirs.merge(one, NOW_S);
        assert_eq!(ours, theirs);
        let again = ours.clone();
        ours.merge(other, NOW_S);
        assert_eq!(ours, again, "and once is enough");
        ours
    }

    #[test]
    fn relay_that_one_directory_has_shut_out_is_shut_out_at_all() {
        let mut one = Members::default();
        one.join(NOW_S, &name("a"), key(1), Some(&token(2))).unwrap();
        one.join(NOW_S, &name("b"), key(2), None).unwrap();
        let mut other = one.clone();
        one.revoke(NOW_S, &name("a")).unwrap();
        other.join(NOW_S, &name("c"), key(3), None).unwrap();
        let mut both = merged(&one, &other);
        assert!(both.is_revoked(&key(1)) && !both.belongs(&name("a"), &key(1)));
        assert!(both.belongs(&name("b"), &key(2)) && both.belongs(&name("c"), &key(3)));
        assert!(!both.belongs(&name("b"), &key(3)), "the name is another's");
        let token = both.join(NOW_S, &name("a"), key(4), Some(&token(2)));
        assert_eq!(token, Err(JoinError::Token(TokenError::Void)));
        both.join(NOW_S, &name("a"), key(4), None).unwrap();
    }

    #[test]
    fn uses_of_a_token_count_wherever_it_was_used_and_a_name_is_one_relays() {
        let (mut one, mut other) = (Members::default(), Members::default());
        one.join(NOW_S, &name("a"), key(1), Some(&token(2))).unwrap();
        other.join(NOW_S + 5, &name("a"), key(2), Some(&token(2))).unwrap();
        let mut both = merged(&one, &other);
        assert_eq!(both.holders().count(), 1);
        let third = both.join(NOW_S, &name("b"), key(3), Some(&token(2)));
        assert_eq!(third, Err(JoinError::Token(TokenError::UsedUp)));
        let mut later = one.clone();
        later.merge(&other, NOW_S + 3600);
        later.join(NOW_S, &name("b"), key(3), Some(&token(2))).unwrap();
    }

    #[test]
    fn all_of_it_survives_its_file() {
        let mut members = Members::default();
        members.join(NOW_S, &name("a"), key(1), Some(&token(5))).unwrap();
        members.join(NOW_S, &name("b"), key(2), None).unwrap();
        members.revoke(NOW_S, &name("a")).unwrap();
        let text = serde_json::to_string(&members).unwrap();
        assert_eq!(serde_json::from_str::<Members>(&text).unwrap(), members);
    }
}
