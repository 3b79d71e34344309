//! When an object that failed is tried again: what `retryLater` says, and how one try follows another.
//!
//! A retry is kept with the shadow of the object, from the commit that records the failure on, until the scan of triggers
//! ([`crate::trigger_scan`]) has tried. An object that another activity synchronizes in the meantime keeps its retry, as in
//! midPoint: the scan then finds nothing to do, and the retry is over. One failure has one retry at a time: if the same activity
//! of the same task fails on the object again, that takes the place of what was to come.

use tidelock_model::definition::{self, At, Duration};
use tidelock_model::{Diagnostic, Oid, Timestamp};
use tidelock_repo::{NewTrigger, Retry, ShadowRef, StoredTrigger, TriggerChange};

use crate::source::Item;
use crate::synchronize::Decided;

/// The time until the first retry, where nobody says.
const INITIAL: i64 = 30 * 60 * 1000;

/// The time between retries, where nobody says.
const NEXT: i64 = 6 * 60 * 60 * 1000;

/// The longest time to wait: beyond it calendars end.
const LONGEST_MONTHS: i64 = 100 * 12;
const LONGEST_MILLIS: i64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// When an object is tried again.
#[derive(Clone, Debug)]
pub(crate) struct RetryLater {
    initial: Option<Duration>,
    next: Option<Duration>,
    /// The most retries; none for any number.
    limit: Option<u32>,
}

impl RetryLater {
    /// Reads what a definition says.
    ///
    /// # Errors
    /// Numbers and times that mean nothing.
    pub(crate) fn new(defined: &definition::RetryLater) -> Result<Self, Diagnostic> {
        let limit = match &defined.retry_limit {
            None => None,
            Some(limit) if limit.value < 0 => {
                return Err(Diagnostic::error("bad-value", &limit.place, "'retryLimit' is negative").with_help(
                    "say how often an object is tried again at most, or remove 'retryLimit': then there is no limit",
                ));
            }
            Some(limit) => Some(u32::try_from(limit.value).unwrap_or(u32::MAX)),
        };
        Ok(Self {
            initial: interval(defined.initial_interval.as_ref(), "initialInterval")?,
            next: interval(defined.next_interval.as_ref(), "nextInterval")?,
            limit,
        })
    }

    /// The first retry of what fails now; none where there shall not be any.
    pub(crate) fn first(&self, now: Timestamp, task: Oid, activity: Box<str>) -> Option<Retry> {
        if self.limit == Some(0) {
            return None;
        }
        let at = later(now, self.initial.as_ref(), INITIAL);
        let interval_millis = later(at, self.next.as_ref(), NEXT).as_millis().saturating_sub(at.as_millis());
        Some(Retry { at, attempt: 1, interval_millis, limit: self.limit, task, activity })
    }
}

/// Objects that are tried again.
pub(crate) struct Due {
    /// What there is of them now.
    pub(crate) items: Vec<Item>,
    /// The retries of each.
    pub(crate) triggers: Vec<Vec<StoredTrigger>>,
    /// The next retries are later than this.
    pub(crate) until: Timestamp,
}

impl Due {
    /// Adds to what was decided about some of the objects, from one on, what becomes of their retries.
    pub(crate) fn settle(&self, now: Timestamp, start: usize, decided: &mut Decided) {
        let tried = self.triggers.get(start..).unwrap_or_default().iter().take(decided.taken);
        for (at, triggers) in tried.enumerate() {
            let has_failed = decided.failed.binary_search(&at).is_ok();
            for trigger in triggers {
                decided.batch.triggers.push(TriggerChange::Remove(trigger.key));
                if let Some(retry) = next(&trigger.retry, now, self.until).filter(|_| has_failed) {
                    let shadow = ShadowRef::Stored(trigger.shadow);
                    decided.batch.triggers.push(TriggerChange::Add(NewTrigger { shadow, retry }));
                }
            }
        }
    }
}

/// The retry that comes after one that has failed now, in any case later than `until`; none if it was the last.
pub(crate) fn next(failed: &Retry, now: Timestamp, until: Timestamp) -> Option<Retry> {
    if failed.limit.is_some_and(|limit| failed.attempt >= limit) {
        return None;
    }
    let at = now.as_millis().saturating_add(failed.interval_millis).max(until.as_millis().saturating_add(1));
    Some(Retry { at: Timestamp::from_millis(at), attempt: failed.attempt.saturating_add(1), ..failed.clone() })
}

