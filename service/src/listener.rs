//! Opening a TCP listener, with a sentence for an operator when it can't be.

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

#[cfg(test)]
mod tests {
    use super::*;

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
