//! The commands, a file each.

mod apply;
mod check;
mod explain;
mod get;
mod query;
mod resource;
mod run;
mod token;

use tidelock_model::document::Scope;
use tidelock_model::filter::Filter;
use tidelock_model::{Diagnostic, Place};

use crate::args::Command;
use crate::config::Session;
use crate::failure::{Exit, Failure};

/// Does what was asked.
pub(crate) async fn dispatch(command: Command, session: &Session) -> Result<Exit, Failure> {
    match command {
        Command::Check { paths } => check::check(session, &paths).await,
        Command::Apply { paths } => apply::apply(session, &paths).await,
        Command::Explain { task, profile } => explain::explain(session, &task, profile).await,
        Command::Run(arguments) => run::run(session, &arguments).await,
        Command::Token { action } => token::token(session, &action).await,
        Command::Get(arguments) => get::get(session, &arguments).await,
        Command::Resource { action } => resource::resource(session, &action).await,
        Command::Query { text, object_type } => query::query(session, &text, object_type.as_deref()),
    }
}

/// Reads a filter that was given as an argument, under the argument's name.
fn filter(session: &Session, argument: &str, text: &str) -> Result<Filter, Diagnostic> {
    let place = argument_place(argument);
    session.sources.add(argument, text.as_bytes());
    tidelock_resolver::filter::parse(text, &place, &Scope::well_known())
}

/// The place of an argument's text.
fn argument_place(argument: &str) -> Place {
    Place { file: Some(argument.into()), line: 1, column: 1 }
}
