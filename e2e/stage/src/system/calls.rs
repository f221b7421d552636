//! What broadcasters and viewers ask of a system's directory.

use protocol::{RelayName, Secret, StreamId, WebTransportAddress, http::RelayAddress};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use webtransport::Transport;

use super::System;
use crate::Entry;

/// The tracks of every stream here: one picture.
#[must_use]
pub fn tracks() -> Value {
    json!([{"track": 1, "kind": "video", "codec": "avc1.4D401F", "width": 1280, "height": 720, "frame_rate": 30.0}])
}

/// The answer of the directory to a call.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null when it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The call was refused with this status and code.
    pub fn is_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
    }
}

/// A stream that was made, as its broadcaster knows it.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its id.
    pub id: StreamId,
    /// The secret that owns it.
    pub broadcast_key: Secret,
    /// Lets publish.
    pub ticket: Secret,
    /// Where, by WebSocket.
    pub relay_url: String,
    /// Where, by WebTransport.
    pub webtransport: Option<WebTransportAddress>,
    /// On which relay.
    pub relay: RelayName,
}

impl Created {
    /// The relay as those see it who come by this way.
    #[must_use]
    pub fn address(&self, by: Transport) -> RelayAddress {
        let webtransport = self.webtransport.clone().filter(|_| by == Transport::Webtransport);
        RelayAddress { webtransport, ..RelayAddress::new(self.relay.clone(), self.relay_url.parse().unwrap()) }
    }

    /// Where the relay is entered by this way.
    #[must_use]
    pub fn at(&self, by: Transport) -> Entry {
        match self.address(by).webtransport {
            Some(address) => Entry::Webtransport(address),
            None if by == Transport::Webtransport => panic!("{} offers no WebTransport", self.relay),
            None => Entry::Websocket(self.relay_url.clone()),
        }
    }
}

impl System {
    /// A request to the public listener.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.at(path))
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
        Answer { status, body }
    }

    /// `POST` without a body, or with one.
    pub async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(Method::POST, path);
        self.send(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Makes a stream.
    pub async fn create(&self, body: Value) -> Created {
        self.try_create(body).await.expect("the stream is made")
    }

    async fn try_create(&self, body: Value) -> Option<Created> {
        let Answer { status, body } = self.post("/api/streams", Some(body)).await;
        if status != 201 {
            assert_eq!(status, 503, "{body}");
            return None;
        }
        let assignment = &body["assignment"];
        Some(Created {
            id: body["id"].as_str()?.parse().ok()?,
            broadcast_key: body["broadcast_key"].as_str()?.into(),
            ticket: assignment["ticket"].as_str()?.into(),
            relay_url: assignment["relays"][0]["url"].as_str()?.to_owned(),
            webtransport: serde_json::from_value(assignment["relays"][0]["webtransport"].clone()).ok()?,
            relay: assignment["relays"][0]["name"].as_str()?.parse().ok()?,
        })
    }

    /// Ends a stream by its key.
    pub async fn end(&self, created: &Created) {
        let request = self.request(Method::DELETE, &format!("/api/streams/{}", created.id));
        assert_eq!(self.send(request.bearer_auth(created.broadcast_key.expose())).await.status, 204);
    }

    /// Asks to watch.
    pub async fn watch(&self, id: StreamId, body: Option<Value>) -> Answer {
        self.post(&format!("/api/streams/{id}/watch"), body).await
    }
}
