//! The operator's calls, made at a directory that runs on this machine.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use protocol::{Secret, http::ApiError};
use reqwest::{Client, Method, Response, Url};
use serde::{Serialize, de::DeserializeOwned};
use service::Clock;

use crate::{Config, operator_token};

/// How long an answer may take from the same machine.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// An operator at a directory.
pub(super) struct Operator {
    client: Client,
    address: SocketAddr,
    token: Secret,
}

impl Operator {
    /// The operator of the directory that runs with these flags.
    pub(super) fn of(config: &Config) -> Result<Self> {
        let token = operator_token::load(&config.data_dir)?;
        let client = Client::builder().timeout(CALL_TIME_MAX).no_proxy().build().context("no calls can be made")?;
        Ok(Self { client, address: reachable(config.internal_listen), token })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T> {
        read(self.call(Method::GET, path, None::<&()>).await?).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T> {
        read(self.call(Method::POST, path, Some(body)).await?).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<()> {
        self.call(Method::DELETE, path, None::<&()>).await.map(drop)
    }

    pub(super) async fn delete_for<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T> {
        read(self.call(Method::DELETE, path, None::<&()>).await?).await
    }

    pub(super) async fn post_only(&self, path: &[&str], body: &impl Serialize) -> Result<()> {
        self.call(Method::POST, path, Some(body)).await.map(drop)
    }

    async fn call(&self, method: Method, path: &[&str], body: Option<&impl Serialize>) -> Result<Response> {
        let mut url = Url::parse(&format!("http://{}/operator", self.address)).context("no such address")?;
        url.path_segments_mut().map_err(|()| anyhow!("no such address"))?.extend(path);
        let mut request = self.client.request(method, url).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|_| {
            anyhow!(
                "no directory answers at {}; start it, or give the --internal-listen that it runs with",
                self.address
            )
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        match answer.json::<ApiError>().await {
            Ok(error) => bail!("{}", error.message),
            Err(_) => {
                bail!("what answers at {} is no directory that takes these calls (status {status})", self.address)
            }
        }
    }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T> {
    answer.json().await.context("the directory answered something else than expected; use the same release of both")
}

/// Where a listener is reached from the same machine: one that listens everywhere listens here too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, listen.port())
}

/// A time in the past, in words.
pub(super) fn ago(at_s: u64) -> String {
    let seconds = Clock::system().now_s().saturating_sub(at_s);
    let (count, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listener_everywhere_is_reached_here() {
        for (listen, expected) in
            [("0.0.0.0:5080", "127.0.0.1:5080"), ("[::]:5080", "[::1]:5080"), ("10.0.0.1:5080", "10.0.0.1:5080")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), expected.parse().unwrap());
        }
    }

    #[test]
    fn past_is_told_in_words() {
        let now_s = Clock::system().now_s();
        for (seconds, words) in [(0, "just now"), (61, "1 minute ago"), (7300, "2 hours ago"), (200_000, "2 days ago")]
        {
            assert_eq!(ago(now_s - seconds), words);
        }
    }
}
