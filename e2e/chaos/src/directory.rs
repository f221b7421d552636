//! The directory as viewers and broadcasters see it. Bodies are read as JSON: this is also a test of what others, who have only
//! the documentation, can rely on.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::StreamId;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// How long the directory may take to answer: one that is gone without a word must not be waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// A relay as assignments name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
}

impl Relay {
    /// The relays of a list.
    #[must_use]
    pub fn list(relays: &Value) -> Vec<Self> {
        let one = |relay: &Value| {
            Some(Self { name: relay["name"].as_str()?.to_owned(), url: relay["url"].as_str()?.to_owned() })
        };
        relays.as_array().into_iter().flatten().filter_map(one).collect()
    }
}

/// Where to connect, and the ticket for it.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The relays, best first.
    pub relays: Vec<Relay>,
    /// The ticket.
    pub ticket: String,
    /// The stream's epoch.
    pub epoch: u64,
    /// What brings the stream back to a directory that has lost it, where there is one.
    pub record: Option<String>,
    /// When the directory has more relays to name to a viewer, if it expects some.
    pub longer_after: Option<Duration>,
}

impl Assignment {
    /// Reads one.
    #[must_use]
    pub fn read(assignment: &Value) -> Option<Self> {
        Some(Self {
            relays: Relay::list(&assignment["relays"]),
            ticket: assignment["ticket"].as_str()?.to_owned(),
            epoch: assignment["epoch"].as_u64()?,
            record: assignment["record"].as_str().map(str::to_owned),
            longer_after: None,
        })
    }
}

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answers.
    Away,
    /// The directory says no, with this code.
    Code(String),
}

/// A client of the directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    base: String,
    http: Client,
}

impl Directory {
    /// The directory at this address, `http://host:port`.
    #[must_use]
    pub fn at(base: String) -> Self {
        let http = Client::builder().timeout(ANSWER_TIME_MAX).build().unwrap_or_default();
        Self { base, http }
    }

    /// Asks to watch: for the first time, or with the ticket there is. `failed` is the relay that let the asker down.
    pub async fn watch(
        self,
        id: StreamId,
        ticket: Option<String>,
        failed: Option<String>,
    ) -> Result<Assignment, Refusal> {
        let request = self.request(Method::POST, &format!("/api/streams/{id}/watch"));
        let request = request.json(&failed.map_or_else(|| json!({}), |failed| json!({ "failed": failed })));
        let answer = send(if let Some(ticket) = ticket { request.bearer_auth(ticket) } else { request }).await?;
        let longer_after = answer["ask_again_ms"].as_u64().map(Duration::from_millis);
        let assignment = Assignment::read(&answer["assignment"]).ok_or_else(unreadable)?;
        Ok(Assignment { longer_after, ..assignment })
    }

    /// Asks where to send on.
    pub async fn assignment(self, id: StreamId, key: String, failed: Option<String>) -> Result<Assignment, Refusal> {
        let request = self.request(Method::POST, &format!("/api/streams/{id}/assignment")).bearer_auth(key);
        let request = request.json(&failed.map_or_else(|| json!({}), |failed| json!({ "failed": failed })));
        Assignment::read(&send(request).await?).ok_or_else(unreadable)
    }

    /// Brings a stream back that the directory has lost.
    pub async fn restore(self, key: String, record: String) -> Result<(), Refusal> {
        let request = self.request(Method::POST, "/api/streams/restore").bearer_auth(key);
        send(request.json(&json!({ "record": record }))).await.map(|_| ())
    }

    /// Makes a stream: its id, its key, and where to send it.
    pub async fn create(&self, title: &str, visibility: &str) -> Result<(StreamId, String, Assignment), Refusal> {
        let request = self.request(Method::POST, "/api/streams");
        let created = send(request.json(&json!({ "title": title, "visibility": visibility }))).await?;
        let id = created["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(unreadable)?;
        let key = created["broadcast_key"].as_str().ok_or_else(unreadable)?.to_owned();
        Ok((id, key, Assignment::read(&created["assignment"]).ok_or_else(unreadable)?))
    }

    /// The public list.
    pub async fn streams(&self) -> Result<Value, Refusal> {
        send(self.request(Method::GET, "/api/streams")).await
    }

    /// Opens the orders of a stream: events without an end.
    pub async fn orders(&self, id: StreamId, key: &str) -> Result<reqwest::Response, Refusal> {
        // The time of a whole answer doesn't go with one that never ends.
        let request = self.request(Method::GET, &format!("/api/streams/{id}/orders")).timeout(Duration::MAX / 4);
        let response = request.bearer_auth(key).send().await.map_err(|_| Refusal::Away)?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }
}

async fn send(request: RequestBuilder) -> Result<Value, Refusal> {
    let response = request.send().await.map_err(|_| Refusal::Away)?;
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    let bytes = response.bytes().await.map_err(|_| Refusal::Away)?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn refusal(response: reqwest::Response) -> Refusal {
    let status = response.status().as_u16();
    let body: Value =
        response.bytes().await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    Refusal::Code(body["code"].as_str().map_or_else(|| format!("http_{status}"), str::to_owned))
}

fn unreadable() -> Refusal {
    Refusal::Code("unreadable_answer".into())
}

/// What a ticket says of itself, which its holder may read: the relays it names, and when it begins and ends, in seconds.
#[must_use]
pub fn ticket_facts(ticket: &str) -> (Vec<String>, u64, u64) {
    let claims = ticket.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    let names = claims["aud"].as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned));
    (names.collect(), claims["iat"].as_u64().unwrap_or_default(), claims["exp"].as_u64().unwrap_or_default())
}
