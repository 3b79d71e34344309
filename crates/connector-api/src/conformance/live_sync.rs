//! Clauses on changes that are pulled.

use std::sync::Arc;

use tidelock_model::object::ObjectClass;

use super::reading::{UNKNOWN, attributes_fit, classes, first_class, fits, is_kind, next, objects};
use super::{Fixture, Outcome, Violation, ensure};
use crate::{Change, ChangeKind, ChangesRequest, Error, ErrorKind, LiveSync, SyncEvent, Token, TokenPrecision};

/// A stream of changes, read to its end.
struct Changes {
    changes: Vec<(Change, Option<Token>)>,
    /// The objects that are said to be there unchanged; none where the stream does not account for all of them.
    present: Option<Vec<Box<str>>>,
    end: Token,
    after_end: usize,
}

/// What a clause did to its resource.
struct Story {
    class: Arc<ObjectClass>,
    /// The token from before.
    before: Token,
    /// The object that was added, modified, and removed at last.
    gone: String,
    /// Whether the removal is reported.
    removal: bool,
    /// The object that was added and stays.
    stays: String,
}

/// With none made, the changes after the current token are nothing but their end.
pub(super) async fn without_a_change_there_is_nothing_after_the_current_token(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    for class in classes(fixture).await? {
        let token = live.current_token(Some(&class.name)).await?;
        let found = read(live, request(&class, &token)).await?.map_err(Violation::from)?;
        ensure!(found.changes.is_empty(), "{} changes of '{}' where none was made", found.changes.len(), class.name);
    }
    Ok(())
}

/// Changes after a token follow from it, those of one object oldest first.
pub(super) async fn every_change_after_a_token_is_given_in_order(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let story = tell(fixture, live).await?;
    let found = read(live, request(&story.class, &story.before)).await?.map_err(Violation::from)?;
    let of = |identifier: &str| -> Vec<&ChangeKind> {
        found
            .changes
            .iter()
            .filter(|(change, _)| is_of(&story.class, change, identifier))
            .map(|(change, _)| &change.kind)
            .collect()
    };
    let (gone, stays) = (of(&story.gone), of(&story.stays));
    ensure!(!stays.is_empty(), "an object was added and modified, and no change says so");
    ensure!(!stays.iter().any(|kind| is_deleted(kind)), "an object that is there is said to be deleted");
    // A resource may forget what was overtaken, but it must come to the same end.
    if let Some(ChangeKind::Full(object)) = stays.iter().rev().find(|kind| matches!(kind, ChangeKind::Full(_))) {
        let rest_is_whole = matches!(stays.last(), Some(ChangeKind::Full(_)));
        let now = fixture.connector().get_many(&story.class.name, &[&story.stays]).await?.pop().transpose()?.flatten();
        let same = now.is_some_and(|now| now.attributes == object.attributes);
        ensure!(same || !rest_is_whole, "the last change of an object does not show it as it is");
    }
    if found.present.is_some() {
        ensure!(!found.names(&story.class, &story.gone), "an object that was removed is said to be there");
    } else if story.removal {
        let last = gone.last();
        ensure!(
            last.is_some_and(|kind| is_deleted(kind) || **kind == ChangeKind::Notification),
            "the last change of a removed object is not its deletion"
        );
        let deletions = gone.iter().filter(|kind| is_deleted(kind)).count();
        ensure!(deletions == usize::from(last.is_some_and(|kind| is_deleted(kind))), "an object is said to be deleted twice");
    }
    Ok(())
}

/// A stream that says which objects are there accounts for all of them.
pub(super) async fn what_is_said_to_be_present_is_all_there_is(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let story = tell(fixture, live).await?;
    let found = read(live, request(&story.class, &story.before)).await?.map_err(Violation::from)?;
    if found.present.is_some() {
        for object in objects(fixture, &story.class).await? {
            let named = found.names(&story.class, &object.identifier);
            ensure!(named, "an object is there, and neither among the changes nor among what is said to be there");
        }
    }
    Ok(())
}

