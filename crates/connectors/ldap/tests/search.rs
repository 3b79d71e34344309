//! Reading a real server.

#![allow(clippy::unwrap_used)]

mod slapd;

use futures::StreamExt;
use slapd::{Setup, Slapd, group, people};
use tidelock_connector_api::{Completeness, Connector, Error, Found, SearchRequest};
use tidelock_ldap::Ldap;
use tidelock_model::object::ResourceObject;

struct Read {
    objects: Vec<ResourceObject>,
    errors: Vec<Error>,
    verdict: Option<Completeness>,
}

async fn read(connector: &Ldap, request: SearchRequest) -> Read {
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

#[tokio::test]
async fn every_page_is_read() {
    let server = Slapd::with(Setup::default(), &people(0..2500));
    for size in [1, 7, 1000, 5000] {
        let mut config = server.config();
        config.page_size = if size == 1 { 100 } else { size };
        let found = read(&Ldap::new(config), SearchRequest::new("inetOrgPerson")).await;
        assert_eq!(found.verdict, Some(Completeness::Complete), "{:?}", found.errors);
        assert_eq!(found.objects.len(), 2500);
    }
    let object = &read(&server.connector(), SearchRequest::new("inetOrgPerson")).await.objects[7];
    println!("{object:#?}");
    let _ = group("g", [1]);
}
