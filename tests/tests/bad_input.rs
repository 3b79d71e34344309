//! Input that is wrong, and what it gets: one clear diagnostic with place, code and cure, the exit status of the contract, and a
//! repository that holds what it held before.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use tidelock_tests::{Answer, Home, Value, accounts, snapshot};

/// Runs the import over wrong definitions or data, before and after a good import, and returns the diagnostic.
///
/// In both cases the repository must hold afterwards what it held before.
fn refused(exit: i32, spoil: impl Fn(&Home)) -> Value {
    let fresh = Home::with_example();
    spoil(&fresh);
    let error = diagnostic(&fresh.json(["run", "import.xml"]).expect_exit(exit));
    for object_type in ["users", "shadows"] {
        assert_eq!(fresh.get(object_type).len(), 0, "{object_type} half-stored");
    }
    if exit == 3 && error["code"] != "resource-configuration" {
        assert_eq!(fresh.get("resources").len() + fresh.get("tasks").len(), 0, "definitions stored although one is wrong");
    }

    let used = Home::with_example();
    let _ = used.json(["run", "import.xml"]).expect_exit(1);
    let before = snapshot::of(&used);
    let definitions = [used.get("resources"), used.get("tasks")];
    spoil(&used);
    let again = diagnostic(&used.json(["run", "import.xml"]).expect_exit(exit));
    assert_eq!(again["code"], error["code"]);
    snapshot::assert_same(&before, &snapshot::of(&used));
    if exit == 3 && error["code"] != "resource-configuration" {
        assert_eq!(definitions, [used.get("resources"), used.get("tasks")], "definitions stored although one is wrong");
    }
    error
}

/// The error of a run that was refused: with a message and a cure.
fn diagnostic(answer: &Answer) -> Value {
    let error = answer.json()["error"].clone();
    assert_eq!(error["severity"], "error", "{answer}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{answer}");
    assert!(error["help"].as_str().is_some_and(|help| !help.is_empty()), "no cure: {answer}");
    error
}

/// Fails unless the diagnostic is about the line of `import.xml` that has `marker`, and the column lies within it.
fn assert_place(error: &Value, home: &Home, marker: &str) {
    let text = home.read("import.xml");
    let (number, line) = text.lines().enumerate().find(|(_, line)| line.contains(marker)).unwrap();
    assert!(error["file"].as_str().is_some_and(|file| file.ends_with("import.xml")), "{error:#}");
    assert_eq!(error["line"], number + 1, "{error:#}");
    let column = error["column"].as_u64().unwrap();
    assert!((1..=line.chars().count() as u64 + 1).contains(&column), "{error:#}");
}

/// A definition with one text replaced: what it gets, and where the error is said to be.
fn check_definition(old: &str, new: &str, code: &str, marker: &str) {
    let spoil = |home: &Home| home.edit("import.xml", old, new);
    let error = refused(3, spoil);
    assert_eq!(error["code"], code, "{error:#}");
    let spoiled = Home::with_example();
    spoil(&spoiled);
    assert_place(&error, &spoiled, marker);
    // `check` finds the same without running anything.
    let found = spoiled.json(["check", "import.xml"]).expect_exit(3).json();
    assert!(found.as_array().unwrap().iter().any(|found| found["code"] == code && found["line"] == error["line"]), "{found:#}");
}

const OBJECT_CLASS: &str = "<objectclass>ri:AccountObjectClass</objectclass>";
const RESOURCE_REF: &str = "<resourceRef oid=\"5f0a1f1e-52c8-4b7c-9d6e-3a1d0c7b8e01\"";

#[test]
fn a_file_that_is_not_xml() {
    let error = refused(3, |home| home.write("import.xml", "This is no definition at all.\n"));
    assert_eq!((&error["code"], &error["line"]), (&Value::from("syntax"), &Value::from(1)));
}

#[test]
fn an_empty_file() {
    let error = refused(3, |home| home.write("import.xml", ""));
    assert_eq!(error["code"], "syntax");
}

#[test]
fn a_file_that_breaks_off() {
    let error = refused(3, |home| {
        let text = home.read("import.xml");
        home.write("import.xml", &text[..text.len() / 2]);
    });
    assert_eq!(error["code"], "syntax");
}

#[test]
fn an_element_closed_by_another_name() {
    check_definition("<name>HR file</name>", "<name>HR file</nam>", "syntax", "HR file</nam>");
}

#[test]
fn a_document_type() {
    let error = refused(3, |home| {
        home.edit("import.xml", "?>\n", "?>\n<!DOCTYPE objects [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>\n");
    });
    assert_eq!((&error["code"], &error["line"]), (&Value::from("syntax"), &Value::from(2)));
}

