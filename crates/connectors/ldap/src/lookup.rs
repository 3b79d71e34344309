//! Looking up objects by their primary identifiers, many at a time.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use tidelock_connector_api::{About, Error, ErrorKind, Result};
use tidelock_model::object::ResourceObject;

use crate::client::Pool;
use crate::dn::Dn;
use crate::entry::EntryReader;
use crate::filter::Filter;
use crate::message::{Request, Scope, Search};
use crate::schema::{Directory, EntryClass};
use crate::search::{class_filter, entries, is_any_visible, read_entry};
use crate::translate::identified;

/// How many identifiers a filter names. Even careful servers let a search find so many entries.
const BATCH: usize = 100;

/// How many searches are under way at the same time.
const AT_ONCE: usize = 4;

/// What is found of each identifier.
type Lookup = Result<Option<ResourceObject>>;

/// Looks objects of a class up, in the order asked for.
pub(crate) async fn get_many(pool: &Arc<Pool>, directory: &Directory, class: &str, identifiers: &[&str]) -> Result<Vec<Lookup>> {
    let class = directory.class(class)?;
    let mut lookups: Vec<BoxFuture<'_, Result<Vec<Lookup>>>> = Vec::new();
    if class.is_identified_by_name() {
        for name in identifiers {
            lookups.push(by_name(pool, class, name).map_ok(|found| vec![found]).boxed());
        }
    } else {
        for batch in identifiers.chunks(BATCH) {
            lookups.push(by_attribute(pool, class, batch).boxed());
        }
    }
    let found: Vec<Vec<Lookup>> = stream::iter(lookups).buffered(AT_ONCE).try_collect().await?;
    let mut found: Vec<Lookup> = found.into_iter().flatten().collect();
    // Where rights are lost, everything looks as if it were gone.
    let config = pool.config();
    if !config.allow_empty
        && !found.is_empty()
        && found.iter().all(|found| matches!(found, Ok(None)))
        && !is_any_visible(pool, &config.base_context, class_filter(config, class)).await?
    {
        found.iter_mut().for_each(|found| *found = Err(invisible()));
    }
    Ok(found)
}

async fn by_attribute(pool: &Arc<Pool>, class: &Arc<EntryClass>, identifiers: &[&str]) -> Result<Vec<Lookup>> {
    let mut found: Vec<Lookup> = identifiers.iter().map(|_| Ok(None)).collect();
    // What cannot be an identifier is none of an object.
    let Some(filter) = identified(class, identifiers) else { return Ok(found) };
    let config = pool.config();
    let search = Search {
        base: config.base_context.clone(),
        scope: Scope::Sub,
        filter: class_filter(config, class).and(filter),
        attributes: class.requested(),
        size_limit: 0,
    };
    let (objects, all) = read(pool, class, search).await?;
    let mut wanted: HashMap<Box<str>, Vec<usize>> = HashMap::new();
    for (at, identifier) in identifiers.iter().enumerate() {
        wanted.entry(class.definition.normalize_identifier(identifier).into()).or_default().push(at);
    }
    let mut doubt = !all;
    for object in objects {
        let (identifier, object) = match object {
            Ok(object) => (object.identifier.clone(), Ok(object)),
            Err(error) => match error.what() {
                About::Object(identifier) => (identifier.clone(), Err(error)),
                _ => {
                    doubt = true;
                    continue;
                }
            },
        };
        for at in wanted.remove(&*class.definition.normalize_identifier(&identifier)).unwrap_or_default() {
            found[at] = match &object {
                Ok(object) => Ok(Some(object.clone())),
                Err(error) => Err(Error::invalid_data(error.full_message()).about(error.what().clone())),
            };
        }
    }
    if doubt {
        for at in wanted.into_values().flatten() {
            found[at] = Err(unknown());
        }
    }
    Ok(found)
}

async fn by_name(pool: &Arc<Pool>, class: &Arc<EntryClass>, name: &str) -> Result<Lookup> {
    let config = pool.config();
    let base = Dn::parse(&config.base_context);
    let name = match (Dn::parse(name), base) {
        (Some(name), Some(base)) if name.is_within(&base, &class.subschema) => name,
        // An entry elsewhere is none of ours.
        _ => return Ok(Ok(None)),
    };
    let search = Search {
        // Not every server understands every spelling.
        base: name.spelled(&class.subschema, class.spelling()),
        scope: Scope::Base,
        filter: class_filter(config, class),
        attributes: class.requested(),
        size_limit: 0,
    };
    let (objects, all) = read(pool, class, search).await?;
    Ok(match objects.into_iter().next() {
        Some(Ok(object)) => Ok(Some(object)),
        Some(Err(error)) => Err(error),
        None if all => Ok(None),
        None => Err(unknown()),
    })
}

/// Reads the objects that a search finds, and whether they are all. Objects that cannot be read are errors among them.
pub(crate) async fn read(
    pool: &Arc<Pool>,
    class: &Arc<EntryClass>,
    search: Search,
) -> Result<(Vec<Result<ResourceObject>>, bool)> {
    let (messages, all) = entries(pool, &Request::Search(search), &[]).await?;
    let mut reader = EntryReader::new(Arc::clone(class));
    let mut objects = Vec::with_capacity(messages.len());
    for message in messages {
        objects.extend(read_entry(pool, &mut reader, &message).await?);
    }
    Ok((objects, all))
}

/// The filter of one identifier, where the server can be asked for it.
pub(crate) fn filter_of(class: &EntryClass, identifier: &str) -> Option<Filter> {
    identified(class, &[identifier])
}

fn unknown() -> Error {
    let message = "it cannot be said that the object is missing: the server did not give everything that was asked for";
    Error::new(ErrorKind::OutcomeUnknown, message)
}

fn invisible() -> Error {
    let message = "it cannot be said that the object is missing: the server shows no entry of its class; \
                   if that can be right, set 'allowEmpty'";
    Error::new(ErrorKind::OutcomeUnknown, message)
}
