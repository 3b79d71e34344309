//! Where the command works: the home folder, its configuration file, the repository's place.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tidelock_model::{Diagnostic, Place};

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::sources::Sources;

/// What every command needs to know about its surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The home folder.
    pub(crate) home: PathBuf,
    /// The file of the repository.
    pub(crate) database: PathBuf,
    /// The way to the user.
    pub(crate) output: Output,
    /// Texts of definitions, for findings about them.
    pub(crate) sources: Sources,
}

/// The configuration file.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The repository, as `--repo` has it. A relative path is relative to the home folder.
    repo: Option<String>,
}

const FILE_NAME: &str = "tidelock.toml";
const DATABASE_NAME: &str = "tidelock.db";

impl Session {
    /// Finds out: arguments and environment first, then the configuration file, then what is usual.
    pub(crate) fn new(global: &Global, output: Output) -> Result<Self, Failure> {
        let home = global.home.clone();
        if !home.is_dir() {
            return Err(Failure::usage(
                format!("the home folder {} does not exist", home.display()),
                "create it, or name another with --home",
            ));
        }
        let sources = output.sources().clone();
        let file = read(&home.join(FILE_NAME), &sources)?;
        let database = match (&global.repo, &file.repo) {
            (Some(url), _) => database(url)?.to_owned(),
            (None, Some(url)) => home.join(database(url)?),
            (None, None) => home.join(DATABASE_NAME),
        };
        Ok(Self { home, database, output, sources })
    }
}

fn read(path: &Path, sources: &Sources) -> Result<File, Failure> {
    let name = path.to_string_lossy();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => {
            let place = Place { file: Some(name.into()), ..Place::default() };
            let diagnostic = Diagnostic::error("unreadable-file", &place, format!("cannot read the configuration: {error}"));
            return Err(Failure::of_definition(diagnostic));
        }
    };
    sources.add(&name, text.as_bytes());
    parse(&name, &text).map_err(Failure::of_definition)
}

fn parse(name: &str, text: &str) -> Result<File, Diagnostic> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let (line, rest) = (before.matches('\n').count(), before.rsplit('\n').next().unwrap_or_default());
        let place = Place {
            file: Some(name.into()),
            line: u32::try_from(line + 1).unwrap_or(u32::MAX),
            column: u32::try_from(rest.chars().count() + 1).unwrap_or(u32::MAX),
        };
        Diagnostic::error("configuration", &place, format!("the configuration is wrong: {}", error.message()))
            .with_help("it may say repo = \"sqlite:PATH\", and nothing else")
    })
}

/// The path in a repository's URL.
fn database(url: &str) -> Result<&Path, Failure> {
    let cure = "say sqlite:PATH";
    match url.split_once(':') {
        Some(("sqlite", "")) => Err(Failure::usage(format!("'{url}' names no file"), cure)),
        Some(("sqlite", path)) => Ok(Path::new(path)),
        // The URL may hold a password: only its scheme is repeated.
        Some(("postgres" | "postgresql", _)) => Err(Failure::usage("PostgreSQL is not part of this version", cure)),
        Some((scheme, _)) => Err(Failure::usage(format!("'{scheme}' is not a kind of repository"), cure)),
        None => Err(Failure::usage("the repository is not named by a URL", cure)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_repository_is_named_by_a_url() {
        assert_eq!(database("sqlite:some/where.db").unwrap(), Path::new("some/where.db"));
        assert_eq!(database("sqlite:/some/where.db").unwrap(), Path::new("/some/where.db"));
        for wrong in ["", "sqlite:", "where.db", "postgres://user:secret@host/db", "mysql:x"] {
            let failure = database(wrong).unwrap_err();
            assert_eq!(failure.exit, crate::failure::Exit::Usage, "{wrong}");
            assert!(!failure.error.message.contains("secret"));
        }
    }

    #[test]
    fn a_wrong_configuration_is_shown_with_its_place() {
        let error = parse("tidelock.toml", "# ours\nrepo = \"sqlite:x\"\nrepos = 1\n").unwrap_err();
        assert_eq!((error.place.line, error.place.column), (3, 1));
        assert_eq!(parse("tidelock.toml", "repo = \"sqlite:x\"").unwrap().repo.as_deref(), Some("sqlite:x"));
    }
}
