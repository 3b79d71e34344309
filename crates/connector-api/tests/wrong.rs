//! The suite is tested by connectors that are wrong, each in one way: the clause that must reject it is named, and every
//! clause rejects at least one.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fixture::{able, fixture, resource};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tidelock_connector_api::conformance::{CLAUSES, Fixture};
use tidelock_connector_api::memory::{Faults, Memory, Options};
use tidelock_connector_api::{
    Acknowledge, AddRequest, AsyncUpdates, Change, ChangeKind, ChangeStream, ChangesRequest, Completeness, Connector, Delivery,
    Error, ErrorKind, Found, LiveSync, MessageId, Modification, ModifyRequest, ObjectStream, Password, Provision, Result,
    SearchRequest, SyncEvent, Token, TokenPrecision, async_trait,
};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{ResourceObject, Schema};
use tidelock_model::value::{Value, Values};

/// What a connector does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wrong {
    Nothing,
    NoClass,
    IdentifierNotAmongAttributes,
    AttributeTwice,
    ClassTwice,
    SchemaChanges,
    TestFails,
    HidesItsLiveSync,
    HidesItsMessages,
    NoObjects,
    OtherClass,
    IdentifierOfAnother,
    EmptyIdentifier,
    UnknownAttribute,
    SeveralValues,
    IllTyped,
    Repeats,
    NoVerdict,
    TwoVerdicts,
    NeverComplete,
    BreaksAtTheUnreadable,
    PassesOverTheUnreadable,
    UnknownClassIsEmpty,
    SharedCursor,
    DropBreaks,
    Miscounts,
    DeniesThatItReads,
    GetsInOrderOfTheResource,
    GetsEachOnce,
    GetsLess,
    GetsWhatIsNotThere,
    GetsTheUnreadableAsMissing,
    GetsAllOrNothing,
    GetsUnknownClass,
    GetsForNothing,
    SupportsNothing,
    IgnoresFilters,
    FiltersTooMuch,
    UnknownAttributeMatches,
    TokenTooOld,
    LosesChanges,
    NewestFirst,
    DeletesTwice,
    LosesDeletions,
    ListsNothingAsPresent,
    ListsTheRemovedAsPresent,
    ChangesOfOtherClasses,
    ChangeOfAnother,
    AfterTheEnd,
    EndTokenTooOld,
    EndTokenTooNew,
    ForeignTokenIsNow,
    ForeignTokenIsTheBeginning,
    NoTokens,
    TokensNotClaimed,
    TokenOfTheEnd,
    TokenOfTheBeginning,
    GivesChangesOnce,
    ChangesOfUnknownClass,
    AllClassesNotGiven,
    NeverDelivers,
    DeliversInReverse,
    OneIdentity,
    DropAcknowledges,
    NewIdentityOnRedelivery,
    AcknowledgesNothing,
    RejectsNothing,
    LeavesNobody,
    LeavesWithoutBeginning,
    LeavesTheRemoved,
    HidesItsProvision,
    AddsNothing,
    AddsLess,
    AddsOver,
    AddsValuesOnce,
    RemovesValuesOnce,
    RemovesAll,
    ReplacesByAdding,
    ModifiesByHalves,
    IgnoresConditions,
    RenamesACopy,
    DeletesNothing,
    FindsTheMissing,
    UnknownClassIsMissing,
    KnowsPasswords,
}

use Wrong::*;

