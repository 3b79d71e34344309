//! What changes are asked of: a class or all of them, below an entry of a server.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use tidelock_connector_api::{Change, ChangeKind, Error, ErrorKind, Result, Token};
use tidelock_model::object::ResourceObject;

use super::NS_UNIQUE_ID;
use super::below::{Below, SUBORDINATES, has_below, has_others_below};
use super::syncrepl::EntryId;
use super::token::{self, Position};
use crate::client::Pool;
use crate::config::LdapConfig;
use crate::dn::{Dn, Spelling, spelled};
use crate::entry::EntryReader;
use crate::error::not_ldap;
use crate::filter::Filter;
use crate::message::{Message, Request, Scope, Search};
use crate::schema::{DN, Directory, EntryClass};
use crate::search::{class_filter, entries, first_entry, is_any_visible, read_entry};
use crate::subschema::Subschema;
use crate::value::{unique_id_text, uuid_text};

/// How many identifiers a filter names.
const LOOKED_UP_AT_ONCE: usize = 100;

/// What changes are asked of.
pub(crate) struct Subject {
    directory: Arc<Directory>,
    class: Option<Arc<EntryClass>>,
    /// What tells the server and the part of it that concerns us from others.
    identity: String,
    readers: HashMap<Arc<str>, EntryReader>,
    /// The entry below which an object may still be that has left where changes are looked for; none where that is all there is.
    beyond: Option<String>,
    /// Whether entries are identified by `nsUniqueId`.
    is_by_unique_id: bool,
}

/// What came of an entry that has changed.
pub(crate) enum Changed {
    /// The object as it is now.
    Object(ResourceObject),
    /// An object that cannot be read.
    Failed(Error),
    /// The one change that it tells of was made by one whose changes are left out.
    Ignored,
    /// It is of no class that concerns us.
    Foreign,
    /// It is there, and none of ours, if it was before: it is of a class derived from the one that changes are asked of, say.
    Left,
}

