//! Definitions as deployments write them, good and bad, with what `check` and `explain` say of each.
//!
//! Every definition in `tests/definitions` has a snapshot beside it, made to be read by people; a folder that belongs together has one
//! for all its files. `UPDATE_EXPECT=1` writes the snapshots anew.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use expect_test::expect_file;
use tidelock_tests::{Answer, Home, Value, root};

/// No definition may keep the program busy for longer.
const LONGEST: Duration = Duration::from_secs(10);

/// A secret of a definition contains this, and no output ever does.
const SECRET: &str = "s3cret";

/// The resources that the tasks refer to. They are in the repository when a task is looked at.
const BASE: &str = "base";

/// What is looked at as a whole: the folders in here.
const FOLDERS: &str = "folders";

#[test]
fn every_definition_is_answered_as_its_snapshot_says() {
    let cases = cases();
    let base = base();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hold(case, &base))) {
                        let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                        wrong.push((case.clone(), panic));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<_> = wrong.iter().map(|(case, _)| case.display().to_string()).collect();
    assert!(names.is_empty(), "{} of {} differ or fail:\n{}", names.len(), cases.len(), names.join("\n"));
}

#[test]
fn there_are_enough_definitions_in_all_three_formats() {
    let all = definition_files(&folder());
    let mut tasks = 0;
    let mut resources = 0;
    for file in &all {
        // Some are not UTF-8.
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        let has = |name: &str| ["<", ":", "\"", "\n", "\n- "].iter().any(|before| text.contains(&format!("{before}{name}")));
        tasks += usize::from(has("task"));
        resources += usize::from(has("resource ") || has("resource>") || has("resource\"") || has("resource:"));
    }
    assert!(tasks >= 60 && resources >= 20, "{tasks} files with tasks, {resources} with resources");
    for ending in ["xml", "yaml", "json"] {
        let count = all.iter().filter(|file| file.extension().is_some_and(|e| e == ending)).count();
        assert!(count >= 20, "{count} files in {ending}");
    }
}

#[test]
fn every_snapshot_belongs_to_a_definition() {
    let expected: BTreeSet<_> = cases().iter().map(|case| snapshot(case)).collect();
    let mut files = Vec::new();
    walk(&folder(), &mut files);
    let left: Vec<_> = files.into_iter().filter(|file| ends_with(file, &["snap"]) && !expected.contains(file)).collect();
    assert!(left.is_empty(), "snapshots of nothing: {left:?}");
}

/// Looks at one definition, and compares.
fn hold(case: &Path, base: &Home) {
    let text = look(case, base);
    let text = text.replace(&*root().to_string_lossy(), "…");
    expect_file![snapshot(case)].assert_eq(&text);
}

/// The answers to one definition, as text.
fn look(case: &Path, base: &Home) -> String {
    let mut text = String::new();
    let home = if case.starts_with(BASE) { Home::new() } else { copy(base) };

    let answer = tidelock(&home, &["check".as_ref(), case.as_os_str()]);
    let found = answer.json();
    let found = found.as_array().unwrap_or_else(|| panic!("no list of diagnostics: {answer}"));
    let wrong = found.iter().any(|diagnostic| diagnostic["severity"] == "error");
    assert_eq!(answer.exit, Some(if wrong { 3 } else { 0 }), "{answer}");
    for diagnostic in found {
        place(&mut text, diagnostic, case);
        text.push(' ');
        said(&mut text, diagnostic, "  ");
    }
    if found.is_empty() {
        text.push_str("no findings\n");
    }
    if folder().join(case).is_file() && holds_one_task(case) {
        let profiles = ["documented", "midpoint-4.8"];
        let [documented, midpoint] = profiles.map(|profile| explained(&home, case, profile, found));
        if documented == midpoint {
            let _ = write!(text, "\nexplain, both profiles\n{documented}");
        } else {
            let _ = write!(text, "\nexplain, documented\n{documented}\nexplain, midpoint-4.8\n{midpoint}");
        }
    }
    text
}

