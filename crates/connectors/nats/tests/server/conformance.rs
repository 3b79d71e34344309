//! The connector against the conformance suite, with a real NATS server behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::stream::{Stream, full};
use async_nats::jetstream::stream::RetentionPolicy;
use tidelock_connector_api::conformance::{Fixture, Step};
use tidelock_servers::Nats;

/// The clauses that concern a source that only sends changes: there is nothing to search.
macro_rules! clauses {
    ($retention:expr; $($clause:ident)*) => {
        $(
            #[test]
            fn $clause() {
                tidelock_connector_api::conformance::run(stringify!($clause), super::fixture($retention));
            }
        )*
    };
}

mod limits {
    clauses!(super::RetentionPolicy::Limits;
        the_schema_has_a_class_and_every_class_its_identifier
        names_in_the_schema_are_unique
        the_schema_says_the_same_twice
        a_test_of_a_working_resource_succeeds
        the_facets_are_those_declared
        what_is_said_of_reading_is_true
        a_change_is_delivered
        changes_of_one_object_are_delivered_in_order
        different_messages_have_different_identities
        a_dropped_delivery_is_delivered_again
        an_acknowledged_delivery_is_not_delivered_again
        a_rejected_delivery_is_not_delivered_again
    );
}

mod work_queue {
    clauses!(super::RetentionPolicy::WorkQueue;
        a_test_of_a_working_resource_succeeds
        a_change_is_delivered
        changes_of_one_object_are_delivered_in_order
        different_messages_have_different_identities
        a_dropped_delivery_is_delivered_again
        an_acknowledged_delivery_is_not_delivered_again
        a_rejected_delivery_is_not_delivered_again
    );
}

async fn fixture(retention: RetentionPolicy) -> Fixture {
    let stream = Arc::new(Stream::of(Nats::shared().unwrap(), retention).await);
    let connector = stream.connector();
    let next = Arc::new(AtomicUsize::new(1));
    Fixture::new(connector).offering_async_updates().changing(move |step| {
        let (stream, number) = (Arc::clone(&stream), next.fetch_add(1, Relaxed));
        async move {
            let (id, body) = match step {
                Step::Add(_) => (format!("p{number}"), full(&format!("p{number}"))),
                Step::Modify(_, id) => {
                    let body = format!(
                        r#"{{"class": "person", "id": "{id}", "change": "delta", "attributes": {{"name": "M{number}"}}}}"#
                    );
                    (id, body)
                }
                Step::Remove(_, id) => {
                    let body = format!(r#"{{"class": "person", "id": "{id}", "change": "deleted"}}"#);
                    (id, body)
                }
            };
            stream.publish("people", body).await;
            Some(id)
        }
    })
}
