//! `token`: the synchronization token of a live-synchronization task.

use crate::args::Token;
use crate::failure::{Exit, Failure};

pub(super) fn token(action: &Token) -> Result<Exit, Failure> {
    let task = match action {
        Token::Show { task } | Token::Set { task, .. } | Token::Reset { task } => task,
    };
    let mut failure = Failure::fatal(
        "not-supported",
        format!("live synchronization is not part of this version, so the task '{task}' has no synchronization token"),
    );
    failure.error.help = Some("use an import or a reconciliation".to_owned());
    Err(failure)
}