/// What a task would do, by one profile. Findings that `check` had are not repeated.
fn explained(home: &Home, case: &Path, profile: &str, checked: &[Value]) -> String {
    let answer = tidelock(home, &["explain".as_ref(), case.as_os_str(), "--profile".as_ref(), profile.as_ref()]);
    let explanation = answer.json();
    let mut text = String::new();
    if explanation.get("activity").is_some() {
        explained_part(&mut text, "", &explanation);
    }
    let error = &explanation["error"];
    let others = explanation["diagnostics"].as_array().into_iter().flatten().filter(|other| *other != error);
    for diagnostic in others.chain((!error.is_null()).then_some(error)) {
        let is_error = diagnostic == error;
        if !checked.contains(diagnostic) {
            text.push_str(if is_error { "  error: " } else { "  " });
            place(&mut text, diagnostic, case);
            text.push(' ');
            said(&mut text, diagnostic, "    ");
        } else if is_error {
            let _ = writeln!(text, "  error: [{}]", diagnostic["code"].as_str().unwrap());
        }
    }
    let expected: &[i32] = match error["code"].as_str() {
        None => &[0],
        Some("usage") => &[64],
        Some(_) => &[3, 4],
    };
    assert!(answer.exit.is_some_and(|exit| expected.contains(&exit)), "{answer}");
    if answer.exit == Some(4) {
        text.push_str("  exit 4\n");
    }
    text
}

