//! The connector against the conformance suite, with a real RabbitMQ behind it.

#![allow(clippy::unwrap_used)]

mod broker;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use broker::{Kind, Queue};
use lapin::BasicProperties;
use tidelock_connector_api::conformance::{Fixture, Step};
use tidelock_servers::RabbitMq;

/// The clauses that concern a source that only sends changes: there is nothing to search.
macro_rules! clauses {
    ($kind:expr; $($clause:ident)*) => {
        $(
            #[test]
            fn $clause() {
                tidelock_connector_api::conformance::run(stringify!($clause), super::fixture($kind));
            }
        )*
    };
}

mod classic {
    clauses!(super::Kind::Classic;
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

mod quorum {
    clauses!(super::Kind::Quorum;
        a_test_of_a_working_resource_succeeds
        a_change_is_delivered
        changes_of_one_object_are_delivered_in_order
        different_messages_have_different_identities
        a_dropped_delivery_is_delivered_again
        an_acknowledged_delivery_is_not_delivered_again
        a_rejected_delivery_is_not_delivered_again
    );
}

async fn fixture(kind: Kind) -> Fixture {
    let queue = Arc::new(Queue::of(RabbitMq::shared().unwrap(), kind).await);
    let connector = queue.connector();
    let next = Arc::new(AtomicUsize::new(1));
    Fixture::new(connector).offering_async_updates().changing(move |step| {
        let (queue, number) = (Arc::clone(&queue), next.fetch_add(1, Relaxed));
        async move {
            let (id, change) = match step {
                Step::Add(_) => (format!("p{number}"), format!(r#""full", "attributes": {{"name": "N{number}"}}"#)),
                Step::Modify(_, id) => (id, format!(r#""full", "attributes": {{"name": "M{number}"}}"#)),
                Step::Remove(_, id) => (id, r#""deleted""#.to_owned()),
            };
            let body = format!(r#"{{"class": "person", "id": "{id}", "change": {change}}}"#);
            let properties = BasicProperties::default().with_message_id(format!("m{number}").into());
            queue.publish_with(properties, body.as_bytes()).await;
            Some(id)
        }
    })
}
