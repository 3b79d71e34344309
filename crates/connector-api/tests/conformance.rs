//! The resource in memory keeps to every clause, whatever its options.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use fixture::{able, change, fixture, resource};
use tidelock_connector_api::TokenPrecision;
use tidelock_connector_api::conformance::{Fixture, Step};
use tidelock_connector_api::memory::{ChangeStyle, Faults, Memory, Options};

fn in_memory(options: Options) -> Fixture {
    let resource = resource(options);
    fixture(resource.clone(), &resource)
}

mod with_everything {
    use super::*;
    tidelock_connector_api::conformance_tests!(in_memory(able()));
}

mod with_nothing {
    use super::*;
    tidelock_connector_api::conformance_tests!(resource(Options::default()));
}

mod with_one_token_for_all_changes {
    use super::*;
    fn reordered() -> Fixture {
        let resource = resource(Options::default().with_live_sync(TokenPrecision::EndOfRun).with_single_classes());
        resource.set_faults(Faults::new().reordered(7));
        fixture(resource.clone(), &resource)
    }
    tidelock_connector_api::conformance_tests!(reordered());
}

mod with_deltas {
    use super::*;
    tidelock_connector_api::conformance_tests!(in_memory(able().with_change_style(ChangeStyle::Delta)));
}

mod with_notifications {
    use super::*;
    tidelock_connector_api::conformance_tests!(in_memory(able().with_change_style(ChangeStyle::Notification)));
}

mod with_deletions_that_are_forgotten {
    use super::*;
    fn forgetful() -> Fixture {
        let resource = resource(Options::default().with_async_updates());
        let number = AtomicUsize::new(0);
        Fixture::new(resource.clone()).offering_async_updates().changing(move |step| {
            let forgets = matches!(step, Step::Remove(..));
            let done = change(&resource, step, number.fetch_add(1, Relaxed));
            if forgets {
                resource.forget_deletions();
            }
            std::future::ready(done.filter(|_| !forgets))
        })
    }
    tidelock_connector_api::conformance_tests!(forgetful());
}

mod with_unreadable_objects {
    use super::*;
    fn unreadable() -> Fixture {
        let resource = resource(Options::default());
        for class in ["account", "group"] {
            resource.put(class, "broken", &[]).expect("the class exists");
        }
        resource.set_faults(Faults::new().unreadable("broken"));
        Fixture::new(resource).with_unreadable(1)
    }
    tidelock_connector_api::conformance_tests!(unreadable());
}

mod awaited {
    use super::*;
    async fn opened() -> Memory {
        resource(Options::default())
    }
    tidelock_connector_api::conformance_tests!(opened().await);
}
