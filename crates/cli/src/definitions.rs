//! Definitions: read from files and folders, or found in the repository.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelock_activities::{Definitions, ResourceEntry};
use tidelock_connector_api::async_trait;
use tidelock_model::definition::{self, Definition, Resource, Task};
use tidelock_model::document::Format;
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place};
use tidelock_repo::{Error, ErrorKind, ObjectKey, ObjectType, Repo, StoredObject};

use crate::config::Session;
use crate::failure::Failure;
use crate::sources::Sources;

/// The longest file that is read. The reader of documents refuses earlier; this keeps endless ones out of memory.
const LONGEST: u64 = 65 * 1024 * 1024;

/// Definitions that were given as files.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The objects, in the order of the files.
    pub(crate) objects: Vec<GivenObject>,
    /// What was found while reading.
    pub(crate) diagnostics: Diagnostics,
    /// How many files there were.
    pub(crate) files: usize,
    /// Their true paths: a file that is given by itself and with its folder is read once.
    read: HashSet<PathBuf>,
}

/// A definition, and the absolute path of its file.
#[derive(Debug)]
pub(crate) struct GivenObject {
    pub(crate) definition: Definition,
    pub(crate) origin: PathBuf,
}

/// What a TASK or RESOURCE argument means.
pub(crate) enum Argument<T> {
    /// An object of a file; the file may hold others that belong to it.
    Given(Box<T>, Given),
    /// An object of the repository, with its OID.
    Stored(Box<T>, Stored),
}

/// Where a stored object is kept, and where it came from.
pub(crate) struct Stored {
    pub(crate) oid: Oid,
    pub(crate) origin: Option<String>,
    /// What was found while reading it.
    pub(crate) diagnostics: Diagnostics,
}

/// A type of definition that a command takes as its argument.
pub(crate) trait Wanted: Clone {
    /// The element name.
    const ELEMENT: &'static str;
    fn of(definition: &Definition) -> Option<&Self>;
}

impl Wanted for Task {
    const ELEMENT: &'static str = "task";

    fn of(definition: &Definition) -> Option<&Self> {
        match definition {
            Definition::Task(task) => Some(task),
            _ => None,
        }
    }
}

impl Wanted for Resource {
    const ELEMENT: &'static str = "resource";

    fn of(definition: &Definition) -> Option<&Self> {
        match definition {
            Definition::Resource(resource) => Some(resource),
            _ => None,
        }
    }
}

/// Reads files, and folders with all below them. A file that cannot be read is a finding.
pub(crate) fn read(paths: &[PathBuf], sources: &Sources) -> Given {
    let mut given = Given::default();
    for path in paths {
        if path.is_dir() {
            let before = (given.read.len(), given.diagnostics.len());
            let already = given.read.iter().any(|file| path.canonicalize().is_ok_and(|path| file.starts_with(path)));
            folder(path, sources, &mut given);
            if !already && (given.read.len(), given.diagnostics.len()) == before {
                let place = file_place(path);
                let found = Diagnostic::warning("no-definitions", &place, "the folder has no definition files")
                    .with_help("the names of definition files end in .xml, .yaml, .yml or .json");
                given.diagnostics.push(found);
            }
        } else {
            file(path, sources, &mut given);
        }
    }
    given
}

/// Finds what an argument means: a file of that name, else an object of the repository by OID or name.
///
/// # Errors
/// Where it means nothing, or more than one object; [`Failure::definition`] for a file with errors.
pub(crate) async fn find<T: Wanted>(session: &Session, repo: &dyn Repo, argument: &str) -> Result<Argument<T>, Failure> {
    let path = Path::new(argument);
    let path_like = argument.contains(['/', std::path::MAIN_SEPARATOR]) || Format::of_path(argument).is_some();
    if path.is_dir() {
        return Err(Failure::usage(format!("'{argument}' is a folder"), format!("name a file with a {}", T::ELEMENT)));
    }
    let is_file = fs::symlink_metadata(path).is_ok();
    if !is_file && let Some((object, stored)) = stored(session, repo, argument).await? {
        return Ok(Argument::Stored(Box::new(object), stored));
    }
    if !is_file && !path_like {
        return Err(Failure::usage(
            format!("there is no {0} '{argument}': neither a file, nor a stored {0} of that OID or name", T::ELEMENT),
            format!("`tidelock get {}s` lists what is stored", T::ELEMENT),
        ));
    }
    let given = read(&[path.to_owned()], &session.sources);
    if given.has_errors() {
        return Err(Failure::definition(given.diagnostics));
    }
    let mut wanted = given.objects.iter().filter_map(|object| T::of(&object.definition).map(|found| (found, object)));
    match (wanted.next(), wanted.next()) {
        (Some((only, _)), None) => Ok(Argument::Given(Box::new(only.clone()), given)),
        (None, _) => {
            let error = Diagnostic::error(no(T::ELEMENT), &file_place(path), format!("the file holds no {}", T::ELEMENT))
                .with_help(format!("name a file with a {0}, or a {0} that is stored", T::ELEMENT));
            Err(Failure::of_definition(error).after(given.diagnostics))
        }
        (Some(first), Some(second)) => {
            let names: Vec<_> = [first, second].into_iter().chain(wanted).map(|(_, object)| object.label()).collect();
            Err(Failure::usage(
                format!("the file {argument} holds several {}s: {}", T::ELEMENT, names.join(", ")),
                format!("store them with `tidelock apply {argument}`, then name one of them"),
            ))
        }
    }
}