/// Each wrong connector, and the clauses that must reject it.
const REJECTED: &[(Wrong, &str)] = &[
    (NoClass, "the_schema_has_a_class_and_every_class_its_identifier"),
    (IdentifierNotAmongAttributes, "the_schema_has_a_class_and_every_class_its_identifier"),
    (AttributeTwice, "names_in_the_schema_are_unique"),
    (ClassTwice, "names_in_the_schema_are_unique"),
    (SchemaChanges, "the_schema_says_the_same_twice"),
    (TestFails, "a_test_of_a_working_resource_succeeds"),
    (HidesItsLiveSync, "the_facets_are_those_declared"),
    (HidesItsLiveSync, "every_change_after_a_token_is_given_in_order"),
    (HidesItsMessages, "the_facets_are_those_declared"),
    (NoObjects, "every_class_has_objects"),
    (NoObjects, "every_object_fits_the_schema"),
    (NoObjects, "a_supported_filter_is_honoured"),
    (OtherClass, "every_object_is_of_its_class_and_has_its_identifier"),
    (IdentifierOfAnother, "every_object_is_of_its_class_and_has_its_identifier"),
    (EmptyIdentifier, "every_object_is_of_its_class_and_has_its_identifier"),
    (UnknownAttribute, "every_object_fits_the_schema"),
    (SeveralValues, "every_object_fits_the_schema"),
    (IllTyped, "every_object_fits_the_schema"),
    (Repeats, "no_object_comes_twice"),
    (NoVerdict, "a_search_ends_with_one_verdict"),
    (TwoVerdicts, "a_search_ends_with_one_verdict"),
    (NeverComplete, "every_class_has_objects"),
    (BreaksAtTheUnreadable, "an_unreadable_object_is_one_error_and_the_search_goes_on"),
    (PassesOverTheUnreadable, "an_unreadable_object_is_one_error_and_the_search_goes_on"),
    (UnknownClassIsEmpty, "a_search_of_an_unknown_class_is_unsupported"),
    (SharedCursor, "searches_at_the_same_time_do_not_disturb_each_other"),
    (DropBreaks, "a_dropped_search_leaves_the_resource_usable"),
    (Miscounts, "a_count_is_near_the_truth"),
    (DeniesThatItReads, "what_is_said_of_reading_is_true"),
    (GetsInOrderOfTheResource, "get_gives_each_object_in_the_order_asked_for"),
    (GetsEachOnce, "get_gives_each_object_in_the_order_asked_for"),
    (GetsLess, "get_gives_each_object_in_the_order_asked_for"),
    (GetsWhatIsNotThere, "get_of_a_missing_object_is_none"),
    (GetsTheUnreadableAsMissing, "get_of_an_unreadable_object_is_an_error_of_its_own"),
    (GetsAllOrNothing, "get_of_an_unreadable_object_is_an_error_of_its_own"),
    (GetsUnknownClass, "get_in_an_unknown_class_is_unsupported"),
    (GetsForNothing, "get_of_nothing_is_nothing"),
    (SupportsNothing, "the_filter_that_lets_everything_through_is_supported"),
    (IgnoresFilters, "a_supported_filter_is_honoured"),
    (FiltersTooMuch, "a_supported_filter_is_honoured"),
    (UnknownAttributeMatches, "a_filter_on_an_unknown_attribute_finds_nothing"),
    (TokenTooOld, "without_a_change_there_is_nothing_after_the_current_token"),
    (LosesChanges, "every_change_after_a_token_is_given_in_order"),
    (NewestFirst, "every_change_after_a_token_is_given_in_order"),
    (DeletesTwice, "every_change_after_a_token_is_given_in_order"),
    (LosesDeletions, "every_change_after_a_token_is_given_in_order"),
    (ListsNothingAsPresent, "what_is_said_to_be_present_is_all_there_is"),
    (ListsTheRemovedAsPresent, "every_change_after_a_token_is_given_in_order"),
    (ChangesOfOtherClasses, "changes_are_of_the_class_asked_for_and_fit_its_schema"),
    (ChangeOfAnother, "changes_are_of_the_class_asked_for_and_fit_its_schema"),
    (AfterTheEnd, "nothing_comes_after_the_end_of_the_changes"),
    (EndTokenTooOld, "nothing_follows_the_token_of_the_end"),
    (EndTokenTooNew, "nothing_follows_the_token_of_the_end"),
    (ForeignTokenIsNow, "a_token_of_another_resource_is_expired"),
    (ForeignTokenIsTheBeginning, "a_token_of_another_resource_is_expired"),
    (NoTokens, "tokens_are_as_precise_as_claimed"),
    (TokensNotClaimed, "tokens_are_as_precise_as_claimed"),
    (TokenOfTheEnd, "resuming_after_any_change_gives_exactly_the_rest"),
    (TokenOfTheBeginning, "resuming_after_any_change_gives_exactly_the_rest"),
    (GivesChangesOnce, "a_dropped_stream_of_changes_loses_nothing"),
    (GivesChangesOnce, "resuming_after_any_change_gives_exactly_the_rest"),
    (ChangesOfUnknownClass, "changes_of_an_unknown_class_are_unsupported"),
    (AllClassesNotGiven, "changes_of_all_classes_are_given_or_unsupported"),
    (NeverDelivers, "a_change_is_delivered"),
    (DeliversInReverse, "changes_of_one_object_are_delivered_in_order"),
    (OneIdentity, "different_messages_have_different_identities"),
    (DropAcknowledges, "a_dropped_delivery_is_delivered_again"),
    (NewIdentityOnRedelivery, "a_dropped_delivery_is_delivered_again"),
    (AcknowledgesNothing, "an_acknowledged_delivery_is_not_delivered_again"),
    (RejectsNothing, "a_rejected_delivery_is_not_delivered_again"),
    (LeavesNobody, "what_a_listener_is_told_to_be_left_is_all_there_is"),
    (LeavesWithoutBeginning, "what_a_listener_is_told_to_be_left_is_all_there_is"),
    (LeavesTheRemoved, "what_a_listener_is_told_to_be_left_is_all_there_is"),
    (HidesItsProvision, "the_facets_are_those_declared"),
    (AddsNothing, "an_added_object_is_found_with_its_attributes"),
    (AddsLess, "an_added_object_is_found_with_its_attributes"),
    (AddsOver, "adding_an_object_that_exists_is_refused"),
    (AddsValuesOnce, "values_are_added_to_those_there_are"),
    (ReplacesByAdding, "a_replaced_attribute_has_the_new_values_only"),
    (RemovesValuesOnce, "values_are_removed_and_the_others_stay"),
    (RemovesAll, "values_are_removed_and_the_others_stay"),
    (ModifiesByHalves, "modifications_are_made_together_or_not_at_all"),
    (IgnoresConditions, "a_condition_that_does_not_hold_is_a_conflict"),
    (RenamesACopy, "a_renamed_object_is_the_same_object"),
    (DeletesNothing, "a_deleted_object_is_gone"),
    (FindsTheMissing, "changing_a_missing_object_is_not_found"),
    (UnknownClassIsMissing, "changing_an_unknown_class_is_unsupported"),
    (KnowsPasswords, "a_password_is_set_where_there_are_passwords"),
];

