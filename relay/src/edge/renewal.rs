//! Asks the directory for a newer ticket in the place of a viewer's, which names the upstreams that hold now.

use std::sync::Arc;

use protocol::{Secret, StreamId, http::WatchAnswer, ticket::Action};
use reqwest::Client;
use tracing::debug;
use url::Url;

use crate::{house::House, session::Session};

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
        let Some(renewed) = house.edges.renewals.renew(stream, &ticket).await else { return };
        match Session::begin(&renewed, Action::Watch, Arc::clone(&house)) {
            Ok(session) => house.edges.wanted(&house, session.grant(), &renewed),
            // The directory sends viewers elsewhere, and says so to them as well.
            Err(_) => debug!("the directory names other relays than this one for the stream"),
        }
    }

    async fn renew(&self, stream: StreamId, ticket: &Secret) -> Option<Secret> {
        let url = format!("{}/api/streams/{stream}/watch", self.directory.as_str().trim_end_matches('/'));
        let answer = self.client.post(url).bearer_auth(ticket.expose()).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        match answer {
            Ok(answer) => Some(answer.json::<WatchAnswer>().await.ok()?.assignment.ticket),
            Err(error) => {
                debug!(error = %error.without_url(), "the directory gives no newer ticket");
                None
            }
        }
    }
}