fn no(element: &str) -> &'static str {
    if element == "task" { "no-task" } else { "no-resource" }
}

/// An object of the repository, by OID or name.
async fn stored<T: Wanted>(session: &Session, repo: &dyn Repo, argument: &str) -> Result<Option<(T, Stored)>, Failure> {
    let failed = |error: Error| Failure::repository(&error, &session.database);
    let object_type = ObjectType::new(T::ELEMENT);
    let mut found = repo.object(&object_type, &ObjectKey::Oid(Oid::new(argument))).await.map_err(failed)?;
    if found.is_none() {
        found = repo.object(&object_type, &ObjectKey::Name(argument.to_owned())).await.map_err(failed)?;
    }
    let Some(stored) = found else { return Ok(None) };
    let (definition, diagnostics) = parse_stored(&stored, &session.sources).map_err(failed)?;
    match (T::of(&definition), stored.oid) {
        (Some(object), Some(oid)) => Ok(Some((object.clone(), Stored { oid, origin: stored.origin, diagnostics }))),
        _ => Err(failed(Error::new(ErrorKind::Corrupt, format!("the stored {} '{}' is none", T::ELEMENT, stored.name)))),
    }
}

/// Reads a stored object. Its places are those of the file it came from, as long as that file still says the same; else
/// they refer to the stored text, under the name `repository:TYPE/NAME`.
pub(crate) fn parse_stored(stored: &StoredObject, sources: &Sources) -> Result<(Definition, Diagnostics), Error> {
    let (definition, diagnostics) = parse_text(stored, sources)?;
    match stored.origin.as_deref().and_then(|origin| at_origin(Path::new(origin), &definition, sources)) {
        Some(original) => Ok((original, diagnostics)),
        None => Ok((definition, diagnostics)),
    }
}

/// The same definition in the file it came from: with the places that its author knows.
fn at_origin(path: &Path, definition: &Definition, sources: &Sources) -> Option<Definition> {
    if !path.is_file() {
        return None;
    }
    let mut content = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut content)).ok()?;
    let name = path.to_string_lossy();
    let (definitions, _) = definition::read_file(&content, Some(&name), Format::of(Some(&name), &content));
    // Equality leaves places out.
    let original = definitions.into_iter().find(|candidate| candidate == definition)?;
    sources.add(&name, &content);
    Some(original)
}

fn parse_text(stored: &StoredObject, sources: &Sources) -> Result<(Definition, Diagnostics), Error> {
    let name = format!("repository:{}/{}", stored.object_type.as_str(), stored.name);
    sources.add(&name, stored.text.as_bytes());
    let (definitions, diagnostics) = definition::read_file(stored.text.as_bytes(), Some(&name), Format::Xml);
    match definitions.into_iter().next() {
        Some(definition) => Ok((definition, diagnostics)),
        None => {
            let why = diagnostics.iter().find(|d| d.is_error()).map_or("there is nothing", |d| &d.message);
            let message = format!("the stored {} '{}' cannot be read: {why}", stored.object_type.as_str(), stored.name);
            Err(Error::new(ErrorKind::Corrupt, message).with_help("apply its file again"))
        }
    }
}

/// The definitions that a task may refer to: those given, over those stored.
pub(crate) struct Known<'a> {
    pub(crate) given: Option<&'a Given>,
    pub(crate) repo: Arc<dyn Repo>,
    pub(crate) sources: Sources,
}

#[async_trait]
impl Definitions for Known<'_> {
    async fn resource(&self, oid: &Oid) -> Result<Option<ResourceEntry>, Error> {
        if let Some(entry) = self.given.and_then(|given| given.resource(oid)) {
            return Ok(Some(entry));
        }
        let stored = self.repo.object(&ObjectType::new(Resource::ELEMENT), &ObjectKey::Oid(oid.clone())).await?;
        let Some(stored) = stored else { return Ok(None) };
        let (definition, _) = parse_stored(&stored, &self.sources)?;
        Ok(match definition {
            Definition::Resource(mut definition) => {
                // It may have got its OID when it was stored.
                definition.oid.get_or_insert_with(|| oid.clone().into());
                Some(ResourceEntry { definition: *definition, origin: stored.origin })
            }
            _ => None,
        })
    }
}

