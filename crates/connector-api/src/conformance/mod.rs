//! The conformance suite: what every connector must do, one test for each clause of the traits' contracts.
//!
//! The whole test file of a connector is
//!
//! ```ignore
//! tidelock_connector_api::conformance_tests!(Passwd { path: "tests/passwd".into() });
//! ```
//!
//! The expression gives the connector, freshly for every test; it may contain `.await`. Behind the connector there must be
//! at least two objects of each class that is not auxiliary: a clause that had nothing to look at has failed. A connector
//! that offers facets, or whose resource the suite may change, is wrapped in a [`Fixture`].
//!
//! Clauses of a facet that a connector does not offer hold if the accessor says so. Each waits for an answer for a limited
//! time only.

mod async_updates;
mod filter;
mod fixture;
mod get;
mod live_sync;
mod provision;
mod reading;
mod schema;
mod search;

use std::fmt;
use std::future::Future;

use futures::future::BoxFuture;

use self::async_updates::*;
use self::filter::*;
pub use self::fixture::{Fixture, Step};
use self::get::*;
use self::live_sync::*;
pub use self::provision::Sample;
use self::provision::*;
use self::schema::*;
use self::search::*;
use crate::Error;

/// One clause of the contracts.
#[derive(Clone, Copy)]
pub struct Clause {
    /// The clause, as the name of its test.
    pub name: &'static str,
    check: for<'a> fn(&'a Fixture) -> BoxFuture<'a, Outcome>,
}

/// How a connector broke a clause.
#[derive(Debug)]
pub struct Violation(String);

/// Whether a connector keeps to a clause.
pub type Outcome = Result<(), Violation>;

/// Makes one test of every clause; see [`mod@crate::conformance`].
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:expr $(,)?) => {
        $crate::__conformance_clauses! { __conformance_test_functions $fixture }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_clauses {
    ($callback:ident $($argument:tt)*) => {
        $crate::$callback! { { $($argument)* }
            the_schema_has_a_class_and_every_class_its_identifier
            names_in_the_schema_are_unique
            the_schema_says_the_same_twice
            a_test_of_a_working_resource_succeeds
            the_facets_are_those_declared

            every_class_has_objects
            every_object_is_of_its_class_and_has_its_identifier
            every_object_fits_the_schema
            no_object_comes_twice
            a_search_ends_with_one_verdict
            an_unreadable_object_is_one_error_and_the_search_goes_on
            a_search_of_an_unknown_class_is_unsupported
            searches_at_the_same_time_do_not_disturb_each_other
            a_dropped_search_leaves_the_resource_usable
            a_count_is_near_the_truth

            what_is_said_of_reading_is_true
            get_gives_each_object_in_the_order_asked_for
            get_of_a_missing_object_is_none
            get_of_an_unreadable_object_is_an_error_of_its_own
            get_in_an_unknown_class_is_unsupported
            get_of_nothing_is_nothing

            the_filter_that_lets_everything_through_is_supported
            a_supported_filter_is_honoured
            a_filter_on_an_unknown_attribute_finds_nothing

            without_a_change_there_is_nothing_after_the_current_token
            every_change_after_a_token_is_given_in_order
            what_is_said_to_be_present_is_all_there_is
            changes_are_of_the_class_asked_for_and_fit_its_schema
            nothing_comes_after_the_end_of_the_changes
            nothing_follows_the_token_of_the_end
            a_token_of_another_resource_is_expired
            tokens_are_as_precise_as_claimed
            resuming_after_any_change_gives_exactly_the_rest
            a_dropped_stream_of_changes_loses_nothing
            changes_of_an_unknown_class_are_unsupported
            changes_of_all_classes_are_given_or_unsupported

            a_change_is_delivered
            changes_of_one_object_are_delivered_in_order
            different_messages_have_different_identities
            a_dropped_delivery_is_delivered_again
            an_acknowledged_delivery_is_not_delivered_again
            a_rejected_delivery_is_not_delivered_again
            what_a_listener_is_told_to_be_left_is_all_there_is

            an_added_object_is_found_with_its_attributes
            adding_an_object_that_exists_is_refused
            values_are_added_to_those_there_are
            values_are_removed_and_the_others_stay
            a_replaced_attribute_has_the_new_values_only
            modifications_are_made_together_or_not_at_all
            a_condition_that_does_not_hold_is_a_conflict
            a_renamed_object_is_the_same_object
            a_deleted_object_is_gone
            changing_a_missing_object_is_not_found
            changing_an_unknown_class_is_unsupported
            a_password_is_set_where_there_are_passwords
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test_functions {
    ({ $fixture:expr } $($clause:ident)*) => {
        $(
            #[test]
            fn $clause() {
                $crate::conformance::run(stringify!($clause), async { $crate::conformance::Fixture::from($fixture) });
            }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_registry {
    ({} $($clause:ident)*) => {
        &[$(Clause { name: stringify!($clause), check: |fixture| Box::pin($clause(fixture)) }),*]
    };
}

/// Every clause.
pub const CLAUSES: &[Clause] = crate::__conformance_clauses! { __conformance_registry };

/// Holds a connector against the clause of a name.
///
/// # Panics
/// If the connector breaks it, or there is no such clause.
pub fn run(clause: &str, fixture: impl Future<Output = Fixture>) {
    let found = CLAUSES.iter().find(|known| known.name == clause);
    let Some(found) = found else { panic!("there is no clause '{clause}'") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(async { found.check(&fixture.await).await }),
        Err(error) => panic!("no runtime for the test: {error}"),
    };
    if let Err(violation) = outcome {
        panic!("{violation}");
    }
}

impl Clause {
    /// Holds a connector against this clause.
    ///
    /// # Errors
    /// How the connector breaks it.
    pub async fn check(&self, fixture: &Fixture) -> Outcome {
        (self.check)(fixture).await
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

impl From<Error> for Violation {
    fn from(error: Error) -> Self {
        Self(format!("the connector fails: {error:?}"))
    }
}

impl From<String> for Violation {
    fn from(message: String) -> Self {
        Self(message)
    }
}

/// Fails the clause unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Violation::from(format!($($message)+)));
        }
    };
}
use ensure;
