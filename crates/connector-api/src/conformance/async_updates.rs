//! Clauses on changes that are pushed.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::BoxStream;
use tidelock_model::object::ObjectClass;

use super::reading::{first_class, next, objects};
use super::{Fixture, Outcome, Violation, ensure};
use crate::{AsyncUpdates, ChangeKind, Delivery, Result as ConnectorResult, Token};

type Deliveries<'a> = BoxStream<'a, ConnectorResult<Delivery>>;

/// One who listens, and remembers how far it came.
struct Listener<'a> {
    fixture: &'a Fixture,
    updates: &'a dyn AsyncUpdates,
    class: Arc<ObjectClass>,
    position: Option<Token>,
}

/// Every change is delivered.
pub(super) async fn a_change_is_delivered(fixture: &Fixture) -> Outcome {
    let Some(mut listener) = Listener::new(fixture).await? else { return Ok(()) };
    let mut deliveries = listener.listen();
    let added = listener.add().await?;
    let delivery = listener.next_about(&mut deliveries, &[&added]).await?;
    listener.acknowledge(delivery).await?;
    fixture.modify(&listener.class.name, &added).await?;
    let delivery = listener.next_about(&mut deliveries, &[&added]).await?;
    listener.acknowledge(delivery).await
}

/// Changes of one object come in their order.
pub(super) async fn changes_of_one_object_are_delivered_in_order(fixture: &Fixture) -> Outcome {
    let Some(mut listener) = Listener::new(fixture).await? else { return Ok(()) };
    let class = Arc::clone(&listener.class);
    let added = listener.add().await?;
    fixture.modify(&class.name, &added).await?;
    let removal = fixture.remove(&class.name, &added).await?;
    if !removal {
        // Without a deletion to come last, there is nothing to tell the order by.
        return Ok(());
    }
    let mut deliveries = listener.listen();
    let mut last = None;
    while !matches!(last, Some(ChangeKind::Deleted(_))) {
        let delivery = listener.next_about(&mut deliveries, &[&added]).await?;
        let mut about = delivery.changes.iter().flatten().filter(|change| is(&class, &change.identifier, &added));
        last = about.next_back().map(|change| change.kind.clone());
        listener.acknowledge(delivery).await?;
        if last == Some(ChangeKind::Notification) {
            return Ok(());
        }
    }
    let sentinel = listener.add().await?;
    let delivery = listener.next_about(&mut deliveries, &[&added, &sentinel]).await?;
    let late = delivery.changes.iter().flatten().any(|change| is(&class, &change.identifier, &added));
    ensure!(!late, "a change of an object is delivered after its deletion, which came later");
    listener.acknowledge(delivery).await
}

/// Where messages have identities, no two have the same.
pub(super) async fn different_messages_have_different_identities(fixture: &Fixture) -> Outcome {
    let Some(mut listener) = Listener::new(fixture).await? else { return Ok(()) };
    let mut deliveries = listener.listen();
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let added = listener.add().await?;
        let delivery = listener.next_about(&mut deliveries, &[&added]).await?;
        if let Some(id) = &delivery.id {
            ensure!(seen.insert(id.clone()), "two messages have the same identity");
        }
        listener.acknowledge(delivery).await?;
    }
    Ok(())
}

/// A delivery that was dropped is delivered again to a later listener, as the same message.
pub(super) async fn a_dropped_delivery_is_delivered_again(fixture: &Fixture) -> Outcome {
    let Some(mut listener) = Listener::new(fixture).await? else { return Ok(()) };
    let added = listener.add().await?;
    let mut first = listener.listen();
    let delivery = listener.next_about(&mut first, &[&added]).await?;
    let id = delivery.id.clone();
    drop(delivery);
    drop(first);
    let mut second = listener.listen();
    let again = listener.next_about(&mut second, &[&added]).await?;
    ensure!(again.id == id, "a message has another identity when it is delivered again");
    // A delivery outlives its stream.
    drop(second);
    drop(again);
    let mut third = listener.listen();
    let delivery = listener.next_about(&mut third, &[&added]).await?;
    listener.acknowledge(delivery).await
}

/// A delivery that was acknowledged is not delivered again.
pub(super) async fn an_acknowledged_delivery_is_not_delivered_again(fixture: &Fixture) -> Outcome {
    settled_for_good(fixture, async |delivery| delivery.acknowledge().await).await
}

/// A delivery that was rejected is not delivered again.
pub(super) async fn a_rejected_delivery_is_not_delivered_again(fixture: &Fixture) -> Outcome {
    settled_for_good(fixture, async |delivery| delivery.reject("the suite rejects it").await).await
}