impl Given {
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    fn resource(&self, oid: &Oid) -> Option<ResourceEntry> {
        self.objects.iter().find_map(|object| match &object.definition {
            Definition::Resource(resource) if resource.oid.as_ref().is_some_and(|own| own.value == *oid) => {
                Some(ResourceEntry { definition: (**resource).clone(), origin: Some(object.origin_text()) })
            }
            _ => None,
        })
    }
}

impl GivenObject {
    /// The absolute path of the file, as it is stored.
    pub(crate) fn origin_text(&self) -> String {
        self.origin.to_string_lossy().into_owned()
    }

    /// The object for people: `task 'Import HR'`.
    pub(crate) fn label(&self) -> String {
        let definition = &self.definition;
        match (definition.name(), definition.oid()) {
            (Some(name), _) => format!("{} '{name}'", definition.object_type()),
            (None, Some(oid)) => format!("{} {oid}", definition.object_type()),
            (None, None) => format!("{} without a name", definition.object_type()),
        }
    }
}

fn folder(path: &Path, sources: &Sources, given: &mut Given) {
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            given.diagnostics.push(unreadable(path, &error));
            return;
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        // Links to folders are not followed: they may lead back.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match (hidden, is_folder) {
            (true, _) => {}
            (false, true) => folder(&path, sources, given),
            (false, false) if path.is_file() && Format::of_path(&path.to_string_lossy()).is_some() => file(&path, sources, given),
            (false, false) => {}
        }
    }
}

fn file(path: &Path, sources: &Sources, given: &mut Given) {
    if path.canonicalize().is_ok_and(|path| !given.read.insert(path)) {
        return;
    }
    given.files += 1;
    let name = path.to_string_lossy();
    let mut content = Vec::new();
    if let Err(error) = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut content)) {
        given.diagnostics.push(unreadable(path, &error));
        return;
    }
    sources.add(&name, &content);
    let format = Format::of(Some(&name), &content);
    let (definitions, diagnostics) = definition::read_file(&content, Some(&name), format);
    if definitions.is_empty() && !diagnostics.iter().any(Diagnostic::is_error) {
        let found = Diagnostic::warning("no-definitions", &file_place(path), "the file holds no objects");
        given.diagnostics.push(found);
    }
    given.diagnostics.extend(diagnostics);
    let origin = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    given.objects.extend(definitions.into_iter().map(|definition| GivenObject { definition, origin: origin.clone() }));
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let (message, help) = match error.kind() {
        io::ErrorKind::NotFound => ("the file does not exist".to_owned(), "check the path; it is relative to the current folder"),
        io::ErrorKind::PermissionDenied => ("the file may not be read".to_owned(), "give this user the right to read it"),
        _ => (format!("the file cannot be read: {error}"), "name a readable file"),
    };
    Diagnostic::error("unreadable-file", &file_place(path), message).with_help(help)
}

fn file_place(path: &Path) -> Place {
    Place { file: Some(path.to_string_lossy().into()), ..Place::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn user(name: &str) -> String {
        format!(r#"{{"user": {{"name": "{name}"}}}}"#)
    }

    fn names(given: &Given) -> Vec<&str> {
        given.objects.iter().filter_map(|object| object.definition.name()).collect()
    }

    #[test]
    fn a_folder_stands_for_the_definition_files_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("inner")).unwrap();
        fs::create_dir(path(".hidden")).unwrap();
        for name in ["b.json", "a.JSON", "inner/c.json", ".hidden/d.json", ".e.json", "f.txt"] {
            fs::write(path(name), user(name)).unwrap();
        }
        // A file that is given twice is read once.
        let given = read(&[path("b.json"), folder.path().to_owned()], &Sources::default());
        assert_eq!(names(&given), ["b.json", "a.JSON", "inner/c.json"]);
        assert_eq!((given.files, given.diagnostics.len()), (3, 0));
        assert!(given.objects.iter().all(|object| object.origin.is_absolute()));
    }

    #[test]
    fn a_missing_file_is_an_error_and_an_empty_folder_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let given = read(&[folder.path().join("x.xml"), folder.path().to_owned()], &Sources::default());
        let found: Vec<_> = given.diagnostics.iter().map(|d| (d.code, d.is_error())).collect();
        assert_eq!(found, [("unreadable-file", true), ("no-definitions", false)]);
    }
}
