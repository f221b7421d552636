//! Which store a directory uses, as it is said in a flag.

use std::str::FromStr;

use protocol::Secret;
use thiserror::Error;
use url::Url;

/// Not a store.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a store is `memory`, redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], or rediss:// for one that speaks TLS")]
pub struct InvalidStoreAddress;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreAddress {
    /// None but the directory's own memory: it is the only one.
    #[default]
    Memory,
    /// A server that speaks as Redis does. The address may hold its password.
    Redis(Secret),
}

impl FromStr for StoreAddress {
    type Err = InvalidStoreAddress;

    fn from_str(text: &str) -> Result<Self, InvalidStoreAddress> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        let url: Url = text.parse().map_err(|_| InvalidStoreAddress)?;
        let number = url.path().trim_start_matches('/');
        let good = matches!(url.scheme(), "redis" | "rediss")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && (number.is_empty() || number.parse::<u16>().is_ok())
            && url.query().is_none()
            && url.fragment().is_none();
        if good { Ok(Self::Redis(text.into())) } else { Err(InvalidStoreAddress) }
    }
}

/// An address without user and password, for people to read.
pub(super) fn without_secrets(address: &Secret) -> String {
    let Ok(mut url) = address.expose().parse::<Url>() else { return "redis".to_owned() };
    // Neither fails for an address that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_redis_are_stores() {
        assert_eq!("memory".parse(), Ok(StoreAddress::Memory));
        for text in ["redis://redis", "redis://:secret@redis:6379/3", "rediss://user:secret@redis.example:6380/"] {
            assert_eq!(text.parse(), Ok(StoreAddress::Redis(text.into())), "{text}");
        }
        for text in ["", "redis", "http://redis", "redis://", "redis://redis/abc", "redis://redis/0?x=1", "memory://"] {
            assert_eq!(text.parse::<StoreAddress>(), Err(InvalidStoreAddress), "{text}");
        }
    }

    #[test]
    fn password_is_shown_nowhere() {
        let address: StoreAddress = "redis://user:do-not-print-me@redis:6379/3".parse().unwrap();
        assert!(!format!("{address:?}").contains("do-not-print-me"));
        let StoreAddress::Redis(url) = address else { panic!("it is one") };
        assert_eq!(without_secrets(&url), "redis://redis:6379/3");
    }
}
