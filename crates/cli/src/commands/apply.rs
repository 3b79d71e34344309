//! `apply`: validates definitions and stores them, all or none.

use std::path::PathBuf;

use serde::Serialize;
use tidelock_model::Oid;
use tidelock_model::definition::{self, Definition};
use tidelock_model::document::Format;
use tidelock_model::object::Focus;
use tidelock_repo::{Applied, ObjectType, Repo, StoredObject};

use crate::config::Session;
use crate::definitions::{self, Given};
use crate::failure::{Exit, Failure};
use crate::output::table::Table;
use crate::output::{FAINT, GOOD};
use crate::repository;
use crate::validate::{self, Tasks};

/// What became of one object.
#[derive(Debug, Serialize)]
pub(crate) struct AppliedObject {
    #[serde(rename = "type")]
    object_type: String,
    #[serde(serialize_with = "as_text")]
    pub(crate) oid: Oid,
    name: String,
    outcome: &'static str,
    file: Option<String>,
}

pub(super) async fn apply(session: &Session, paths: &[PathBuf]) -> Result<Exit, Failure> {
    let given = definitions::read(paths, &session.sources);
    let found = validate::refuse_errors({
        let repo = repository::look(session)?;
        validate::validate(session, &repo, &given, Tasks::Prepared).await?
    })?;
    let repo = repository::open(session)?;
    let applied = store(session, &*repo, &given).await?;
    let output = &session.output;
    output.findings_beside(&found);
    if output.is_json() {
        output.document(&applied)?;
        return Ok(Exit::Done);
    }
    let paint = output.paint();
    let mut table = Table::new(output.results(), paint, ["OUTCOME", "TYPE", "NAME", "OID"]);
    for object in &applied {
        let style = if object.outcome == "unchanged" { FAINT } else { GOOD };
        table.painted_row(Some(style), [object.outcome, &object.object_type, &object.name, &object.oid.to_string()])?;
    }
    table.finish()?;
    Ok(Exit::Done)
}

/// Stores definitions that have been validated.
pub(crate) async fn store(session: &Session, repo: &dyn Repo, given: &Given) -> Result<Vec<AppliedObject>, Failure> {
    let (mut objects, mut foci) = (Vec::new(), Vec::new());
    // The repository answers for the objects first, then for the foci.
    let (mut of_objects, mut of_foci) = (Vec::new(), Vec::new());
    for object in &given.objects {
        let definition = &object.definition;
        let oid = definition.oid().cloned();
        let name = definition.name().map(str::trim).unwrap_or_default().to_owned();
        if let Definition::Focus(focus) = definition {
            // Without an OID the repository finds one; that of the focus then says nothing.
            let stored = Focus {
                oid: oid.clone().unwrap_or_else(|| Oid::new("")),
                focus_type: focus.focus_type,
                version: 0,
                content: focus.content.clone(),
            };
            foci.push((oid, stored));
            of_foci.push((object, name));
        } else {
            objects.push(StoredObject {
                object_type: ObjectType::new(definition.object_type()),
                oid,
                name: name.clone(),
                text: definition::write(std::slice::from_ref(definition), Format::Xml),
                origin: Some(object.origin_text()),
            });
            of_objects.push((object, name));
        }
    }
    let applied = repo.apply(objects, foci).await.map_err(|error| Failure::repository(&error, &session.database))?;
    let mut rows: Vec<_> = of_objects
        .into_iter()
        .chain(of_foci)
        .zip(applied)
        .map(|((object, name), (oid, applied))| AppliedObject {
            object_type: object.definition.object_type().to_owned(),
            oid,
            name,
            outcome: outcome(applied),
            file: object.definition.place().file.as_deref().map(str::to_owned),
        })
        .collect();
    if rows.len() > 1 {
        // In the order in which they were given.
        let order: Vec<_> =
            given.objects.iter().map(|o| (o.definition.object_type(), o.definition.name().map(str::trim))).collect();
        rows.sort_by_cached_key(|row| order.iter().position(|key| *key == (&*row.object_type, Some(&*row.name))));
    }
    Ok(rows)
}

fn outcome(applied: Applied) -> &'static str {
    match applied {
        Applied::Created => "created",
        Applied::Updated => "updated",
        Applied::Unchanged => "unchanged",
    }
}

fn as_text<S: serde::Serializer>(oid: &Oid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(oid)
}
