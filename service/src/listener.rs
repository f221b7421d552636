//! Opening a TCP listener, with a sentence for an operator when it can't be, and room for its connections.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, anyhow};
use tokio::net::TcpListener;

/// Listens on `address`; `flag` is what an operator changes to listen elsewhere.
///
/// # Errors
/// When the address can't be listened on; the error is one sentence that names the flag.
pub async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow!(
            "port {} is taken by another program; stop it or choose another address with {flag}",
            address.port()
        ),
        std::io::ErrorKind::PermissionDenied => {
            anyhow!("not allowed to listen on {address}; choose a port above 1023 with {flag}")
        }
        _ => anyhow!("can't listen on {address} ({error}); choose another address with {flag}"),
    })
}

/// The address a listener got, which differs from the one asked for when its port was 0.
///
/// # Errors
/// When the system won't tell.
pub fn local_addr(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().context("the system does not tell the listener's address")
}

/// Raises the soft limit of open files to the hard one: a connection is a file, and 1024, a common soft limit, is fewer than a
/// server serves. A limit that stays low is logged and lived with.
pub fn raise_open_files_limit() {
    #[cfg(unix)]
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files can't be raised, so fewer connections may be served than asked for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn open_files_limit_is_as_high_as_it_may_be() {
        raise_open_files_limit();
        let (soft, hard) = rlimit::Resource::NOFILE.get().unwrap();
        assert_eq!(soft, hard);
    }

    #[tokio::test]
    async fn taken_port_is_a_sentence_that_names_the_flag() {
        let first = listen(SocketAddr::from(([127, 0, 0, 1], 0)), "--listen").await.unwrap();
        let address = local_addr(&first).unwrap();
        let error = listen(address, "--listen").await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "port {} is taken by another program; stop it or choose another address with --listen",
                address.port()
            )
        );
    }
}