#[test]
fn a_prefix_that_nobody_declared() {
    check_definition(OBJECT_CLASS, "<objectclass>rx:AccountObjectClass</objectclass>", "undeclared-prefix", "rx:");
}

#[test]
fn two_kinds_of_work() {
    check_definition("<import>", "<reconciliation/>\n<import>", "ambiguous-work", "<import>");
}

#[test]
fn two_work_elements() {
    let error = refused(3, |home| home.edit("import.xml", "<work>", "<work><import/></work>\n<work>"));
    assert!(error["line"].is_u64(), "{error:#}");
}

#[test]
fn a_resource_that_nobody_knows() {
    check_definition(RESOURCE_REF, "<resourceRef oid=\"00000000-dead-4000-8000-000000000000\"", "unknown-resource", "dead-4000");
}

#[test]
fn no_resource_at_all() {
    let error = refused(3, |home| home.edit("import.xml", RESOURCE_REF, "<resourceRef"));
    assert_eq!(error["code"], "no-resource");
}

#[test]
fn an_object_class_that_the_resource_lacks() {
    let error = refused(3, |home| home.edit("import.xml", OBJECT_CLASS, "<objectclass>ri:AcountObjectClass</objectclass>"));
    assert_eq!(error["code"], "unknown-object-class");
    assert!(error["help"].as_str().unwrap().contains("AccountObjectClass"), "{error:#}");
}

#[test]
fn a_kind_that_does_not_exist() {
    let error = refused(3, |home| home.edit("import.xml", OBJECT_CLASS, "<kind>acount</kind>"));
    assert!(error["help"].as_str().unwrap().contains("account"), "{error:#}");
}

#[test]
fn an_object_type_that_the_resource_lacks() {
    let error = refused(3, |home| home.edit("import.xml", OBJECT_CLASS, "<kind>account</kind><intent>contractors</intent>"));
    assert_eq!(error["code"], "unknown-object-type");
}

#[test]
fn a_script() {
    let error = refused(3, |home| {
        home.edit("import.xml", "<value>contractor</value>", "<script><code>basic.norm(input)</code></script>");
    });
    assert_eq!(error["code"], "unsupported-script-language");
}

#[test]
fn a_filter_that_does_not_parse() {
    check_definition("employment = \"contractor\"", "employment = \"contractor\" nad", "query-syntax", "nad");
}

#[test]
fn a_file_without_the_unique_column() {
    let error = refused(3, |home| home.edit("hr.csv", "number,login", "nr,login"));
    assert!(error["message"].as_str().unwrap().contains("number"), "{error:#}");
}

#[test]
fn a_file_that_is_not_there_may_be_there_later() {
    let error = refused(4, |home| fs::remove_file(home.path("hr.csv")).unwrap());
    assert!(error["message"].as_str().unwrap().contains("hr.csv"), "{error:#}");
}

#[test]
fn a_folder_in_place_of_the_file() {
    let error = refused(3, |home| {
        fs::remove_file(home.path("hr.csv")).unwrap();
        fs::create_dir(home.path("hr.csv")).unwrap();
    });
    assert!(error["message"].as_str().unwrap().contains("hr.csv"), "{error:#}");
}

/// Permissions stop nobody who is root, as tests in a container are; a file that fails on being read stops everybody.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read() {
    let home = Home::with_example();
    home.edit("import.xml", "<csv:filePath>hr.csv<", "<csv:filePath>/proc/self/mem<");
    let answer = home.json(["run", "import.xml"]);
    assert!(matches!(answer.exit, Some(2..=4)), "{answer}");
    let error = diagnostic(&answer);
    assert!(error["message"].as_str().unwrap().contains("/proc/self/mem"), "{error:#}");
    assert_eq!(home.get("users").len(), 0);
}

#[test]
fn an_empty_file_deletes_nobody() {
    let home = Home::with_example();
    let _ = home.json(["run", "import.xml"]).expect_exit(1);
    let before = snapshot::of(&home);
    let header = home.read("hr.csv").lines().next().unwrap().to_owned();
    for content in [String::new(), format!("{header}\n")] {
        home.write("hr.csv", content);
        let answer = home.json(["run", "reconcile.yaml"]);
        assert!(!matches!(answer.exit, Some(0 | 1)), "{answer}");
        snapshot::assert_same(&before, &snapshot::of(&home));
    }
}

/// Runs the import over a file with bad rows: `failures` of them are reported by their row, everybody else comes in.
fn check_rows(spoil: impl Fn(String) -> Vec<u8>, failures: &[&str], people: usize) {
    let home = Home::with_example();
    home.write("hr.csv", spoil(home.read("hr.csv")));
    let run = home.json(["run", "import.xml"]).expect_exit(1).json();
    assert_eq!(run["progress"]["failure"], failures.len(), "{run:#}");
    let told = run["activities"][0]["failures"].as_array().unwrap();
    for failure in failures {
        assert!(told.iter().any(|told| told.to_string().contains(failure)), "nothing is said of {failure}: {told:#?}");
    }
    assert_eq!(home.get("users").len(), people);
    assert_eq!(home.get("shadows").len(), people);
}

