//! A resource in memory as a connector.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{ResourceObject, Schema};

use super::queue::{self, Taken};
use super::state::State;
use super::{Call, Delay, Faults, Memory};
use crate::{
    About, Acknowledge, AsyncUpdates, ChangeStream, ChangesRequest, Completeness, Connector, Delivery, Error, ErrorKind, Found,
    IncompleteReason, LiveSync, ObjectStream, OnFailure, Provision, Result, SearchRequest, SyncEvent, Token, TokenPrecision,
    async_trait,
};

#[async_trait]
impl Connector for Memory {
    async fn schema(&self) -> Result<Schema> {
        let mut state = self.lock();
        state.call(Call::Schema)?;
        Ok(state.schema.clone())
    }

    /// The objects are those of the moment in which the stream is first polled.
    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        stream::once(async move {
            let (items, delay) = self.found(&request).unwrap_or_else(|error| ([Err(error)].into(), None));
            delayed(stream::iter(items), delay)
        })
        .flatten()
        .boxed()
    }

    async fn get_many(&self, class: &str, identifiers: &[&str]) -> Result<Vec<Result<Option<ResourceObject>>>> {
        let mut state = self.lock();
        state.call(Call::GetMany)?;
        state.class(class)?;
        let get = |identifier: &&str| match state.faults.is_unreadable(identifier) {
            true => Err(unreadable(identifier)),
            false => Ok(state.get(class, identifier).map(|object| (**object).clone())),
        };
        Ok(identifiers.iter().map(get).collect())
    }

    fn supports(&self, class: &str, filter: &BoundFilter) -> bool {
        let _ = class;
        self.options.filters || *filter == BoundFilter::All
    }

    async fn count(&self, request: &SearchRequest) -> Result<Option<u64>> {
        let state = self.lock();
        state.class(&request.class)?;
        Ok(Some(state.objects(&request.class).filter(|object| request.filter.matches(&object.attributes)).count() as u64))
    }

    fn live_sync(&self) -> Option<&dyn LiveSync> {
        self.options.live_sync.is_some().then_some(self)
    }

    fn async_updates(&self) -> Option<&dyn AsyncUpdates> {
        self.options.async_updates.then_some(self)
    }

    fn provision(&self) -> Option<&dyn Provision> {
        self.options.provision.then_some(self)
    }
}

#[async_trait]
impl LiveSync for Memory {
    fn token_precision(&self) -> TokenPrecision {
        self.options.live_sync.unwrap_or(TokenPrecision::PerChange)
    }

    fn all_classes(&self) -> bool {
        self.options.all_classes
    }

    async fn current_token(&self, class: Option<&str>) -> Result<Token> {
        let mut state = self.lock();
        state.call(Call::CurrentToken)?;
        self.check_class(&state, class)?;
        Ok(State::token(&self.options, state.current()))
    }

    /// The changes are those of the moment in which the stream is first polled.
    fn changes(&self, request: ChangesRequest) -> ChangeStream<'_> {
        stream::once(async move {
            let (items, delay) = self.changed(&request).unwrap_or_else(|error| ([Err(error)].into(), None));
            delayed(stream::iter(items), delay)
        })
        .flatten()
        .boxed()
    }
}

impl AsyncUpdates for Memory {
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>> {
        let (listener, end, delay) = {
            let mut state = self.lock();
            match state.call(Call::Deliveries) {
                Ok(()) => (state.queue.listen(), state.faults.changes_end(), state.faults.delay()),
                Err(error) => return stream::iter([Err(error)]).boxed(),
            }
        };
        let deliveries = stream::poll_fn(move |context| {
            let state = &mut *self.lock();
            let taken = state.queue.poll(listener, &state.faults, context);
            taken.map(|taken| taken.map(|taken| Ok(self.delivery(taken))))
        });
        delayed(deliveries.take(end.unwrap_or(usize::MAX)), delay)
    }

    fn on_failure(&self) -> OnFailure {
        self.options.on_failure
    }
}

