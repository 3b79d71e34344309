//! Reading a connector to the end.

use futures::StreamExt;
use tidelock_connector_api::{
    Change, ChangeKind, ChangesRequest, Completeness, Connector, Error, ErrorKind, Found, IncompleteReason, SearchRequest,
    SyncEvent, Token,
};
use tidelock_ldap::Ldap;
use tidelock_model::object::ResourceObject;

/// What a search gave.
pub struct Read {
    pub objects: Vec<ResourceObject>,
    pub errors: Vec<Error>,
    pub verdict: Option<Completeness>,
}

impl Read {
    /// Why it was not all; none if it was all, or there is no verdict.
    pub fn gap(&self) -> Option<IncompleteReason> {
        match &self.verdict {
            Some(Completeness::Incomplete { reason, .. }) => Some(*reason),
            _ => None,
        }
    }

    /// The kinds of the errors.
    pub fn kinds(&self) -> Vec<ErrorKind> {
        self.errors.iter().map(Error::kind).collect()
    }

    /// The names of the objects, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.objects.iter().map(|object| object.origin.clone().unwrap().into_string()).collect();
        names.sort();
        names
    }
}

/// Searches to the end.
pub async fn search(connector: &Ldap, request: SearchRequest) -> Read {
    let mut read = Read { objects: Vec::new(), errors: Vec::new(), verdict: None };
    let mut stream = connector.search(request);
    while let Some(item) = stream.next().await {
        match item {
            Ok(Found::Object(object)) => read.objects.push(object),
            Ok(Found::End(verdict)) => read.verdict = Some(verdict),
            Err(error) => read.errors.push(error),
        }
    }
    read
}

/// What a stream of changes gave.
#[derive(Default)]
pub struct Changes {
    pub changes: Vec<Change>,
    /// What is there and as it was; none where nothing says that it is all.
    pub present: Option<Vec<String>>,
    pub errors: Vec<Error>,
    pub end: Option<Token>,
}

impl Changes {
    /// The names of the objects that are given whole, and the identifiers of those that are gone, sorted.
    pub fn shown(&self) -> Vec<String> {
        let mut shown: Vec<_> = self
            .changes
            .iter()
            .map(|change| match &change.kind {
                ChangeKind::Full(object) => object.origin.clone().unwrap().into_string(),
                ChangeKind::Deleted(_) => format!("gone {}", change.identifier),
                other => format!("{other:?}"),
            })
            .collect();
        shown.sort();
        shown
    }
}

/// Reads changes of a class to the end.
pub async fn changes(connector: &Ldap, class: &str, after: &Token) -> Changes {
    let mut changes = Changes::default();
    let live = connector.live_sync().unwrap();
    let mut stream = live.changes(ChangesRequest::new(after.clone()).with_class(class));
    while let Some(item) = stream.next().await {
        match item {
            Ok(SyncEvent::Change(change, _)) => changes.changes.push(change),
            Ok(SyncEvent::Present(identifiers)) => {
                changes.present.get_or_insert_default().extend(identifiers.into_iter().map(String::from));
            }
            Ok(SyncEvent::End(token)) => changes.end = Some(token),
            Err(error) => changes.errors.push(error),
        }
    }
    changes
}

/// Listens until there is a position again, or an error.
pub async fn pushed(connector: &Ldap, after: &Token) -> Changes {
    let mut told = Changes::default();
    let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(after.clone()));
    while told.end.is_none() && told.errors.is_empty() {
        match deliveries.next().await.unwrap() {
            Ok(delivery) => {
                if delivery.begins {
                    told = Changes::default();
                }
                match &delivery.changes {
                    Ok(changes) => told.changes.extend(changes.iter().cloned()),
                    Err(error) => panic!("{error}"),
                }
                if let Some(identifiers) = &delivery.present {
                    told.present.get_or_insert_default().extend(identifiers.iter().map(|identifier| identifier.to_string()));
                }
                told.end = delivery.token.clone();
                delivery.acknowledge().await.unwrap();
            }
            Err(error) => told.errors.push(error),
        }
    }
    told
}