/// Changes are of the class asked for; a whole object among them fits the schema, and is the one that the change names.
pub(super) async fn changes_are_of_the_class_asked_for_and_fit_its_schema(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let all = classes(fixture).await?;
    let mut tokens = Vec::new();
    for class in &all {
        tokens.push(live.current_token(Some(&class.name)).await?);
    }
    for class in &all {
        let identifier = fixture.add(&class.name).await?;
        fixture.modify(&class.name, &identifier).await?;
    }
    for (class, token) in all.iter().zip(&tokens) {
        let found = read(live, request(class, token)).await?.map_err(Violation::from)?;
        ensure!(!found.changes.is_empty(), "an object of '{}' was added, and no change says so", class.name);
        for (change, _) in found.changes {
            let named = change.class.as_ref();
            ensure!(named.is_none_or(|named| *named == class.name), "a change of '{named:?}' is among those of '{}'", class.name);
            ensure!(!change.identifier.is_empty(), "a change does not say of which object");
            match &change.kind {
                ChangeKind::Full(object) => {
                    fits(class, object)?;
                    attributes_fit(class, &object.attributes)?;
                    ensure!(is_of(class, &change, &object.identifier), "a change names another object than it shows");
                }
                ChangeKind::Delta(modifications) => {
                    let unknown = modifications.iter().find(|one| class.attribute(one.attribute()).is_none());
                    ensure!(unknown.is_none(), "a change has an attribute that '{}' lacks", class.name);
                }
                ChangeKind::Deleted(_) | ChangeKind::Notification => {}
            }
        }
    }
    Ok(())
}

/// The end is the last item of the stream.
pub(super) async fn nothing_comes_after_the_end_of_the_changes(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let story = tell(fixture, live).await?;
    let found = read(live, request(&story.class, &story.before)).await?.map_err(Violation::from)?;
    ensure!(found.after_end == 0, "{} items come after the end of the changes", found.after_end);
    Ok(())
}

/// The token of the end is one to resume from: nothing comes twice, and what is changed then is given.
pub(super) async fn nothing_follows_the_token_of_the_end(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let story = tell(fixture, live).await?;
    let found = read(live, request(&story.class, &story.before)).await?.map_err(Violation::from)?;
    let rest = read(live, request(&story.class, &found.end)).await?.map_err(Violation::from)?;
    ensure!(rest.changes.is_empty(), "{} changes come again after the token of the end", rest.changes.len());
    fixture.modify(&story.class.name, &story.stays).await?;
    let more = read(live, request(&story.class, &found.end)).await?.map_err(Violation::from)?;
    let given = more.changes.iter().any(|(change, _)| is_of(&story.class, change, &story.stays));
    ensure!(given, "a change after the token of the end is lost");
    Ok(())
}

/// A token that this resource never issued is `TokenExpired`, never silence.
pub(super) async fn a_token_of_another_resource_is_expired(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let class = first_class(fixture).await?;
    let mut longer = live.current_token(Some(&class.name)).await?.as_bytes().to_vec();
    longer.extend_from_slice(b"\xFFx");
    let foreign: [&[u8]; 5] = [b"", b"\xFF\xFE\x00", b"99999999999999999999999999", b"of another resource", &longer];
    for bytes in foreign {
        let what = format!("resuming after {:?}, which was never issued,", String::from_utf8_lossy(bytes));
        let found = read(live, request(&class, &Token::new(bytes))).await?;
        is_kind(found.map(drop), ErrorKind::TokenExpired, &what)?;
    }
    Ok(())
}

/// With tokens for each change every change has one, otherwise none has.
pub(super) async fn tokens_are_as_precise_as_claimed(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let story = tell(fixture, live).await?;
    let found = read(live, request(&story.class, &story.before)).await?.map_err(Violation::from)?;
    let precise = live.token_precision() == TokenPrecision::PerChange;
    for (_, token) in found.changes {
        ensure!(token.is_some() || !precise, "a change has no token, where each is said to have one");
        ensure!(token.is_none() || precise, "a change has a token, where only the end is said to have one");
    }
    Ok(())
}

/// Resuming after the token of any change gives exactly the changes after it.
pub(super) async fn resuming_after_any_change_gives_exactly_the_rest(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let story = tell(fixture, live).await?;
    let all = read(live, request(&story.class, &story.before)).await?.map_err(Violation::from)?;
    let again = read(live, request(&story.class, &story.before)).await?.map_err(Violation::from)?;
    ensure!(all.changes == again.changes, "the same token gives other changes the second time");
    for (at, (_, token)) in all.changes.iter().enumerate() {
        let Some(token) = token else { continue };
        let rest = read(live, request(&story.class, token)).await?.map_err(Violation::from)?;
        let expected = &all.changes[at + 1..];
        let (number, given, wanted) = (at + 1, rest.changes.len(), expected.len());
        ensure!(rest.changes == expected, "after the token of change {number} come {given} changes, not the {wanted} after it");
    }
    Ok(())
}

/// Dropping the stream loses nothing: the changes are given again.
pub(super) async fn a_dropped_stream_of_changes_loses_nothing(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let story = tell(fixture, live).await?;
    let mut stream = live.changes(request(&story.class, &story.before));
    let first = loop {
        match next(&mut stream).await? {
            Some(Ok(SyncEvent::Present(_))) => {}
            Some(Ok(SyncEvent::Change(first, _))) => break first,
            _ => return Err(Violation::from("objects were changed, and the stream begins with no change".to_owned())),
        }
    };
    drop(stream);
    let again = read(live, request(&story.class, &story.before)).await?.map_err(Violation::from)?;
    ensure!(again.changes.iter().any(|(change, _)| *change == first), "a change is lost with the stream that was dropped");
    Ok(())
}

