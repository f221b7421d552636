//! The calls of a directory that load needs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use protocol::{
    StreamId,
    http::{ApiError, Assignment, CreateStream, CreatedStream, Visibility, WatchAnswer},
};
use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use url::Url;

use crate::loopback::{NotLoopback, loopback};

/// How long a call may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// A directory on this machine.
#[derive(Debug, Clone)]
pub struct Directory {
    url: Url,
    client: Client,
}

impl Directory {
    /// The directory at `url`.
    ///
    /// # Errors
    /// When it is not on this machine.
    pub fn new(url: Url) -> Result<Self> {
        let client = Client::builder().timeout(CALL_TIME_MAX).no_proxy().build()?;
        Ok(Self { url: loopback(url)?, client })
    }

    /// Makes a stream that no list shows.
    ///
    /// # Errors
    /// When the directory refuses.
    pub async fn create_stream(&self, title: &str) -> Result<CreatedStream> {
        let body =
            CreateStream { title: title.to_owned(), visibility: Visibility::Unlisted, password: None, sealed: false };
        answer(self.client.post(self.url.join("/api/streams")?).json(&body)).await.context("no stream can be made")
    }

    /// A ticket for watching.
    ///
    /// # Errors
    /// When the directory refuses.
    pub async fn watch(&self, stream: StreamId) -> Result<WatchAnswer> {
        let url = self.url.join(&format!("/api/streams/{stream}/watch"))?;
        answer(self.client.post(url)).await.context("the stream can't be watched")
    }

    /// Ends a stream.
    ///
    /// # Errors
    /// When the directory refuses.
    pub async fn end_stream(&self, created: &CreatedStream) -> Result<()> {
        let url = self.url.join(&format!("/api/streams/{}", created.id))?;
        let response = self.client.delete(url).bearer_auth(created.broadcast_key.expose()).send().await?;
        ensure!(response.status().is_success(), "ending the stream was answered {}", response.status());
        Ok(())
    }
}

/// The first relay of an assignment.
///
/// # Errors
/// When there is none, or it is not on this machine.
pub fn relay_of(assignment: &Assignment) -> Result<Url> {
    let relay = assignment.relays.first().context("the directory names no relay")?;
    loopback(relay.url.clone()).map_err(|error: NotLoopback| error.into())
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T> {
    let response = request.send().await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response.json().await?);
    }
    let error: ApiError = response.json().await.with_context(|| format!("answered {status}"))?;
    anyhow::bail!("{} ({})", error.message, error.code)
}
