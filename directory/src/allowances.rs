//! What one address may ask for, or the holder of one ticket or key: every such limit, with its reason.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use protocol::{StreamId, ViewerId};
use service::ClientAddress;

use crate::{
    config::AllowanceFlags,
    failure::Failure,
    rates::{Held, Rate, TooOften},
};

/// Calls of the operator's API per minute and address: a person types some, and a guess of 256 random bits is hopeless anyhow.
const OPERATOR_CALLS: NonZeroU32 = NonZeroU32::new(300).expect("not zero");

/// Renewals of one viewer's tickets per minute: one in five minutes is due, and a page may be opened again and again meanwhile.
const RENEWALS: NonZeroU32 = NonZeroU32::new(12).expect("not zero");

/// Calls about one stream with its broadcast key per minute: a broadcaster whose relays fail asks for others a few times a second at
/// worst, and removes viewers by hand.
const OWNERS_CALLS: NonZeroU32 = NonZeroU32::new(240).expect("not zero");

/// How often those are forgotten who have not asked for a while.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

/// All allowances.
pub(crate) struct Allowances {
    creates: Rate,
    watches: Rate,
    registrations: Rate,
    calls: Rate,
    operator: Rate,
    renewals: Rate,
    owners_calls: Rate,
    open_events: Held,
    tidied_at: Mutex<Instant>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// A new stream.
    Create,
    /// To watch a stream, or to renew a ticket.
    Watch,
    /// To join as a relay.
    Register,
    /// Anything of the API.
    Call,
    /// Something that only operators may.
    Operator,
}

impl Allowances {
    pub(crate) fn new(flags: &AllowanceFlags) -> Self {
        Self {
            creates: Rate::per_minute(flags.creates_per_minute),
            watches: Rate::per_minute(flags.watches_per_minute),
            registrations: Rate::per_minute(flags.registrations_per_minute),
            calls: Rate::per_minute(flags.calls_per_minute),
            operator: Rate::per_minute(OPERATOR_CALLS),
            renewals: Rate::per_minute(RENEWALS),
            owners_calls: Rate::per_minute(OWNERS_CALLS),
            open_events: Held::at_most(flags.events_per_address),
            tidied_at: Mutex::new(Instant::now()),
        }
    }

    /// Uses one of an address's allowance up.
    pub(crate) fn take(&self, client: ClientAddress, asked: Asked) -> Result<(), Failure> {
        let rate = match asked {
            Asked::Create => &self.creates,
            Asked::Watch => &self.watches,
            Asked::Register => &self.registrations,
            Asked::Call => &self.calls,
            Asked::Operator => &self.operator,
        };
        let message = "too many requests came from your address; try again later";
        rate.take(client.network()).map_err(|TooOften(wait)| Failure::too_many(message, wait.as_secs() + 1))
    }

    /// Uses one renewal of a viewer's tickets up.
    pub(crate) fn take_renewal(&self, viewer: ViewerId) -> Result<(), Failure> {
        let message = "this ticket is renewed too often; try again later";
        self.renewals.take(viewer).map_err(|TooOften(wait)| Failure::too_many(message, wait.as_secs() + 1))
    }

    /// Uses one call about a stream up, by whoever holds its broadcast key.
    pub(crate) fn take_owners_call(&self, stream: StreamId) -> Result<(), Failure> {
        let message = "too many calls were made with this broadcast key; try again later";
        self.owners_calls.take(stream).map_err(|TooOften(wait)| Failure::too_many(message, wait.as_secs() + 1))
    }

    /// An open stream of events, for as long as what is returned lives.
    pub(crate) fn open_events(&self, client: ClientAddress) -> Result<crate::rates::Holding, Failure> {
        self.open_events.take(client.network()).ok_or_else(|| {
            Failure::too_many("too many streams of events are open from your address; close some", RETRY_EVENTS_S)
        })
    }

    /// Forgets those who have not asked for a while, now and then.
    pub(crate) fn tidy(&self) {
        {
            let mut tidied_at = self.tidied_at.lock().unwrap_or_else(PoisonError::into_inner);
            if tidied_at.elapsed() < TIDY_INTERVAL {
                return;
            }
            *tidied_at = Instant::now();
        }
        let Self { creates, watches, registrations, calls, operator, renewals, owners_calls, .. } = self;
        for rate in [creates, watches, registrations, calls, operator, renewals, owners_calls] {
            rate.forget_old();
        }
    }
}

/// Seconds after which a page that was refused its events asks again: it shows the list meanwhile.
const RETRY_EVENTS_S: u64 = 10;
