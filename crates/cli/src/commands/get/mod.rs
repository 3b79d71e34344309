//! `get`: objects of the repository.

mod definitions;
mod foci;
mod shadows;

use std::io::{BufWriter, StdoutLock};

use serde::Serialize;
use tidelock_model::object::FocusType;
use tidelock_model::{Items, Oid};
use tidelock_repo::{Error, ObjectKey};
use tidelock_resolver::filter::{Evaluator, Subject};

use crate::args::{Get, GetType};
use crate::commands::filter;
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::output::json::List;
use crate::output::table::Table;
use crate::output::text::clean;
use crate::repository;

/// The item of a focus that refers to its shadows.
const LINKS: &str = "linkRef";

/// How many objects are read at once.
const PAGE: usize = 1000;

pub(super) async fn get(session: &Session, arguments: &Get) -> Result<Exit, Failure> {
    if arguments.key.is_some() && arguments.query.is_some() {
        return Err(Failure::usage("a single object and a query exclude each other", "leave one of them out"));
    }
    let which = Which::new(session, arguments)?;
    let repo = repository::look(session)?;
    let focus = |focus_type| foci::get(session, &*repo, focus_type, &which);
    let found = match arguments.object_type {
        GetType::Users => focus(FocusType::User).await?,
        GetType::Roles => focus(FocusType::Role).await?,
        GetType::Orgs => focus(FocusType::Org).await?,
        GetType::Services => focus(FocusType::Service).await?,
        GetType::Shadows => shadows::get(session, &*repo, &which).await?,
        GetType::Resources => definitions::get(session, &*repo, "resource", &which).await?,
        GetType::Tasks => definitions::get(session, &*repo, "task", &which).await?,
    };
    match (&arguments.key, found) {
        (Some(key), 0) => {
            session.output.aside(&format!("there is no such object: {}", clean(key)));
            Ok(Exit::Partial)
        }
        (None, 0) => {
            session.output.note("no objects");
            Ok(Exit::Done)
        }
        _ => Ok(Exit::Done),
    }
}

/// Which objects are wanted.
struct Which<'a> {
    key: Option<&'a str>,
    evaluator: Option<Evaluator>,
    /// Whether the query may be about links, which are not among the items of a focus.
    about_links: bool,
    limit: u64,
}

impl<'a> Which<'a> {
    fn new(session: &Session, arguments: &'a Get) -> Result<Self, Failure> {
        let evaluator = match &arguments.query {
            Some(text) => {
                let evaluator = filter(session, "--query", text).and_then(|filter| Evaluator::new(&filter));
                Some(evaluator.map_err(Failure::of_definition)?)
            }
            None => None,
        };
        let about_links = arguments.query.as_ref().is_some_and(|text| text.contains(LINKS));
        Ok(Self { key: arguments.key.as_deref(), evaluator, about_links, limit: arguments.limit.unwrap_or(u64::MAX) })
    }

    /// Whether an object is among them.
    fn admits(&self, items: &Items, oid: Option<&Oid>, type_name: &str) -> bool {
        let subject = Subject { items, oid, type_name: Some(type_name) };
        self.evaluator.as_ref().is_none_or(|evaluator| evaluator.holds_for(&subject))
    }

    /// How many objects to read next, when this many have been printed.
    fn page(&self, printed: u64) -> usize {
        let left = usize::try_from(self.limit - printed.min(self.limit)).unwrap_or(usize::MAX);
        // With a query nobody knows how many of a page will do.
        if self.evaluator.is_some() && left > 0 { PAGE } else { left.min(PAGE) }
    }

    /// The ways in which a text may name an object, in the order in which they are tried.
    fn keys(key: &str) -> [ObjectKey; 2] {
        [ObjectKey::Oid(Oid::new(key)), ObjectKey::Name(key.to_owned())]
    }
}

/// Where objects are printed to, one by one.
enum Printer {
    Json(List<BufWriter<StdoutLock<'static>>>),
    Human(Table<BufWriter<StdoutLock<'static>>>),
}

impl Printer {
    fn new(session: &Session, header: &'static [&'static str]) -> Self {
        let output = &session.output;
        if output.is_json() {
            Self::Json(List::new(output.results()))
        } else {
            Self::Human(Table::new(output.results(), output.paint(), header))
        }
    }

    fn is_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// Prints an object in the form that is wanted.
    fn print<J: Serialize>(&mut self, json: impl FnOnce() -> J, row: impl FnOnce() -> Vec<String>) -> Result<(), Failure> {
        match self {
            Self::Json(list) => list.push(&json())?,
            Self::Human(table) => table.row(row())?,
        }
        Ok(())
    }

    /// Ends the output. Gives the number of objects.
    fn finish(self) -> Result<u64, Failure> {
        Ok(match self {
            Self::Json(list) => list.finish()?,
            Self::Human(table) => table.finish()?,
        })
    }
}

/// What the repository's failures become.
fn failed(session: &Session) -> impl Fn(Error) -> Failure {
    |error| Failure::repository(&error, &session.database)
}