struct Connected {
    wrong: Wrong,
    inner: Memory,
    calls: AtomicU64,
    shared: Mutex<Option<Vec<Result<Found>>>>,
    beginning: Token,
}

fn wrong(wrong: Wrong) -> Fixture {
    let options = match wrong {
        TokensNotClaimed => able().with_live_sync(TokenPrecision::EndOfRun),
        _ => able(),
    };
    let inner = resource(options);
    let beginning = inner.current_token(None).now_or_never().expect("it does not wait").expect("it does not fail");
    inner.put("account", "first", &[]).expect("the class exists");
    let connector = Connected { wrong, inner: inner.clone(), calls: AtomicU64::new(0), shared: Mutex::default(), beginning };
    let fixture = fixture(connector, &inner);
    if !matches!(wrong, BreaksAtTheUnreadable | PassesOverTheUnreadable | GetsTheUnreadableAsMissing | GetsAllOrNothing) {
        return fixture;
    }
    for class in ["account", "group"] {
        inner.put(class, "broken", &[]).expect("the class exists");
    }
    inner.set_faults(Faults::new().unreadable("broken"));
    fixture.with_unreadable(1)
}

impl Connected {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// Everything that a search gives, read at once.
    fn found(&self, request: SearchRequest) -> Vec<Result<Found>> {
        self.inner.search(request).collect::<Vec<_>>().now_or_never().expect("memory does not wait")
    }

