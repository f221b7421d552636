//! The directory as the window reaches it: through this process, because a webview may refuse plain http to a machine of the
//! local network.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use broadcaster::directory_client::{DirectoryClient, DirectoryError};
use reqwest::{Client, Method, header};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use url::Url;

use crate::error::{CommandError, code};

/// How long one call may take: a directory answers from memory; this is a slow network's worth.
const CALL_TIME_MAX: Duration = Duration::from_secs(6);

/// A call as the window's `fetch` makes it.
#[derive(Debug, Clone, Deserialize, TS)]
#[ts(export)]
pub(crate) struct DirectoryCall {
    /// `GET`, `POST` or `DELETE`.
    method: String,
    /// Below the directory's address, `/api/...`.
    path: String,
    /// JSON.
    body: Option<String>,
    /// The `Authorization` header.
    authorization: Option<String>,
}

/// What the directory answered, success or not.
#[derive(Debug, Clone, Serialize, TS)]
#[ts(export)]
pub(crate) struct DirectoryAnswer {
    /// The HTTP status.
    status: u16,
    /// JSON, as it came.
    body: String,
    /// Seconds to wait before the next try, where the directory asks for patience (`Retry-After`).
    retry_after_s: Option<u32>,
}

/// The one directory that the window talks to.
#[derive(Debug)]
pub(crate) struct Directory {
    http: Client,
    client: RwLock<DirectoryClient>,
}

impl Directory {
    pub(crate) fn new(address: Url) -> Self {
        let http = Client::builder().timeout(CALL_TIME_MAX).build().unwrap_or_default();
        Self { http, client: RwLock::new(DirectoryClient::new(address)) }
    }

    /// The client of the directory of the moment.
    pub(crate) fn client(&self) -> DirectoryClient {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Talks to another directory from now on.
    pub(crate) fn change(&self, address: Url) {
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = DirectoryClient::new(address);
    }

    /// Makes one call. Fails only when no answer comes; a refusal is an answer.
    pub(crate) async fn call(&self, call: DirectoryCall) -> Result<DirectoryAnswer, CommandError> {
        let directory = self.client().address().clone();
        let refused =
            || CommandError::new(code::INVALID_REQUEST, "the window asked for something that no directory has");
        let url = api_address(&directory, &call.path).ok_or_else(refused)?;
        let method = Method::from_bytes(call.method.as_bytes()).map_err(|_| refused())?;
        let mut request = self.http.request(method, url).header(header::ACCEPT, "application/json");
        if let Some(body) = call.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        if let Some(authorization) = call.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let unreachable = |_| CommandError::from(DirectoryError::Unreachable { directory: directory.clone() });
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|seconds| seconds.to_str().ok());
        let retry_after_s = retry_after.and_then(|seconds| seconds.parse().ok());
        Ok(DirectoryAnswer { status, retry_after_s, body: answer.text().await.map_err(unreachable)? })
    }
}

/// Where a call goes: below the directory's own address, never anywhere else.
fn api_address(directory: &Url, path: &str) -> Option<Url> {
    let below = path.strip_prefix('/').filter(|below| below.starts_with("api/"))?;
    let address = directory.join(below).ok()?;
    address.as_str().starts_with(directory.join("api/").ok()?.as_str()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(directory: &str, path: &str) -> Option<String> {
        // The client gives every base address its final slash.
        let client = DirectoryClient::new(directory.parse().unwrap());
        api_address(client.address(), path).map(String::from)
    }

    #[test]
    fn calls_go_below_the_address_of_the_directory() {
        let here = |path| address("http://127.0.0.1:5000", path);
        assert_eq!(here("/api/streams").unwrap(), "http://127.0.0.1:5000/api/streams");
        assert_eq!(
            address("https://example.org/live", "/api/time").unwrap(),
            "https://example.org/live/api/time",
            "a directory may stand behind a prefix"
        );
    }

    #[test]
    fn calls_go_nowhere_else() {
        for path in ["", "/", "/metrics", "//evil.example/api/", "http://evil.example/api/", "/api/../metrics", "/api"]
        {
            assert_eq!(address("http://127.0.0.1:5000", path), None, "{path}");
        }
    }
}