impl Subject {
    /// Asks the server who it is.
    pub(crate) async fn new(pool: &Arc<Pool>, directory: Arc<Directory>, class: Option<&str>) -> Result<Self> {
        let class = class.map(|class| directory.class(class).cloned()).transpose()?;
        let config = pool.config();
        // Tokens outlive what is known of a schema.
        let base = Dn::parse(config.synchronized()).map_or_else(String::new, |dn| dn.normal(&Subschema::default()));
        let mut identity = format!("{base}\n{}\n", config.identifier);
        identity.push_str(&filter(config, None).to_string());
        identity.push('\n');
        // A directory that is built anew has another root, even where its name is the same.
        let schema = &directory.subschema;
        let context = directory.root.context_of(config.synchronized(), schema).unwrap_or(config.synchronized()).to_owned();
        let root = first_entry(pool, &Request::Search(Search::entry(context.as_str(), &["entryUUID", "nsUniqueId"]))).await?;
        match root {
            Some(root) => {
                let entry = root.entry().map_err(|_| not_ldap(&config.server()))?;
                // On 389 Directory Server, what was imported has only the second.
                for name in ["entryUUID", "nsUniqueId"] {
                    let values = entry.values_of(name).map_err(|_| not_ldap(&config.server()))?;
                    identity.push_str(&String::from_utf8_lossy(values.first().copied().unwrap_or_default()));
                }
            }
            // It may be hidden from us for good. What is below must be there: a database out of service is no new one.
            None => drop(is_any_visible(pool, config.synchronized(), Filter::anything()).await?),
        }
        let beyond =
            [config.base_context.as_str(), &context].into_iter().rfind(|name| !is_same(name, config.synchronized(), schema));
        let beyond = beyond.map(str::to_owned);
        let is_by_unique_id = config.identifier.eq_ignore_ascii_case(NS_UNIQUE_ID);
        Ok(Self { directory, class, identity, readers: HashMap::new(), beyond, is_by_unique_id })
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// An object that is gone. A server says neither of which class it was nor whether it was of the one asked for; what is
    /// known is that there is no such object of that class.
    pub(crate) fn deleted(&self, identifier: Box<str>) -> Change {
        let class = self.class.as_ref().map(|class| Arc::clone(&class.name));
        Change { class, identifier, kind: ChangeKind::Deleted(None) }
    }

    pub(crate) fn token(&self, position: &Position) -> Token {
        token::make(self.digest(position), position)
    }

    pub(crate) fn position(&self, token: &Token) -> Result<Position> {
        token::read(token, |position| self.digest(position))
    }

    /// What a position is good for. A cookie is a moment in the history of the whole directory; a time stamp is the latest
    /// among the entries of a class.
    fn digest(&self, position: &Position) -> u64 {
        let class = match (position, &self.class) {
            (Position::Time(_), Some(class)) => &*class.name,
            _ => "",
        };
        token::digest(format!("{}\n{class}", self.identity).as_bytes())
    }

    /// The search for all of it.
    pub(crate) fn search(&self, config: &LdapConfig, besides: &[&str]) -> Search {
        let mut attributes = match &self.class {
            Some(class) => class.requested(),
            None => self.directory.requested(),
        };
        attributes.extend(besides.iter().map(|name| (*name).to_owned()));
        if !config.ignored_modifiers.is_empty() {
            attributes.push("modifiersName".to_owned());
        }
        Search {
            base: config.synchronized().to_owned(),
            scope: Scope::Sub,
            filter: filter(config, self.class.as_deref()),
            attributes,
            size_limit: 0,
        }
    }

    /// The search for what has changed. It finds entries that have others below them as well, whatever they are: when such an entry
    /// is renamed, so are those, and no server says so.
    pub(crate) fn following(&self, config: &LdapConfig, besides: &[&str]) -> Search {
        let mut search = self.search(config, besides);
        search.attributes.extend(SUBORDINATES.map(str::to_owned));
        if search.filter != Filter::anything() {
            search.filter = Filter::Or(vec![search.filter, has_others_below()]);
        }
        search
    }

    /// Whether any entry can be seen of which changes are asked.
    pub(crate) async fn is_visible(&self, pool: &Arc<Pool>) -> Result<bool> {
        let config = pool.config();
        is_any_visible(pool, config.synchronized(), filter(config, self.class.as_deref())).await
    }

    /// Makes an object of an entry, unless the one change that it tells of is one of those that are left out.
    pub(crate) async fn read(&mut self, pool: &Arc<Pool>, message: &Message) -> Result<Changed> {
        if self.is_ignored(pool.config(), message)? { Ok(Changed::Ignored) } else { self.make(pool, message).await }
    }

    /// Makes an object of an entry, whoever has changed it.
    pub(crate) async fn make(&mut self, pool: &Arc<Pool>, message: &Message) -> Result<Changed> {
        let broken = |_| not_ldap(&pool.config().server());
        let entry = message.entry().map_err(broken)?;
        let classes = entry.values_of("objectClass").map_err(broken)?;
        let class = match &self.class {
            Some(class) => Some(class).filter(|class| self.is_of(class, &classes)),
            None => self.directory.class_of(&classes),
        };
        let Some(class) = class.cloned() else { return Ok(Changed::Foreign) };
        // Such an entry is found whether it meets the filters or not.
        if pool.config().additional_filter.is_some() && has_below(message).map_err(broken)? {
            let dn = String::from_utf8_lossy(entry.dn).into_owned();
            let search = Search { filter: class_filter(pool.config(), &class), ..Search::entry(dn, &["1.1"]) };
            if first_entry(pool, &Request::Search(search)).await?.is_none() {
                return Ok(Changed::Left);
            }
        }
        let reader = self.readers.entry(Arc::clone(&class.name)).or_insert_with(|| EntryReader::new(class));
        Ok(match read_entry(pool, reader, message).await? {
            Some(Ok(object)) => Changed::Object(object),
            Some(Err(error)) => Changed::Failed(error),
            None => Changed::Left,
        })
    }

    fn is_of(&self, class: &EntryClass, values: &[&[u8]]) -> bool {
        let known = |value: &&[u8]| std::str::from_utf8(value).ok().and_then(|value| self.directory.subschema.class(value));
        values.is_empty() || values.iter().filter_map(known).any(|known| known.name() == &*class.name)
    }

    /// How the identifier of an entry is spelled that content synchronization calls by these bytes.
    pub(crate) fn called(&self, id: EntryId) -> Box<str> {
        let text = if self.is_by_unique_id { unique_id_text(&id) } else { uuid_text(&id) };
        text.unwrap_or_default()
    }

    /// Whether content synchronization calls an object as we do. If not, nobody would know who is meant when one is gone.
    pub(crate) fn check(&self, object: &ResourceObject, id: EntryId) -> Result<()> {
        if object.identifier.eq_ignore_ascii_case(&self.called(id)) { Ok(()) } else { Err(called_otherwise()) }
    }

    /// The identifier of an entry.
    pub(crate) fn identifier(&self, config: &LdapConfig, message: &Message) -> Result<Box<str>> {
        let broken = |_| not_ldap(&config.server());
        let entry = message.entry().map_err(broken)?;
        let hidden =
            || Error::new(ErrorKind::Denied, format!("an entry shows no '{}', which identifies entries", config.identifier));
        if &*config.identifier == DN {
            let name = std::str::from_utf8(entry.dn).map_err(|_| hidden())?;
            return Ok(spelled(name.to_owned(), &self.directory.subschema, Spelling::Identifier).into());
        }
        let values = entry.values_of(&config.identifier).map_err(broken)?;
        let form = self.directory.identifier_form();
        let value = values.first().and_then(|value| form.read(value).ok());
        value.and_then(|value| value.to_text().map(|text| text.into_owned().into())).ok_or_else(hidden)
    }

    /// What became of entries that are gone from where changes are looked for. Who is still somewhere else has not been deleted, and
    /// who went with others below has taken them along: those are read then.
    pub(crate) async fn gone(&mut self, pool: &Arc<Pool>, ids: Vec<EntryId>, below: &mut Below) -> Result<Vec<Result<Change>>> {
        let mut left: Vec<Box<str>> = ids.into_iter().map(|id| self.called(id)).collect();
        let mut changes = Vec::new();
        let Some(beyond) = self.beyond.clone() else {
            left.iter().for_each(|identifier| below.names_mut().forget(identifier));
            return Ok(left.into_iter().map(|identifier| Ok(self.deleted(identifier))).collect());
        };
        let base_context = pool.config().base_context.clone();
        let schema = Arc::clone(&self.directory.subschema);
        if !is_same(pool.config().synchronized(), &base_context, &schema) {
            let (found, all) = self.find(pool, &base_context, &left).await?;
            if !all {
                let message =
                    "it cannot be said what became of entries that are gone: the server does not give all that it is asked for";
                return Err(Error::new(ErrorKind::OutcomeUnknown, message));
            }
            for message in &found {
                let identifier = self.identifier(pool.config(), message)?;
                left.retain(|known| !known.eq_ignore_ascii_case(&identifier));
                below.look(pool, self, message).await?;
                match self.make(pool, message).await? {
                    Changed::Object(object) => changes.push(Ok(full(object))),
                    Changed::Failed(error) => changes.push(Err(error)),
                    Changed::Left => changes.push(Ok(self.deleted(identifier))),
                    Changed::Ignored | Changed::Foreign => {}
                }
            }
        }
        left.iter().for_each(|identifier| below.names_mut().forget(identifier));
        if !left.is_empty() && !is_same(&base_context, &beyond, &schema) {
            // We may have no rights there; then those below are left to the next reconciliation.
            for message in self.find(pool, &beyond, &left).await.map(|(found, _)| found).unwrap_or_default() {
                below.look(pool, self, &message).await?;
            }
        }
        changes.extend(left.into_iter().map(|identifier| Ok(self.deleted(identifier))));
        Ok(changes)
    }

    /// Finds entries of any class by their identifiers.
    pub(crate) async fn find(&self, pool: &Arc<Pool>, base: &str, identifiers: &[Box<str>]) -> Result<(Vec<Message>, bool)> {
        let (mut found, mut all) = (Vec::new(), true);
        for some in identifiers.chunks(LOOKED_UP_AT_ONCE) {
            let equal = |id: &str| Filter::equal(&pool.config().identifier, id.as_bytes());
            let search = Search {
                base: base.to_owned(),
                filter: Filter::Or(some.iter().map(|id| equal(id)).collect()),
                ..self.following(pool.config(), &[])
            };
            let (more, is_all) = entries(pool, &Request::Search(search), &[]).await?;
            found.extend(more);
            all &= is_all;
        }
        Ok((found, all))
    }

    fn is_ignored(&self, config: &LdapConfig, message: &Message) -> Result<bool> {
        if config.ignored_modifiers.is_empty() {
            return Ok(false);
        }
        let values = message.entry().and_then(|entry| entry.values_of("modifiersName"));
        let values = values.map_err(|_| not_ldap(&config.server()))?;
        let name = values.first().and_then(|value| std::str::from_utf8(value).ok()).and_then(Dn::parse);
        let normal = |name: Dn| name.normal(&self.directory.subschema);
        let name = name.map(normal);
        Ok(name.is_some() && config.ignored_modifiers.iter().any(|ignored| Dn::parse(ignored).map(normal) == name))
    }
}

/// The server calls entries by something else than what identifies them for us.
pub(crate) fn called_otherwise() -> Error {
    Error::config(
        "the server's content synchronization does not call entries by 'uidAttribute'; set it to the attribute that it uses \
         (389 Directory Server: nsUniqueId), or 'synchronizationStrategy' to modifyTimestamp",
    )
}

fn is_same(a: &str, b: &str, schema: &Subschema) -> bool {
    let normal = |name| Dn::parse(name).map_or(Cow::Borrowed(name), |name| Cow::Owned(name.normal(schema)));
    normal(a) == normal(b)
}

/// A changed object as a change.
pub(crate) fn full(object: ResourceObject) -> Change {
    Change { class: Some(Arc::clone(&object.class)), identifier: object.identifier.clone(), kind: ChangeKind::Full(object) }
}

/// A server that shows nothing at all may have hidden it.
pub(crate) fn nothing_left() -> Error {
    let message =
        "the server shows no entry that changes are asked of, as if all were gone; if that can be right, set 'allowEmpty'";
    Error::new(ErrorKind::Unexpected, message)
}

fn filter(config: &LdapConfig, class: Option<&EntryClass>) -> Filter {
    if let Some(class) = class {
        return class_filter(config, class);
    }
    let classes: Vec<_> = config.classes.iter().map(|name| Filter::equal("objectClass", name.as_bytes())).collect();
    let classes = if classes.is_empty() { Filter::anything() } else { Filter::Or(classes) };
    config.additional_filter.iter().cloned().fold(classes, Filter::and)
}