    fn changed(&self, request: ChangesRequest) -> Vec<Result<SyncEvent>> {
        self.inner.changes(request).collect::<Vec<_>>().now_or_never().expect("memory does not wait")
    }

    fn call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}

#[async_trait]
impl Connector for Connected {
    async fn schema(&self) -> Result<Schema> {
        let mut schema = self.inner.schema().await?;
        match self.wrong {
            NoClass => schema.classes.clear(),
            IdentifierNotAmongAttributes => drop(Arc::make_mut(&mut schema.classes[0]).attributes.remove(0)),
            AttributeTwice => {
                let class = Arc::make_mut(&mut schema.classes[0]);
                class.attributes.push(class.attributes[1].clone());
            }
            ClassTwice => schema.classes.push(schema.classes[0].clone()),
            SchemaChanges if self.call() % 2 == 1 => drop(schema.classes.pop()),
            _ => {}
        }
        Ok(schema)
    }

    async fn test(&self) -> Result<()> {
        if self.is(TestFails) { Err(Error::unreachable("not today")) } else { Ok(()) }
    }

    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        let unknown = self.inner.objects(&request.class).is_empty();
        if unknown && self.is(UnknownClassIsEmpty) {
            return stream::iter([Ok(Found::End(Completeness::Complete))]).boxed();
        }
        if self.is(SharedCursor) {
            let all = self.found(request);
            let mut shared = self.shared.lock().expect("no panic");
            if shared.as_ref().is_none_or(Vec::is_empty) {
                *shared = Some(all);
            }
            drop(shared);
            return stream::poll_fn(|_| {
                let mut shared = self.shared.lock().expect("no panic");
                let items = shared.as_mut().expect("set above");
                std::task::Poll::Ready((!items.is_empty()).then(|| items.remove(0)))
            })
            .boxed();
        }
        if self.is(DropBreaks) && self.call() > 0 {
            return stream::iter([Err(Error::unreachable("the connection is in use"))]).boxed();
        }
        let mut request = request;
        let on_unknown = matches!(&request.filter, BoundFilter::Attribute { name, .. } if &**name == "no-such-name-7f3a");
        if self.is(IgnoresFilters) || self.is(UnknownAttributeMatches) && on_unknown {
            request.filter = BoundFilter::All;
        }
        if self.is(FiltersTooMuch) && request.filter != BoundFilter::All {
            request.filter = BoundFilter::None;
        }
        let mut items = self.found(request);
        let twist = |object: &mut ResourceObject| match self.wrong {
            OtherClass => object.class = "other".into(),
            IdentifierOfAnother => object.identifier = "another".into(),
            EmptyIdentifier => object.identifier = "".into(),
            UnknownAttribute => object.attributes.set("shoe-size", Values::from_iter([Value::from("46")])),
            SeveralValues => object.attributes.set("mail", Values::from_iter([Value::from("a"), Value::from("b")])),
            IllTyped => object.attributes.set("mail", Values::from_iter([Value::Integer(1)])),
            _ => {}
        };
        if let Some(Ok(Found::Object(object))) = items.first_mut() {
            twist(object);
        }
        match self.wrong {
            NoObjects => items.retain(|item| !matches!(item, Ok(Found::Object(_)))),
            Repeats => {
                if let Some(Ok(Found::Object(object))) = items.first() {
                    items.insert(0, Ok(Found::Object(object.clone())));
                }
            }
            NoVerdict => drop(items.pop()),
            TwoVerdicts => items.push(Ok(Found::End(Completeness::Complete))),
            NeverComplete => {
                items.pop();
                let reason = tidelock_connector_api::IncompleteReason::Limit;
                items.push(Ok(Found::End(Completeness::incomplete(reason, "who knows"))));
            }
            BreaksAtTheUnreadable => {
                let broken = items.iter().position(Result::is_err).map_or(items.len(), |at| at + 1);
                items.truncate(broken);
            }
            PassesOverTheUnreadable => items.retain(Result::is_ok),
            _ => {}
        }
        if self.is(DropBreaks) {
            self.calls.store(0, Ordering::Relaxed);
            self.call();
            let all_read = stream::once(async {
                self.calls.store(0, Ordering::Relaxed);
            });
            return stream::iter(items).chain(all_read.filter_map(|()| async { None })).boxed();
        }
        stream::iter(items).boxed()
    }

    fn can_read(&self) -> bool {
        !self.is(DeniesThatItReads)
    }

    async fn get_many(&self, class: &str, identifiers: &[&str]) -> Result<Vec<Result<Option<ResourceObject>>>> {
        if self.is(GetsUnknownClass) && self.inner.objects(class).is_empty() {
            return Ok(identifiers.iter().map(|_| Ok(None)).collect());
        }
        let mut found = self.inner.get_many(class, identifiers).await?;
        match self.wrong {
            GetsInOrderOfTheResource => found.sort_by_key(|object| Some(object.as_ref().ok()?.as_ref()?.identifier.clone())),
            GetsEachOnce => {
                let mut seen = HashSet::new();
                for object in found.iter_mut().flatten() {
                    if object.as_ref().is_some_and(|object| !seen.insert(object.identifier.clone())) {
                        *object = None;
                    }
                }
            }
            GetsLess => found.iter_mut().flatten().flatten().for_each(|object| object.attributes.set("mail", Values::new())),
            GetsWhatIsNotThere => found.iter_mut().flatten().for_each(|object| {
                object.get_or_insert_with(|| self.inner.objects(class).remove(0));
            }),
            GetsTheUnreadableAsMissing => found.iter_mut().filter(|object| object.is_err()).for_each(|object| *object = Ok(None)),
            GetsAllOrNothing if found.iter().any(Result::is_err) => {
                found.iter_mut().for_each(|object| *object = Err(Error::invalid_data("one of them cannot be read")));
            }
            GetsForNothing if identifiers.is_empty() => found.push(Ok(None)),
            _ => {}
        }
        Ok(found)
    }

    fn supports(&self, class: &str, filter: &BoundFilter) -> bool {
        !self.is(SupportsNothing) && self.inner.supports(class, filter)
    }

    async fn count(&self, request: &SearchRequest) -> Result<Option<u64>> {
        if self.is(Miscounts) { Ok(Some(1_000)) } else { self.inner.count(request).await }
    }

    fn live_sync(&self) -> Option<&dyn LiveSync> {
        (!self.is(HidesItsLiveSync)).then_some(self)
    }

    fn async_updates(&self) -> Option<&dyn AsyncUpdates> {
        (!self.is(HidesItsMessages)).then_some(self)
    }

    fn provision(&self) -> Option<&dyn Provision> {
        (!self.is(HidesItsProvision)).then_some(self)
    }
}

