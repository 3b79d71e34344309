//! Passwords and the like: where they are, and that nobody shows them.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use tidelock_connector_api::{Error, Result};

/// Where a password, a token or a key is. The `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Here.
    Text(Box<str>),
    /// In a file; a line break at its end does not count. Read with every connection.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

impl Secret {
    /// The secret itself.
    ///
    /// # Errors
    /// [`tidelock_connector_api::ErrorKind::Config`] where the file cannot be read, or the variable is not set.
    pub fn read(&self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text.to_string()),
            Self::File(path) => {
                let shown = path.display();
                let text = fs::read_to_string(path)
                    .map_err(|error| Error::config(format!("cannot read the file {shown} with a secret")).with_source(error))?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            Self::Variable(name) => std::env::var(name)
                .map_err(|_| Error::config(format!("the environment variable '{name}' with a secret is not set"))),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Variable(name) => write!(f, "Variable({name})"),
        }
    }
}
