//! What changes are asked of: a class or all of them, below an entry of a server.

use std::collections::HashMap;
use std::sync::Arc;

use tidelock_connector_api::{Change, ChangeKind, Error, Result, Token};
use tidelock_model::object::ResourceObject;

use super::token::{self, Position};
use crate::client::Pool;
use crate::config::LdapConfig;
use crate::dn::Dn;
use crate::entry::EntryReader;
use crate::error::not_ldap;
use crate::filter::Filter;
use crate::message::{Message, Request, Scope, Search};
use crate::schema::{Directory, EntryClass};
use crate::search::{class_filter, first_entry, read_entry};
use crate::value::Form;

/// What changes are asked of.
pub(crate) struct Subject {
    directory: Arc<Directory>,
    class: Option<Arc<EntryClass>>,
    /// What tells the server and the part of it that concerns us from others.
    identity: String,
    readers: HashMap<Arc<str>, EntryReader>,
}

/// What came of an entry that has changed.
pub(crate) enum Changed {
    /// The object as it is now.
    Object(ResourceObject),
    /// An object that cannot be read.
    Failed(Error),
    /// Its last change was made by one whose changes are left out.
    Ignored,
    /// It is of no class that concerns us.
    Foreign,
    /// It is of a class derived from the one that changes are asked of, if it was not before.
    Derived,
}

impl Subject {
    /// Asks the server who it is.
    pub(crate) async fn new(pool: &Arc<Pool>, directory: Arc<Directory>, class: Option<&str>) -> Result<Self> {
        let class = class.map(|class| directory.class(class).cloned()).transpose()?;
        let config = pool.config();
        let mut identity =
            format!("{}\n{}\n", Dn::parse(config.synchronized()).map_or_else(String::new, |dn| dn.normal()), config.identifier);
        identity.push_str(&filter(config, None).to_string());
        identity.push('\n');
        // A directory that is built anew has another root, even where its name is the same.
        let context = directory.root.context_of(config.synchronized()).unwrap_or(config.synchronized()).to_owned();
        let root = first_entry(pool, &Request::Search(Search::entry(context, &["entryUUID", "nsUniqueId"]))).await?;
        if let Some(root) = root {
            let entry = root.entry().map_err(|_| not_ldap(&config.server()))?;
            // On 389 Directory Server, what was imported has only the second.
            for name in ["entryUUID", "nsUniqueId"] {
                let values = entry.values_of(name).map_err(|_| not_ldap(&config.server()))?;
                identity.push_str(&String::from_utf8_lossy(values.first().copied().unwrap_or_default()));
            }
        }
        Ok(Self { directory, class, identity, readers: HashMap::new() })
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

    /// How the identifier of an entry is read.
    pub(crate) fn identifier_form(&self) -> Form {
        self.directory.identifier_form()
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
            Some(class) => class.requested(config),
            None => ["*", &config.identifier]
                .into_iter()
                .filter(|name| *name != crate::schema::DN)
                .chain(config.operational_attributes.iter().map(|name| &**name))
                .map(str::to_owned)
                .collect(),
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

    /// Makes an object of an entry that has changed.
    pub(crate) async fn read(&mut self, pool: &Arc<Pool>, message: &Message) -> Result<Changed> {
        let broken = |_| not_ldap(&pool.config().server());
        let entry = message.entry().map_err(broken)?;
        if self.is_ignored(pool.config(), message)? {
            return Ok(Changed::Ignored);
        }
        let class = match &self.class {
            Some(class) => Some(class),
            None => self.directory.class_of(&entry.values_of("objectClass").map_err(broken)?),
        };
        let Some(class) = class.cloned() else { return Ok(Changed::Foreign) };
        let reader = self.readers.entry(Arc::clone(&class.name)).or_insert_with(|| EntryReader::new(class));
        Ok(match read_entry(pool, reader, message).await? {
            Some(Ok(object)) => Changed::Object(object),
            Some(Err(error)) => Changed::Failed(error),
            None => Changed::Derived,
        })
    }

    fn is_ignored(&self, config: &LdapConfig, message: &Message) -> Result<bool> {
        if config.ignored_modifiers.is_empty() {
            return Ok(false);
        }
        let values = message.entry().and_then(|entry| entry.values_of("modifiersName"));
        let values = values.map_err(|_| not_ldap(&config.server()))?;
        let name = values.first().and_then(|value| std::str::from_utf8(value).ok()).and_then(Dn::parse);
        Ok(name.is_some_and(|name| config.ignored_modifiers.iter().any(|ignored| **ignored == *name.normal())))
    }
}

/// A changed object as a change.
pub(crate) fn full(object: ResourceObject) -> Change {
    Change { class: Some(Arc::clone(&object.class)), identifier: object.identifier.clone(), kind: ChangeKind::Full(object) }
}

fn filter(config: &LdapConfig, class: Option<&EntryClass>) -> Filter {
    if let Some(class) = class {
        return class_filter(config, class);
    }
    let classes: Vec<_> = config.classes.iter().map(|name| Filter::equal("objectClass", name.as_bytes())).collect();
    let classes = if classes.is_empty() { Filter::anything() } else { Filter::Or(classes) };
    config.additional_filter.iter().cloned().fold(classes, Filter::and)
}