#[async_trait]
impl LiveSync for Connected {
    fn token_precision(&self) -> TokenPrecision {
        if self.is(TokensNotClaimed) { TokenPrecision::PerChange } else { self.inner.token_precision() }
    }

    fn all_classes(&self) -> bool {
        true
    }

    async fn current_token(&self, class: Option<&str>) -> Result<Token> {
        match self.inner.current_token(class).await {
            Ok(_) if self.is(TokenTooOld) => Ok(self.beginning.clone()),
            Err(_) if self.is(ChangesOfUnknownClass) => Ok(self.beginning.clone()),
            result => result,
        }
    }

    fn changes(&self, request: ChangesRequest) -> ChangeStream<'_> {
        let mut request = request;
        match self.wrong {
            ChangesOfOtherClasses => request.class = None,
            AllClassesNotGiven if request.class.is_none() => request.class = Some("account".into()),
            _ => {}
        }
        let after = request.after.clone();
        let mut items = self.changed(request.clone());
        if matches!(items.as_slice(), [Err(error)] if error.kind() == ErrorKind::TokenExpired) {
            if self.is(ForeignTokenIsNow) {
                let now = self.inner.current_token(None).now_or_never().expect("memory does not wait");
                return stream::iter([now.map(SyncEvent::End)]).boxed();
            }
            if self.is(ForeignTokenIsTheBeginning) {
                request.after = self.beginning.clone();
                items = self.changed(request);
            }
        }
        let last = match items.last() {
            Some(Ok(SyncEvent::End(token))) => token.clone(),
            _ => return stream::iter(items).boxed(),
        };
        match self.wrong {
            LosesChanges => drop(items.drain(..items.len() - 1)),
            NewestFirst => {
                let end = items.len() - 1;
                items[..end].reverse();
            }
            DeletesTwice => {
                let deletion = |item: &Result<SyncEvent>| match item {
                    Ok(SyncEvent::Change(change, token)) if matches!(change.kind, ChangeKind::Deleted(_)) => {
                        Some(SyncEvent::Change(change.clone(), token.clone()))
                    }
                    _ => None,
                };
                if let Some(at) = items.iter().position(|item| deletion(item).is_some()) {
                    let again = deletion(&items[at]).map(Ok);
                    items.splice(at..at, again);
                }
            }
            ListsNothingAsPresent => items.insert(0, Ok(SyncEvent::Present(Vec::new()))),
            ListsTheRemovedAsPresent => {
                let deletion = |item: &Result<SyncEvent>| match item {
                    Ok(SyncEvent::Change(change, _)) if matches!(change.kind, ChangeKind::Deleted(_)) => {
                        Some(change.identifier.clone())
                    }
                    _ => None,
                };
                let gone: Vec<_> = items.iter().filter_map(deletion).collect();
                items.retain(|item| !matches!(item, Ok(SyncEvent::Change(change, _)) if gone.contains(&change.identifier)));
                items.insert(0, Ok(SyncEvent::Present(gone)));
            }
            LosesDeletions => {
                items.retain(|item| !matches!(item, Ok(SyncEvent::Change(Change { kind: ChangeKind::Deleted(_), .. }, _))));
            }
            AfterTheEnd => items.push(Ok(SyncEvent::End(last.clone()))),
            GivesChangesOnce if self.call() > 0 => drop(items.drain(..items.len() - 1)),
            _ => {}
        }
        let fresh = |item: &mut Result<SyncEvent>| {
            let Ok(event) = item else { return };
            match event {
                SyncEvent::Change(change, token) => match self.wrong {
                    ChangeOfAnother => change.identifier = "another".into(),
                    NoTokens => *token = None,
                    TokenOfTheEnd => *token = Some(last.clone()),
                    TokenOfTheBeginning => *token = Some(after.clone()),
                    _ => {}
                },
                SyncEvent::Present(_) => {}
                SyncEvent::End(token) => match self.wrong {
                    EndTokenTooOld => *token = after.clone(),
                    // One more change than there was.
                    EndTokenTooNew => *token = later(token),
                    _ => {}
                },
            }
        };
        items.iter_mut().for_each(fresh);
        stream::iter(items).boxed()
    }
}

