//! The directory's HTTP calls, for broadcasters and for the desktop app.

mod backoff;
mod clock;
mod event_parser;
mod event_source;
mod list_events;
mod orders;

use std::{error::Error, io, time::Duration};

use protocol::{
    BroadcastKey, ErrorCode, RelayName, Secret, StreamId, ViewerId,
    http::{
        ApiError, Assignment, AssignmentRequest, CreateStream, CreatedStream, ListEvent, Order, RestoreStream,
        StreamList, StreamSummary, WatchAnswer,
    },
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;

use crate::authorities::Authorities;

pub(crate) use backoff::Backoff;
pub use clock::DirectoryClock;
pub(crate) use clock::local_now_us;

/// How long one call may take: a directory answers from memory; this is a slow network's worth.
const CALL_TIME_MAX: Duration = Duration::from_secs(5);

/// How long connecting may take before the directory counts as unreachable.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// Why a call to the directory failed. Its text is a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectoryError {
    /// The directory said no.
    #[error("{message}")]
    Refused {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// Nobody answers at the address.
    #[error("the directory at {directory} can't be reached; check the address and that it runs")]
    Unreachable {
        /// The address.
        directory: Url,
    },
    /// Somebody answers, but can't prove to be the address's owner.
    #[error("the certificate of the directory at {directory} is not trusted ({reason})")]
    Untrusted {
        /// The address.
        directory: Url,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody answers, but not as a directory does.
    #[error("what answers at {directory} is not a Dead Streaming directory; check the address")]
    NotADirectory {
        /// The address.
        directory: Url,
    },
}

impl DirectoryError {
    /// The directory's code, when it was the directory that refused.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Talks to one directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DirectoryClient {
    http: Client,
    directory: Url,
}

impl DirectoryClient {
    /// A client of the directory at this base address. A path in it is kept, so that a directory may stand behind a prefix.
    #[must_use]
    pub fn new(directory: Url) -> Self {
        Self::trusting(directory, &Authorities::default())
    }

    /// The same, over https with a certificate of these authorities.
    #[must_use]
    pub fn trusting(mut directory: Url, authorities: &Authorities) -> Self {
        if !directory.path().ends_with('/') {
            let path = format!("{}/", directory.path());
            directory.set_path(&path);
        }
        // Building fails only without a TLS backend, which is compiled in; the default client is the same without the timeouts.
        let http = authorities.http().connect_timeout(CONNECT_TIME_MAX).build().unwrap_or_default();
        Self { http, directory }
    }

    /// The directory's base address.
    #[must_use]
    pub const fn address(&self) -> &Url {
        &self.directory
    }

    /// The page on which `stream` is watched.
    #[must_use]
    pub fn watch_link(&self, stream: StreamId) -> Url {
        self.at(&format!("view/{stream}"))
    }

    /// Creates a stream: its id, the key that owns it and where to send it. `pass` is for a directory that asks for one.
    ///
    /// # Errors
    /// When the directory refuses (title, password, pass, no relay) or can't be reached.
    pub async fn create_stream(
        &self,
        stream: &CreateStream,
        pass: Option<&Secret>,
    ) -> Result<CreatedStream, DirectoryError> {
        let mut request = self.request(Method::POST, "api/streams").json(stream);
        if let Some(pass) = pass {
            request = request.bearer_auth(pass.expose());
        }
        self.json(request).await
    }

    /// Where to send `stream` from now on, with a higher epoch. `failed` is preferred last.
    ///
    /// # Errors
    /// When the stream is gone, the key is wrong, no relay is there, or the directory can't be reached.
    pub async fn assignment(
        &self,
        stream: StreamId,
        key: &BroadcastKey,
        failed: Option<RelayName>,
    ) -> Result<Assignment, DirectoryError> {
        let path = format!("api/streams/{stream}/assignment");
        let request = self.request(Method::POST, &path).bearer_auth(key.expose());
        self.json(request.json(&AssignmentRequest { failed })).await
    }

    /// Brings back the stream of `record` to a directory that does not know it any more.
    ///
    /// # Errors
    /// When the record or the key is refused, the stream was ended, no relay is there, or the directory can't be reached.
    pub async fn restore_stream(&self, key: &BroadcastKey, record: &Secret) -> Result<Assignment, DirectoryError> {
        let request = self.request(Method::POST, "api/streams/restore").bearer_auth(key.expose());
        self.json(request.json(&RestoreStream { record: record.clone() })).await
    }

    /// What the directory wants of whoever holds `key`, for as long as the result is polled: first where the stream belongs. It
    /// connects again by itself whenever the connection breaks, and ends only, with an error, when the directory knows no such
    /// stream or key.
    pub fn orders(
        &self,
        stream: StreamId,
        key: &BroadcastKey,
    ) -> impl futures_util::Stream<Item = Result<Order, DirectoryError>> + Send + use<> {
        orders::orders(self.clone(), stream, key.clone())
    }

    /// Removes `viewer` from `stream`: its connection ends, and its tickets and its address are refused.
    ///
    /// # Errors
    /// When the key is wrong, the stream is gone, or the directory can't be reached.
    pub async fn remove_viewer(
        &self,
        stream: StreamId,
        key: &BroadcastKey,
        viewer: ViewerId,
    ) -> Result<(), DirectoryError> {
        let path = format!("api/streams/{stream}/viewers/{viewer}");
        self.answer(self.request(Method::DELETE, &path).bearer_auth(key.expose())).await.map(drop)
    }

    /// Where to watch `stream`.
    ///
    /// # Errors
    /// When there is no such stream, or the directory can't be reached.
    pub async fn watch(&self, stream: StreamId) -> Result<WatchAnswer, DirectoryError> {
        self.json(self.request(Method::POST, &format!("api/streams/{stream}/watch"))).await
    }

    /// The public streams, oldest first.
    ///
    /// # Errors
    /// When the directory can't be reached.
    pub async fn streams(&self) -> Result<Vec<StreamSummary>, DirectoryError> {
        Ok(self.json::<StreamList>(self.request(Method::GET, "api/streams")).await?.streams)
    }

    /// Ends `stream`.
    ///
    /// # Errors
    /// When the key is wrong, the stream is gone already, or the directory can't be reached.
    pub async fn end_stream(&self, stream: StreamId, key: &BroadcastKey) -> Result<(), DirectoryError> {
        let request = self.request(Method::DELETE, &format!("api/streams/{stream}")).bearer_auth(key.expose());
        self.answer(request).await.map(drop)
    }

    /// The public list as it changes, for as long as the stream is polled. It connects again by itself whenever the connection
    /// breaks, and begins with the whole list each time; an error says that it is trying.
    pub fn list_events(&self) -> impl futures_util::Stream<Item = Result<ListEvent, DirectoryError>> + Send + use<> {
        list_events::list_events(self.clone())
    }

    /// The directory's clock, measured once now (the machine's own clock until that works) and again every now and then for as
    /// long as a copy of it lives.
    pub async fn clock(&self) -> DirectoryClock {
        DirectoryClock::start(self.clone()).await
    }

    fn at(&self, path: &str) -> Url {
        // A relative path of our own making joins any base that has a path; the base is checked where it is parsed.
        self.directory.join(path).unwrap_or_else(|_| self.directory.clone())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.at(path)).timeout(CALL_TIME_MAX)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, DirectoryError> {
        let answer = self.answer(request).await?;
        answer.json().await.map_err(|_| DirectoryError::NotADirectory { directory: self.directory.clone() })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, DirectoryError> {
        let directory = || self.directory.clone();
        let answer = request.send().await.map_err(|error| match untrusted(&error) {
            Some(reason) => DirectoryError::Untrusted { directory: directory(), reason },
            None => DirectoryError::Unreachable { directory: directory() },
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        match answer.json::<ApiError>().await {
            Ok(ApiError { code, message }) => Err(DirectoryError::Refused { code, message }),
            Err(_) => Err(DirectoryError::NotADirectory { directory: directory() }),
        }
    }
}

/// What TLS found wrong, when it was TLS.
fn untrusted(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(error.to_string());
        }
        // An I/O error that wraps another error names that one's source as its own.
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