/// What was settled does not come again: a later message does, and is the first.
async fn settled_for_good(fixture: &Fixture, settle: impl AsyncFn(Delivery) -> ConnectorResult<()>) -> Outcome {
    let Some(mut listener) = Listener::new(fixture).await? else { return Ok(()) };
    let settled = listener.add().await?;
    let mut deliveries = listener.listen();
    let delivery = listener.next_about(&mut deliveries, &[&settled]).await?;
    listener.settle(delivery, settle).await?;
    drop(deliveries);
    let sentinel = listener.add().await?;
    let mut deliveries = listener.listen();
    let delivery = listener.next_about(&mut deliveries, &[&settled, &sentinel]).await?;
    let again = delivery.changes.iter().flatten().any(|change| is(&listener.class, &change.identifier, &settled));
    ensure!(!again, "a message that was settled is delivered again");
    listener.acknowledge(delivery).await
}

/// Where deliveries say which objects are left, they account for all that there are, from one that begins to one with a token.
pub(super) async fn what_a_listener_is_told_to_be_left_is_all_there_is(fixture: &Fixture) -> Outcome {
    let Some(mut listener) = Listener::new(fixture).await? else { return Ok(()) };
    let class = Arc::clone(&listener.class);
    let gone = listener.add().await?;
    let mut deliveries = listener.listen();
    let delivery = listener.next_about(&mut deliveries, &[&gone]).await?;
    listener.acknowledge(delivery).await?;
    drop(deliveries);
    fixture.remove(&class.name, &gone).await?;
    let there = objects(fixture, &class).await?;
    let sentinel = listener.add().await?;
    let normal = |identifier: &str| class.normalize_identifier(identifier).into_owned();
    let (mut named, mut has_begun, mut accounts) = (HashSet::new(), false, false);
    let mut deliveries = listener.listen();
    loop {
        let Some(delivery) = next(&mut deliveries).await? else {
            return Err(Violation::from("the stream of deliveries ends, where one is awaited".to_owned()));
        };
        let delivery = delivery?;
        if delivery.begins {
            (has_begun, accounts) = (true, false);
            named.clear();
        }
        for change in delivery.changes.iter().flatten() {
            match change.kind {
                ChangeKind::Deleted(_) => drop(named.remove(&normal(&change.identifier))),
                _ => drop(named.insert(normal(&change.identifier))),
            }
        }
        if let Some(present) = &delivery.present {
            ensure!(has_begun, "a delivery says which objects are left, and none before it says where that begins");
            accounts = true;
            named.extend(present.iter().map(|identifier| normal(identifier)));
        }
        let is_over = delivery.token.is_some();
        if is_over && accounts {
            ensure!(!named.contains(&normal(&gone)), "an object that was removed is said to be left");
            for object in &there {
                let is_named = named.contains(&normal(&object.identifier));
                ensure!(is_named, "an object is there, and neither among the changes nor among what is said to be left");
            }
        }
        listener.acknowledge(delivery).await?;
        if named.contains(&normal(&sentinel)) && (is_over || !accounts) {
            return Ok(());
        }
        if is_over && accounts {
            (has_begun, accounts) = (false, false);
        }
    }
}

impl<'a> Listener<'a> {
    /// A listener from now on, if the connector is to have one.
    async fn new(fixture: &'a Fixture) -> Result<Option<Self>, Violation> {
        let Some(updates) = fixture.async_updates()? else { return Ok(None) };
        let class = first_class(fixture).await?;
        let position = match fixture.live_sync()? {
            Some(live) if updates.continues_live_sync() => Some(live.current_token(None).await?),
            _ => None,
        };
        Ok(Some(Self { fixture, updates, class, position }))
    }

    fn listen(&self) -> Deliveries<'a> {
        self.updates.deliveries_after(self.position.clone())
    }

    async fn add(&self) -> Result<String, Violation> {
        self.fixture.add(&self.class.name).await
    }

    /// The next delivery about one of these objects; those about others are acknowledged.
    async fn next_about(&mut self, deliveries: &mut Deliveries<'_>, identifiers: &[&str]) -> Result<Delivery, Violation> {
        loop {
            let Some(delivery) = next(deliveries).await? else {
                return Err(Violation::from("the stream of deliveries ends, where one is awaited".to_owned()));
            };
            let delivery = delivery?;
            let mut changes = delivery.changes.iter().flatten();
            if changes.any(|change| identifiers.iter().any(|identifier| is(&self.class, &change.identifier, identifier))) {
                return Ok(delivery);
            }
            self.acknowledge(delivery).await?;
        }
    }

    async fn acknowledge(&mut self, delivery: Delivery) -> Outcome {
        self.settle(delivery, async |delivery| delivery.acknowledge().await).await
    }

    /// Settles a delivery, and keeps its position as the engine does.
    async fn settle(&mut self, delivery: Delivery, settle: impl AsyncFn(Delivery) -> ConnectorResult<()>) -> Outcome {
        if let Some(token) = &delivery.token {
            self.position = Some(token.clone());
        }
        Ok(settle(delivery).await?)
    }
}

fn is(class: &ObjectClass, found: &str, wanted: &str) -> bool {
    class.normalize_identifier(found) == class.normalize_identifier(wanted)
}
