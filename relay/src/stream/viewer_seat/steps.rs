//! What those who stand at one place of a stream are sent next, found out once for all of them: nearly all who watch stand at the same.

use std::sync::Arc;

use super::{
    Guest, ViewerEvent,
    progress::{Position, Progress},
};
use crate::stream::{State, window::Delivery};

/// Most places that are looked out for at once: the newest picture of each of a few renditions, and some who are a chunk behind.
const PLACES_MAX: usize = 8;

/// From one place to the next, for all who stand there; without media, when they have all there is.
#[derive(Debug)]
pub struct Step {
    from: Arc<Position>,
    to: Arc<Position>,
    /// How often somebody had been removed when it was found out.
    removals: u64,
    media: Vec<Delivery>,
}

/// What was found out in one turn, in which nobody is told anything that came later.
#[derive(Debug, Default)]
pub struct Steps {
    steps: Vec<Step>,
    /// Where guests have arrived.
    ends: Vec<Arc<Position>>,
}

/// What is being found out for one guest.
#[derive(Debug)]
pub(super) struct Finding {
    from: Arc<Position>,
    /// None: it is told something else as well, or what others who stand there have already.
    media: Option<Vec<Delivery>>,
}

impl Step {
    /// What is sent.
    #[must_use]
    pub fn media(&self) -> &[Delivery] {
        &self.media
    }
}

impl Steps {
    /// What `progress` leads to.
    pub(super) fn from(&self, progress: &Progress) -> Option<&Step> {
        let Guest::Viewer { removals, .. } = &progress.guest else { return None };
        self.steps.iter().find(|step| Arc::ptr_eq(&step.from, &progress.position) && step.removals == *removals)
    }

    /// A guest that was looked after by itself has come to where there is nothing more. Others who come there share its position.
    pub(super) fn arrive(&mut self, finding: Finding, progress: &mut Progress, state: &State) {
        match self.ends.iter().find(|end| end.is_as(&progress.position)) {
            Some(end) => progress.position = Arc::clone(end),
            None if self.ends.len() < PLACES_MAX => self.ends.push(Arc::clone(&progress.position)),
            None => {}
        }
        if let (Some(media), Guest::Viewer { removals, .. }) = (finding.media, &progress.guest)
            && self.steps.len() < PLACES_MAX
            && progress.position.is_told_as_others(state)
        {
            let (from, to) = (finding.from, Arc::clone(&progress.position));
            self.steps.push(Step { from, to, removals: *removals, media });
        }
    }
}

impl Finding {
    /// Begins where the guest stands.
    pub(super) fn new(progress: &Progress) -> Self {
        Self { from: Arc::clone(&progress.position), media: Some(Vec::new()) }
    }

    /// The guest is sent this.
    pub(super) fn note(&mut self, event: &ViewerEvent) {
        self.media = self.media.take().and_then(|mut media| match event {
            ViewerEvent::Media(delivery) if delivery.skipped.is_none() && delivery.init.is_none() => {
                media.push(delivery.clone());
                Some(media)
            }
            _ => None,
        });
    }
}

impl Progress {
    /// Goes where `step` leads.
    pub(super) fn go(&mut self, step: &Step) {
        self.position = Arc::clone(&step.to);
    }
}

#[cfg(test)]
mod tests;