#[async_trait]
impl Provision for Connected {
    async fn add(&self, mut request: AddRequest) -> Result<Box<str>> {
        let identifier: Box<str> = request.attributes.first("login").and_then(Value::as_str).unwrap_or_default().into();
        match self.wrong {
            AddsNothing => return Ok(identifier),
            // The name of the object that is then found is another than the one given.
            AddsLess => request.attributes.set("login", Values::from_iter([Value::string(format!("{identifier}x"))])),
            AddsOver if self.inner.get(&request.class, &identifier).is_some() => {
                self.inner.put(&request.class, &identifier, &[("mail", "other")])?;
                return Ok(identifier);
            }
            _ => {}
        }
        self.unknown(self.inner.add(request).await)
    }

    async fn modify(&self, mut request: ModifyRequest) -> Result<()> {
        let found = self.inner.get(&request.class, &request.identifier);
        let attributes = found.as_ref().map(|object| object.attributes.clone()).unwrap_or_default();
        let there = |name: &str, values: &Values| values.iter().all(|value| attributes.get(name).contains(value));
        let conflict = || Err(Error::new(ErrorKind::Conflict, "it is so already"));
        for modification in &mut request.modifications {
            match (self.wrong, &*modification) {
                (AddsValuesOnce, Modification::Add(name, values))
                    if values.iter().any(|value| attributes.get(name).contains(value)) =>
                {
                    return conflict();
                }
                (RemovesValuesOnce, Modification::Remove(name, values)) if !there(name, values) => return conflict(),
                (RemovesAll, Modification::Remove(name, _)) => {
                    *modification = Modification::Replace(Arc::clone(name), Values::new());
                }
                (ReplacesByAdding, Modification::Replace(name, values)) if !values.is_empty() && &**name == "groups" => {
                    *modification = Modification::Add(Arc::clone(name), values.clone());
                }
                _ => {}
            }
        }
        match self.wrong {
            IgnoresConditions => request.only_if = Default::default(),
            FindsTheMissing if found.is_none() => return Ok(()),
            ModifiesByHalves => {
                for modification in request.modifications {
                    let (class, identifier) = (Arc::clone(&request.class), request.identifier.clone());
                    self.inner.modify(ModifyRequest::new(class, identifier, vec![modification])).await?;
                }
                return Ok(());
            }
            _ => {}
        }
        self.unknown(self.inner.modify(request).await)
    }