fn interval(defined: Option<&At<Duration>>, item: &str) -> Result<Option<Duration>, Diagnostic> {
    let Some(defined) = defined else { return Ok(None) };
    let Duration { months, millis, .. } = defined.value;
    let wrong = if months < 0 || millis < 0 {
        "is negative"
    } else if months > LONGEST_MONTHS || millis > LONGEST_MILLIS {
        "is longer than a hundred years"
    } else {
        return Ok(Some(defined.value.clone()));
    };
    Err(Diagnostic::error("bad-value", &defined.place, format!("'{item}' {wrong}"))
        .with_help(format!("say how long to wait, such as <{item}>PT1H</{item}>")))
}

/// A time that much later, or that many milliseconds where nothing is said.
fn later(time: Timestamp, interval: Option<&Duration>, default: i64) -> Timestamp {
    match interval {
        None => Timestamp::from_millis(time.as_millis().saturating_add(default)),
        // A clock that far off cannot be kept to.
        Some(interval) => interval.after(time).unwrap_or(time),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use expect_test::{Expect, expect};
    use tidelock_model::Place;

    use super::*;

    const NOW: &str = "2026-01-31T12:00:00Z";

    fn of(initial: Option<&str>, next: Option<&str>, limit: Option<i64>) -> Result<RetryLater, Diagnostic> {
        let duration = |text: &str| At { value: Duration::new(text).unwrap(), place: Place::default() };
        RetryLater::new(&definition::RetryLater {
            initial_interval: initial.map(duration),
            next_interval: next.map(duration),
            retry_limit: limit.map(|value| At { value, place: Place::default() }),
            ..definition::RetryLater::default()
        })
    }

    /// The retries of an object that fails every time, each tried when it is due.
    fn check(initial: Option<&str>, next: Option<&str>, limit: Option<i64>, expected: Expect) {
        let later = of(initial, next, limit).unwrap();
        let mut shown = String::new();
        let mut retry = later.first(Timestamp::parse(NOW).unwrap(), Oid::new("task"), "".into());
        while let Some(due) = retry.filter(|retry| retry.attempt < 5) {
            shown += &format!("{} {}\n", due.attempt, due.at);
            retry = super::next(&due, due.at, due.at);
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn the_first_retry_is_after_half_an_hour_and_the_others_after_six() {
        check(
            None,
            None,
            None,
            expect![[r#"
                1 2026-01-31T12:30:00.000Z
                2 2026-01-31T18:30:00.000Z
                3 2026-02-01T00:30:00.000Z
                4 2026-02-01T06:30:00.000Z
            "#]],
        );
    }

    #[test]
    fn a_limit_is_the_number_of_retries() {
        check(
            Some("PT1M"),
            Some("PT5M"),
            Some(2),
            expect![[r#"
                1 2026-01-31T12:01:00.000Z
                2 2026-01-31T12:06:00.000Z
            "#]],
        );
        check(Some("PT1M"), Some("PT5M"), Some(0), expect![""]);
    }

    #[test]
    fn an_interval_without_length_is_over_at_once_but_not_twice_in_a_scan() {
        check(
            Some("PT0S"),
            Some("PT0S"),
            Some(3),
            expect![[r#"
                1 2026-01-31T12:00:00.000Z
                2 2026-01-31T12:00:00.001Z
                3 2026-01-31T12:00:00.002Z
            "#]],
        );
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        check(
            Some("P1M"),
            Some("P1D"),
            Some(2),
            expect![[r#"
                1 2026-02-28T12:00:00.000Z
                2 2026-03-01T12:00:00.000Z
            "#]],
        );
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let refused = |initial, next, limit| of(initial, next, limit).unwrap_err().message.to_string();
        assert_eq!(refused(Some("-PT1S"), None, None), "'initialInterval' is negative");
        assert_eq!(refused(None, Some("-P1M"), None), "'nextInterval' is negative");
        assert_eq!(refused(None, Some("P101Y"), None), "'nextInterval' is longer than a hundred years");
        assert_eq!(refused(None, None, Some(-1)), "'retryLimit' is negative");
        assert!(of(None, None, Some(i64::MAX)).is_ok());
    }

    #[test]
    fn times_at_the_end_of_all_time_do_no_harm() {
        let end = Timestamp::from_millis(i64::MAX);
        let first = of(Some("P100Y"), Some("P100Y"), None).unwrap().first(end, Oid::new("task"), "".into()).unwrap();
        assert!(super::next(&first, end, end).is_some());
        assert!(of(None, None, None).unwrap().first(end, Oid::new("task"), "".into()).is_some());
    }
}