/// Row 2 is the first below the header.
fn with_row_2(csv: &str, change: impl Fn(&str) -> String) -> String {
    let (header, rest) = csv.split_once("\r\n").unwrap();
    let (first, rest) = rest.split_once("\r\n").unwrap();
    format!("{header}\r\n{}\r\n{rest}", change(first))
}

#[test]
fn a_row_that_is_too_short_is_one_failure() {
    check_rows(|csv| with_row_2(&csv, |row| row.rsplit_once(',').unwrap().0.to_owned()).into_bytes(), &["row 2", "row 145"], 299);
}

#[test]
fn a_row_that_is_too_long_is_one_failure() {
    check_rows(|csv| with_row_2(&csv, |row| format!("{row},more")).into_bytes(), &["row 2", "row 145"], 299);
}

#[test]
fn a_row_with_bytes_that_are_no_text_is_one_failure() {
    check_rows(
        |csv| {
            let spoiled = with_row_2(&csv, |row| format!("{}%", row.rsplit_once(',').unwrap().0.to_owned() + ","));
            let mut bytes = spoiled.into_bytes();
            let at = bytes.iter().position(|byte| *byte == b'%').unwrap();
            bytes[at] = 0xff;
            bytes
        },
        &["row 2", "row 145"],
        299,
    );
}

#[test]
fn a_second_row_of_one_identifier_is_one_failure() {
    let twice = |row: &str| format!("{row}\r\n{}", row.replace(",enabled,", ",disabled,"));
    check_rows(|csv| with_row_2(&csv, twice).into_bytes(), &["row 3", "row 146"], 300);
}

#[test]
fn attribute_values_stay_out_of_what_is_said_about_bad_rows() {
    let home = Home::with_example();
    let csv = home.read("hr.csv");
    home.write("hr.csv", with_row_2(&csv, |_| "E5,SECRET".to_owned()));
    let answer = home.json(["-vv", "run", "import.xml"]).expect_exit(1);
    assert!(!answer.stdout.contains("SECRET") && !answer.stderr.contains("SECRET"), "{answer}");
}

/// A repository file that must not be used: the run is refused, and not a byte of the file changes.
fn check_repository(exit: i32, code: &str, spoil: impl Fn(&Home)) {
    let home = Home::with_example();
    let _ = home.json(["run", "import.xml"]).expect_exit(1);
    spoil(&home);
    let before = fs::read(home.path("tidelock.db")).unwrap();
    for arguments in [&["run", "import.xml"][..], &["apply", "import.xml"], &["get", "users"]] {
        let answer = home.json(arguments).expect_exit(exit);
        let error = diagnostic(&answer);
        assert_eq!(error["code"], code, "{answer}");
        assert!(error["file"].as_str().is_some_and(|file| file.ends_with("tidelock.db")), "{answer}");
        assert!(before == fs::read(home.path("tidelock.db")).unwrap(), "{answer} changed the file");
    }
}

/// Changes something in the database's header, and leaves everything in the one file.
fn with_header(home: &Home, pragma: &str) {
    let database = rusqlite::Connection::open(home.path("tidelock.db")).unwrap();
    database.execute_batch(&format!("PRAGMA {pragma}; PRAGMA journal_mode = DELETE;")).unwrap();
}

#[test]
fn a_repository_file_that_is_no_database() {
    check_repository(2, "repository-not-ours", |home| {
        with_header(home, "user_version");
        home.write("tidelock.db", "Dear diary,\n".repeat(1000));
    });
}

#[test]
fn a_database_of_another_program() {
    check_repository(2, "repository-not-ours", |home| with_header(home, "application_id = 4711"));
}

#[test]
fn a_database_of_a_newer_version() {
    check_repository(2, "repository-newer", |home| with_header(home, "user_version = 30000"));
}

#[test]
fn a_repository_that_another_run_is_using() {
    let home = Home::new();
    accounts::prepare(&home, 20_000);
    let mut first = Running(home.start(["run", "import.xml"]));
    let deadline = Instant::now() + Duration::from_secs(60);
    while home.json(["get", "shadows", "--limit", "1"]).json() == Value::Array(Vec::new()) {
        assert!(Instant::now() < deadline, "the first run does not get going");
    }
    let answer = home.json(["run", "import.xml"]).expect_exit(4);
    assert_eq!(diagnostic(&answer)["code"], "repository-locked");
    assert!(first.0.try_wait().unwrap().is_none(), "the first run was over before the second began: this test showed nothing");
}

/// A child that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