    async fn rename(&self, class: &str, identifier: &str, name: &str) -> Result<()> {
        let old = self.inner.get(class, identifier);
        self.inner.rename(class, identifier, name).await?;
        match old {
            Some(old) if self.is(RenamesACopy) => self.inner.insert(old),
            _ => Ok(()),
        }
    }

    async fn delete(&self, class: &str, identifier: &str) -> Result<()> {
        if self.is(DeletesNothing) { Ok(()) } else { self.unknown(self.inner.delete(class, identifier).await) }
    }

    async fn set_password(&self, class: &str, identifier: &str, password: &Password) -> Result<()> {
        if self.is(KnowsPasswords) { Ok(()) } else { self.inner.set_password(class, identifier, password).await }
    }
}

impl Connected {
    fn unknown<T>(&self, result: Result<T>) -> Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::Unsupported && self.is(UnknownClassIsMissing) => Err(Error::not_found()),
            result => result,
        }
    }
}

/// The token of the next change.
fn later(token: &Token) -> Token {
    let text = String::from_utf8_lossy(token.as_bytes()).into_owned();
    let (name, number) = text.rsplit_once('/').expect("a token of memory");
    Token::new(format!("{name}/{}", number.parse::<u64>().expect("a number") + 1).into_bytes())
}

impl AsyncUpdates for Connected {
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>> {
        if self.is(NeverDelivers) {
            return stream::empty().boxed();
        }
        let listener = self.call();
        let inner = self.inner.deliveries();
        if self.is(DeliversInReverse) {
            let mut inner = inner;
            let mut ready = Vec::new();
            while let Some(Some(delivery)) = inner.next().now_or_never() {
                ready.push(delivery);
            }
            ready.reverse();
            return stream::iter(ready).chain(inner).boxed();
        }
        inner.map(move |delivery| delivery.map(|delivery| self.twisted(delivery, listener))).boxed()
    }
}