/// An unknown class is `Unsupported`, for the current token and for the changes.
pub(super) async fn changes_of_an_unknown_class_are_unsupported(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    let class = first_class(fixture).await?;
    let token = live.current_token(Some(&class.name)).await?;
    is_kind(live.current_token(Some(UNKNOWN)).await, ErrorKind::Unsupported, "the token of an unknown class")?;
    let found = read(live, ChangesRequest::new(token).with_class(UNKNOWN)).await?;
    is_kind(found.map(drop), ErrorKind::Unsupported, "asking for changes of an unknown class")
}

/// Changes of all classes are given where that is said to be possible, and are `Unsupported` where it is not.
pub(super) async fn changes_of_all_classes_are_given_or_unsupported(fixture: &Fixture) -> Outcome {
    let Some(live) = fixture.live_sync()? else { return Ok(()) };
    if !live.all_classes() {
        let class = first_class(fixture).await?;
        let token = live.current_token(Some(&class.name)).await?;
        is_kind(live.current_token(None).await, ErrorKind::Unsupported, "the token of all classes")?;
        let found = read(live, ChangesRequest::new(token)).await?;
        return is_kind(found.map(drop), ErrorKind::Unsupported, "asking for changes of all classes");
    }
    let token = live.current_token(None).await?;
    let mut added = Vec::new();
    for class in classes(fixture).await? {
        let identifier = fixture.add(&class.name).await?;
        added.push((class, identifier));
    }
    let found = read(live, ChangesRequest::new(token)).await?.map_err(Violation::from)?;
    for (class, identifier) in added {
        let given = found.changes.iter().any(|(change, _)| {
            is_of(&class, change, &identifier) && change.class.as_ref().is_some_and(|named| *named == class.name)
        });
        ensure!(given, "an object of '{}' was added, and the changes of all classes do not say so", class.name);
    }
    Ok(())
}

impl Changes {
    /// Whether an object is said to be there, changed or not.
    fn names(&self, class: &ObjectClass, identifier: &str) -> bool {
        let wanted = class.normalize_identifier(identifier);
        let mut changes = self.changes.iter().rev().filter(|(change, _)| is_of(class, change, identifier));
        match changes.next() {
            Some((change, _)) => !is_deleted(&change.kind),
            None => self.present.iter().flatten().any(|present| class.normalize_identifier(present) == wanted),
        }
    }
}

/// Changes the resource: two objects come, both are modified, one goes.
async fn tell(fixture: &Fixture, live: &dyn LiveSync) -> Result<Story, Violation> {
    let class = first_class(fixture).await?;
    let before = live.current_token(Some(&class.name)).await?;
    let gone = fixture.add(&class.name).await?;
    let stays = fixture.add(&class.name).await?;
    fixture.modify(&class.name, &gone).await?;
    fixture.modify(&class.name, &stays).await?;
    let removal = fixture.remove(&class.name, &gone).await?;
    Ok(Story { class, before, gone, removal, stays })
}

fn request(class: &ObjectClass, after: &Token) -> ChangesRequest {
    ChangesRequest::new(after.clone()).with_class(class.name.clone())
}

/// A stream of changes to its end, or to the error that ends it.
async fn read(live: &dyn LiveSync, request: ChangesRequest) -> Result<Result<Changes, Error>, Violation> {
    let mut stream = live.changes(request);
    let (mut changes, mut present, mut end, mut after_end) = (Vec::new(), None, None, 0);
    while let Some(item) = next(&mut stream).await? {
        after_end += usize::from(end.is_some());
        match item {
            Ok(SyncEvent::Change(change, token)) => changes.push((change, token)),
            Ok(SyncEvent::Present(identifiers)) => present.get_or_insert_with(Vec::new).extend(identifiers),
            Ok(SyncEvent::End(token)) => end = Some(token),
            Err(error) => return Ok(Err(error)),
        }
    }
    let end = end.ok_or_else(|| Violation::from("the stream of changes ends without its end".to_owned()))?;
    Ok(Ok(Changes { changes, present, end, after_end }))
}

fn is_of(class: &ObjectClass, change: &Change, identifier: &str) -> bool {
    class.normalize_identifier(&change.identifier) == class.normalize_identifier(identifier)
}

fn is_deleted(kind: &ChangeKind) -> bool {
    matches!(kind, ChangeKind::Deleted(_))
}
