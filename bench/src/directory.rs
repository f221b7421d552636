//! The calls of a directory that load needs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use protocol::{
    StreamId,
    http::{ApiError, Assignment, CreateStream, CreatedStream, Visibility, WatchAnswer},
};
use reqwest::{Client, RequestBuilder, StatusCode, header::RETRY_AFTER};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::loopback::{NotLoopback, loopback};

/// How long a call may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a directory that has no room right now may take to have some: its relays have just been under load, and their reports of it
/// are as old as a few heartbeats.
const ROOM_TIME_MAX: Duration = Duration::from_secs(20);

/// How long to wait for it where the directory does not say.
const ROOM_PAUSE: Duration = Duration::from_secs(1);

/// What a directory says instead of an answer.
#[derive(Debug, Error)]
#[error("{} ({})", error.message, error.code)]
pub struct Refused {
    /// Why.
    pub error: ApiError,
    /// When to ask again, if that may help.
    pub again_in: Option<Duration>,
}

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

    /// Makes a stream that no list shows; asks again for a while when the directory says that there is no room right now.
    ///
    /// # Errors
    /// When the directory refuses.
    pub async fn create_stream(&self, title: &str) -> Result<CreatedStream> {
        let body =
            CreateStream { title: title.to_owned(), visibility: Visibility::Unlisted, password: None, sealed: false };
        let url = self.url.join("/api/streams")?;
        let deadline = Instant::now() + ROOM_TIME_MAX;
        loop {
            let error = match answer(self.client.post(url.clone()).json(&body)).await {
                Ok(created) => return Ok(created),
                Err(error) => error,
            };
            let pause = error.downcast_ref::<Refused>().and_then(|refused| refused.again_in);
            match pause.filter(|pause| Instant::now() + *pause < deadline) {
                Some(pause) => sleep(pause).await,
                None => return Err(error.context("no stream can be made")),
            }
        }
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
    let said = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let again_in = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        .then(|| said.map_or(ROOM_PAUSE, Duration::from_secs));
    let error: ApiError = response.json().await.with_context(|| format!("answered {status}"))?;
    Err(Refused { error, again_in }.into())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A directory that answers each call with the next of `answers` and gives the count of its calls.
    async fn directory(answers: &'static [&'static str]) -> (Directory, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"}") {
                    let mut bytes = [0; 1024];
                    let read = socket.read(&mut bytes).await.unwrap();
                    asked.extend_from_slice(&bytes[..read]);
                }
                let [status, body] = answer.split('|').collect::<Vec<_>>()[..] else { panic!("{answer}") };
                let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
            answers.len()
        });
        (Directory::new(url.parse().unwrap()).unwrap(), serving)
    }

    #[tokio::test]
    async fn a_directory_that_has_no_room_right_now_is_asked_again() {
        let (directory, serving) = directory(&[
            "503 Service Unavailable\r\nretry-after: 0|{\"code\":\"no_relay\",\"message\":\"later\"}",
            "401 Unauthorized|{\"code\":\"pass_required\",\"message\":\"never\"}",
        ])
        .await;
        let error = directory.create_stream("Load").await.unwrap_err();
        assert_eq!(format!("{error:#}"), "no stream can be made: never (pass_required)");
        assert_eq!(serving.await.unwrap(), 2);
    }
}