impl Memory {
    /// The items of a search, faults and all.
    fn found(&self, request: &SearchRequest) -> Result<(VecDeque<Result<Found>>, Option<Delay>)> {
        let mut state = self.lock();
        state.call(Call::Search)?;
        state.class(&request.class)?;
        let filter = if self.options.filters { &request.filter } else { &BoundFilter::All };
        let mut objects: Vec<_> =
            state.objects(&request.class).filter(|object| filter.matches(&object.attributes)).cloned().collect();
        let faults = &state.faults;
        faults.reorder(&mut objects, |object| object.identifier.to_string());
        let times = |object: &Arc<ResourceObject>| if faults.is_repeated(&object.identifier) { 2 } else { 1 };
        let items = objects.into_iter().flat_map(|object| std::iter::repeat_n(object.clone(), times(&object))).map(|object| {
            if faults.is_unreadable(&object.identifier) {
                Err(unreadable(&object.identifier))
            } else {
                Ok(Found::Object((*object).clone()))
            }
        });
        let mut items: VecDeque<_> = items.collect();
        match faults.end() {
            Some((after, reason)) if after < items.len() => {
                items.truncate(after);
                items.extend(
                    reason.map(|reason| Ok(Found::End(Completeness::incomplete(reason, "the search ends, as it was told to")))),
                );
            }
            Some((_, Some(reason))) if reason == IncompleteReason::Empty && items.is_empty() => {
                items.push_back(Ok(Found::End(Completeness::incomplete(reason, "there is no object"))));
            }
            _ => items.push_back(Ok(Found::End(Completeness::Complete))),
        }
        Ok((with_failures(faults, items), faults.delay()))
    }

    /// The items of a stream of changes, faults and all.
    fn changed(&self, request: &ChangesRequest) -> Result<(VecDeque<Result<SyncEvent>>, Option<Delay>)> {
        let mut state = self.lock();
        state.call(Call::Changes)?;
        self.check_class(&state, request.class.as_deref())?;
        let after = state.position(&self.options, &request.after)?;
        let precise = self.token_precision() == TokenPrecision::PerChange;
        let mut changes: Vec<_> = state
            .changes(after)
            .filter(|(_, change)| request.class.is_none() || change.class == request.class)
            .map(|(position, change)| (change.clone(), precise.then(|| State::token(&self.options, position))))
            .collect();
        let faults = &state.faults;
        if !precise {
            faults.reorder(&mut changes, |(change, _)| change.identifier.to_string());
        }
        let mut items: VecDeque<_> = changes
            .into_iter()
            .map(|(change, token)| {
                if faults.is_unreadable(&change.identifier) {
                    Err(unreadable(&change.identifier))
                } else {
                    Ok(SyncEvent::Change(change, token))
                }
            })
            .collect();
        match faults.changes_end() {
            Some(end) if end <= items.len() => items.truncate(end),
            _ => items.push_back(Ok(SyncEvent::End(State::token(&self.options, state.current())))),
        }
        Ok((with_failures(faults, items), faults.delay()))
    }

    fn check_class(&self, state: &State, class: Option<&str>) -> Result<()> {
        match class {
            Some(class) => state.class(class).map(drop),
            None if self.options.all_classes => Ok(()),
            None => Err(Error::unsupported("changes can be asked for by class only")),
        }
    }

    fn delivery(&self, taken: Taken) -> Delivery {
        let settle = Settle { resource: self.clone(), number: taken.number, settled: false };
        let delivery = Delivery::new(Some(queue::id(taken.number)), taken.changes, Box::new(settle));
        match taken.left {
            Some((left, token)) => delivery.beginning().with_present(left).with_token(token),
            None => delivery,
        }
    }
}

/// Settles a message; dropped before, it gives the message back.
struct Settle {
    resource: Memory,
    number: u64,
    settled: bool,
}

#[async_trait]
impl Acknowledge for Settle {
    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        self.settle(Call::Acknowledge, None)
    }

    async fn reject(mut self: Box<Self>, reason: &str) -> Result<()> {
        self.settle(Call::Reject, Some(reason))
    }
}

impl Settle {
    fn settle(&mut self, call: Call, rejected: Option<&str>) -> Result<()> {
        let mut state = self.resource.lock();
        state.call(call)?;
        state.queue.settle(self.number, rejected);
        self.settled = true;
        Ok(())
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        if !self.settled {
            self.resource.lock().queue.give_back(self.number);
        }
    }
}

/// Puts the errors among the items that were asked for; one that is not of a single item is the last.
fn with_failures<T>(faults: &Faults, mut items: VecDeque<Result<T>>) -> VecDeque<Result<T>> {
    for at in 0..items.len() {
        if let Some(kind) = faults.of_item(at + 1) {
            items[at] = Err(Error::new(kind, format!("item {} fails, as it was told to", at + 1)));
            if kind != ErrorKind::InvalidData {
                items.truncate(at + 1);
                break;
            }
        }
    }
    items
}

fn delayed<'a, T: Send + 'a>(items: impl Stream<Item = T> + Send + 'a, delay: Option<Delay>) -> BoxStream<'a, T> {
    match delay {
        None => items.boxed(),
        Some(delay) => items
            .then(move |item| {
                let waiting = delay();
                async move {
                    waiting.await;
                    item
                }
            })
            .boxed(),
    }
}

fn unreadable(identifier: &str) -> Error {
    Error::invalid_data("the object cannot be read, as it was told").about(About::Object(identifier.into()))
}