fn explained_part(text: &mut String, indent: &str, part: &Value) {
    let string = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let coordinates = |value: &Value| {
        let all = ["kind", "intent", "objectclass"].map(|key| value[key].as_str());
        all.iter().any(Option::is_some).then(|| all.map(|one| one.unwrap_or("–")).join(" "))
    };
    let resource =
        string(&part["resource"]["name"]).or_else(|| string(&part["resource"]["oid"])).unwrap_or_else(|| "?".to_owned());
    let how = match (part["skipped"] == true, part["mode"].as_str()) {
        (true, _) => ", left out".to_owned(),
        (false, Some(mode)) if mode != "full" => format!(", {mode}"),
        _ => String::new(),
    };
    let _ = writeln!(text, "{indent}{} of {resource}{how}", part["activity"].as_str().unwrap());
    let object_type = &part["objectType"];
    let scope = string(&part["scope"]).map(|scope| {
        let object_type = (!object_type.is_null())
            .then(|| format!(" {}/{}", object_type["kind"].as_str().unwrap(), object_type["intent"].as_str().unwrap()));
        let class = string(&part["objectClass"]["name"]).map(|class| format!(", class {class}"));
        format!("{scope}{}{}", object_type.unwrap_or_default(), class.unwrap_or_default())
    });
    let query = string(&part["query"]).filter(|query| Some(query) != string(&part["baseQuery"]).as_ref());
    let application = string(&part["queryApplication"]).map(|application| format!(" ({application})")).unwrap_or_default();
    let ignored: Vec<_> = part["ignored"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let lines = [
        ("given", coordinates(&part["given"])),
        ("scope", scope),
        ("because", string(&part["because"])),
        ("shadows", coordinates(&part["shadows"])),
        ("older", string(&part["interval"])),
        ("cached", (part["noFetch"] == true).then(|| "as the repository knows them".to_owned())),
        ("failed", part["failedObjects"].as_object().map(|failed| Value::Object(failed.clone()).to_string())),
        ("base", string(&part["baseQuery"])),
        ("query", query.map(|query| query + &application)),
        ("paging", Some(&part["paging"]).filter(|paging| !paging.is_null()).map(ToString::to_string)),
        ("check", coordinates(&part["postFilter"])),
        ("native", string(&part["native"])),
        ("ignored", (!ignored.is_empty()).then(|| ignored.join(", "))),
    ];
    for (title, value) in lines {
        if let Some(value) = value {
            let _ = writeln!(text, "{indent}  {title:<8}{value}");
        }
    }
    for part in part["activities"].as_array().into_iter().flatten() {
        explained_part(text, &format!("{indent}  "), part);
    }
}

/// `12:5`, with the file where it is another one than the case itself.
fn place(text: &mut String, diagnostic: &Value, case: &Path) {
    if let Some(file) = diagnostic["file"].as_str()
        && Path::new(file) != case
    {
        let file = Path::new(file).strip_prefix(case).unwrap_or(Path::new(file));
        let _ = write!(text, "{}:", file.display());
    }
    match (&diagnostic["line"], &diagnostic["column"]) {
        // None at all.
        (line, _) if line.as_u64().is_none_or(|line| line == 0) => text.push('-'),
        (line, column) => {
            let _ = write!(text, "{line}:{column}");
        }
    }
}

/// `error[code] message`, and the cure on a line of its own. Every error has one, and a place.
fn said(text: &mut String, diagnostic: &Value, indent: &str) {
    let string = |key: &str| diagnostic[key].as_str().unwrap_or_default();
    let _ = writeln!(text, "{}[{}] {}", string("severity"), string("code"), string("message"));
    match string("help") {
        "" => {
            assert_ne!(diagnostic["severity"], "error", "an error without a cure: {diagnostic}");
            let _ = writeln!(text, "{indent}(no cure)");
        }
        help => {
            let _ = writeln!(text, "{indent}| {}", help.replace('\n', &format!("\n{indent}| ")));
        }
    }
}

/// Runs the program among the definitions, with a repository elsewhere, and holds what is true of every answer.
fn tidelock(home: &Home, arguments: &[&std::ffi::OsStr]) -> Answer {
    let mut all: Vec<&std::ffi::OsStr> = vec!["--format".as_ref(), "json".as_ref(), "--home".as_ref()];
    let home_path = home.path("");
    all.push(home_path.as_os_str());
    all.extend(arguments);
    let mut command = home.command(&all);
    let shown = arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let (stdout, stderr) = (home.path("stdout"), home.path("stderr"));
    let create = |path: &Path| File::create(path).unwrap();
    let mut child = command.current_dir(folder()).stdout(create(&stdout)).stderr(create(&stderr)).spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("`{shown}` takes longer than {LONGEST:?}");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let answer = Answer {
        exit: status.code(),
        stdout: fs::read_to_string(&stdout).unwrap(),
        stderr: String::from_utf8_lossy(&fs::read(&stderr).unwrap()).into_owned(),
        command: format!("tidelock {shown}"),
    };
    assert!(!answer.stderr.contains("panicked"), "{answer}");
    assert!(!answer.stdout.contains(SECRET) && !answer.stderr.contains(SECRET), "a secret is shown: {answer}");
    answer
}

/// A repository with the resources that tasks refer to.
fn base() -> Home {
    let home = Home::new();
    let answer = tidelock(&home, &["apply".as_ref(), BASE.as_ref()]);
    assert_eq!(answer.exit, Some(0), "{answer}");
    home
}

fn copy(base: &Home) -> Home {
    let home = Home::new();
    for entry in fs::read_dir(base.path("")).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().starts_with("tidelock.db") {
            fs::copy(base.path(&name), home.path(&name)).unwrap();
        }
    }
    home
}

/// The definitions, and the folders that are looked at as a whole, below the folder of definitions.
fn cases() -> Vec<PathBuf> {
    let all = folder();
    let relative = |path: PathBuf| path.strip_prefix(&all).unwrap().to_owned();
    let mut cases: Vec<_> = definition_files(&all).into_iter().map(relative).filter(|file| !file.starts_with(FOLDERS)).collect();
    cases.extend(
        fs::read_dir(all.join(FOLDERS)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).map(relative),
    );
    cases.sort();
    cases
}

/// `import.xml` has its snapshot in `import.xml.snap`.
fn snapshot(case: &Path) -> PathBuf {
    let mut path = folder().join(case).into_os_string();
    path.push(".snap");
    path.into()
}

/// `explain` is for one task at a time.
fn holds_one_task(case: &Path) -> bool {
    case.starts_with("tasks")
}

fn folder() -> PathBuf {
    root().join("tests/definitions")
}

fn definition_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.retain(|file| ends_with(file, &["xml", "yaml", "json"]));
    files
}

fn ends_with(file: &Path, endings: &[&str]) -> bool {
    file.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one))
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
    files.sort();
}
