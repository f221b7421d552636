//! Load is for this machine's own servers: whoever names another machine is refused.

use thiserror::Error;
use url::{Host, Url};

/// An address of another machine, or none at all.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{0} is not an address of this machine itself: load is put on 127.0.0.1, [::1] or localhost only")]
pub struct NotLoopback(Url);

/// Lets `url` pass when its host is this machine's loopback.
///
/// # Errors
/// When it is not.
pub fn loopback(url: Url) -> Result<Url, NotLoopback> {
    let own = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if own { Ok(url) } else { Err(NotLoopback(url)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_passes() {
        for url in ["http://127.0.0.1:5000", "ws://127.9.9.9:1/ws", "ws://[::1]:5001/ws", "http://localhost:5000"] {
            assert!(loopback(url.parse().unwrap()).is_ok(), "{url}");
        }
        for url in ["http://192.168.1.2:5000", "http://example.org", "http://localhost.example.org", "ws://0.0.0.0/ws"]
        {
            assert!(loopback(url.parse().unwrap()).is_err(), "{url}");
        }
    }
}
