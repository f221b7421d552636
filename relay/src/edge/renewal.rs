//! Asks the directory for a newer ticket in the place of a viewer's, which names the upstreams that hold now.

use std::sync::Arc;

use protocol::{Secret, StreamId, http::WatchAnswer, relay_proof::Assertion, ticket::Action};
use reqwest::Client;
use tracing::debug;
use url::Url;

use crate::{directory_link::ASSERTION_HEADER, house::House, session::Session};

/// What asks.
#[derive(Debug)]
pub struct Renewals {
    client: Client,
    directory: Url,
}

impl Renewals {
    /// One that asks the directory at this address.
    #[must_use]
    pub const fn new(client: Client, directory: Url) -> Self {
        Self { client, directory }
    }

    /// Asks; whoever pulls the stream hears of the ticket, if there is one.
    pub(super) async fn ask(house: Arc<House>, stream: StreamId, ticket: Secret) {
        let Some(renewed) = house.edges.renewals.renew(&house, stream, &ticket).await else { return };
        match Session::begin(&renewed, Action::Watch, Arc::clone(&house)) {
            Ok(session) => house.edges.wanted(&house, session.grant(), &renewed),
            // The directory sends viewers elsewhere, and says so to them as well.
            Err(_) => debug!("the directory names other relays than this one for the stream"),
        }
    }

    /// Signed, so that the directory does not take this relay's address for the viewer's.
    async fn renew(&self, house: &House, stream: StreamId, ticket: &Secret) -> Option<Secret> {
        let path = format!("api/streams/{stream}/watch");
        let said_at_ms = house.clock.now_us() / 1000;
        let assertion = Assertion::new(house.name.clone(), &format!("POST /{path}"), b"", said_at_ms);
        let assertion = house.key.sign(&assertion).ok()?;
        let url = format!("{}/{path}", self.directory.as_str().trim_end_matches('/'));
        let call = self.client.post(url).bearer_auth(ticket.expose()).header(ASSERTION_HEADER, assertion.expose());
        let answer = call.send().await.and_then(reqwest::Response::error_for_status);
        match answer {
            Ok(answer) => Some(answer.json::<WatchAnswer>().await.ok()?.assignment.ticket),
            Err(error) => {
                debug!(error = %error.without_url(), "the directory gives no newer ticket");
                None
            }
        }
    }
}
