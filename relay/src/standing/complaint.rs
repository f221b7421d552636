//! What an operator reads of what the directory finds wrong: that a relay which has just joined gets no work is as it should be, and
//! worth a warning only when it lasts. Times go in.

use std::time::Duration;

use tokio::time::Instant;

/// How long a relay may be without work before that is worth a warning: a directory looks at a new relay within a second or two.
const BORNE_TIME: Duration = Duration::from_secs(5);

/// What the directory finds wrong, and what was said of it.
#[derive(Debug, Default)]
pub struct Complaint(Option<Found>);

#[derive(Debug)]
struct Found {
    problem: String,
    since: Instant,
    warned: bool,
}

/// What to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// There is something, which may pass by itself.
    Note,
    /// It does not pass.
    Warning,
    /// It is over.
    Relief,
}

impl Complaint {
    /// The directory says at `now` what it finds wrong; what is news to an operator.
    pub fn heard(&mut self, problem: Option<&str>, now: Instant) -> Option<Word> {
        let Some(problem) = problem else { return self.0.take().map(|_| Word::Relief) };
        let Some(found) = &mut self.0 else {
            self.0 = Some(Found { problem: problem.to_owned(), since: now, warned: false });
            return Some(Word::Note);
        };
        let is_other = found.problem != problem;
        if is_other {
            found.problem = problem.to_owned();
        }
        let lasts = now.duration_since(found.since) >= BORNE_TIME;
        let news = if lasts { is_other || !found.warned } else { is_other };
        found.warned |= lasts;
        news.then_some(if lasts { Word::Warning } else { Word::Note })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_relay_gives_no_warning_unless_it_stays_without_work() {
        let (mut complaint, begun) = (Complaint::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(complaint.heard(None, at(0)), None);
        assert_eq!(complaint.heard(Some("not dialled yet"), at(0)), Some(Word::Note));
        assert_eq!(complaint.heard(Some("not dialled yet"), at(1000)), None);
        assert_eq!(complaint.heard(Some("nobody answers"), at(2000)), Some(Word::Note));
        assert_eq!(complaint.heard(Some("nobody answers"), at(4999)), None);
        assert_eq!(complaint.heard(Some("nobody answers"), at(5000)), Some(Word::Warning));
        assert_eq!(complaint.heard(Some("nobody answers"), at(6000)), None);
        assert_eq!(complaint.heard(Some("somebody else answers"), at(7000)), Some(Word::Warning));
        assert_eq!(complaint.heard(None, at(8000)), Some(Word::Relief));
        assert_eq!(complaint.heard(None, at(9000)), None);
        assert_eq!(complaint.heard(Some("not dialled yet"), at(10_000)), Some(Word::Note));
    }
}