impl Connected {
    fn twisted(&self, mut delivery: Delivery, listener: u64) -> Delivery {
        match self.wrong {
            OneIdentity => delivery.id = Some(MessageId("same".into())),
            NewIdentityOnRedelivery => delivery.id = delivery.id.map(|id| MessageId(format!("{}-{listener}", id.0).into())),
            _ => {}
        }
        let (id, changes) = (delivery.id.clone(), std::mem::replace(&mut delivery.changes, Ok(Vec::new())));
        let removed = changes.iter().flatten().find(|change| matches!(change.kind, ChangeKind::Deleted(_)));
        let removed = removed.map(|change| change.identifier.clone());
        let changes = changes.map(|mut changes| {
            changes.retain(|change| self.wrong != LeavesTheRemoved || Some(&change.identifier) != removed.as_ref());
            changes
        });
        let delivery = Delivery::new(id, changes, Box::new(Settling { wrong: self.wrong, inner: Some(delivery) }));
        let token = Token::new(&b"somewhere"[..]);
        let left = || self.inner.objects("account").into_iter().map(|object| object.identifier).chain(removed.clone()).collect();
        match self.wrong {
            LeavesNobody => delivery.beginning().with_present(Vec::new()).with_token(token),
            LeavesWithoutBeginning => delivery.with_present(left()).with_token(token),
            LeavesTheRemoved => delivery.beginning().with_present(left()).with_token(token),
            _ => delivery,
        }
    }
}

struct Settling {
    wrong: Wrong,
    inner: Option<Delivery>,
}

#[async_trait]
impl Acknowledge for Settling {
    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        match self.inner.take() {
            Some(delivery) if self.wrong != AcknowledgesNothing => delivery.acknowledge().await,
            _ => Ok(()),
        }
    }

    async fn reject(mut self: Box<Self>, reason: &str) -> Result<()> {
        match self.inner.take() {
            Some(delivery) if self.wrong != RejectsNothing => delivery.reject(reason).await,
            _ => Ok(()),
        }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if let Some(delivery) = self.inner.take().filter(|_| self.wrong == DropAcknowledges) {
            drop(delivery.acknowledge().now_or_never());
        }
    }
}

/// Without a wrong, none of the machinery here is to blame.
#[tokio::test(start_paused = true)]
async fn a_connector_that_does_nothing_wrong_passes() {
    for clause in CLAUSES {
        if let Err(violation) = clause.check(&wrong(Nothing)).await {
            panic!("{}: {violation}", clause.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_wrong_connector_is_rejected_by_the_clause_that_forbids_it() {
    let clauses: HashMap<&str, _> = CLAUSES.iter().map(|clause| (clause.name, clause)).collect();
    let mut passed = Vec::new();
    for (wrongness, name) in REJECTED {
        let clause = clauses.get(name).unwrap_or_else(|| panic!("there is no clause {name}"));
        if clause.check(&wrong(*wrongness)).await.is_ok() {
            passed.push(format!("{wrongness:?} passes {name}"));
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
}

#[test]
fn every_clause_rejects_some_wrong_connector() {
    let rejecting: HashSet<&str> = REJECTED.iter().map(|(_, clause)| *clause).collect();
    let toothless: Vec<_> = CLAUSES.iter().map(|clause| clause.name).filter(|name| !rejecting.contains(name)).collect();
    assert!(toothless.is_empty(), "{toothless:#?}");
}

#[tokio::test]
async fn a_facet_that_the_fixture_does_not_declare_is_a_difference() {
    let undeclared = Fixture::new(resource(Options::default().with_live_sync(TokenPrecision::PerChange)));
    let facets = CLAUSES.iter().find(|clause| clause.name == "the_facets_are_those_declared").expect("it exists");
    assert!(facets.check(&undeclared).await.is_err());
}

#[tokio::test]
async fn a_live_sync_clause_without_changes_to_look_at_has_failed() {
    let still = Fixture::new(resource(Options::default().with_live_sync(TokenPrecision::PerChange))).offering_live_sync();
    for clause in CLAUSES.iter().filter(|clause| clause.name.contains("change_after_a_token")) {
        assert!(clause.check(&still).await.is_err());
    }
}
