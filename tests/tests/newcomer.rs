//! What somebody does who tries Tidelock for the first time, with the example company.
#![allow(clippy::unwrap_used)]

use tidelock_tests::{Answer, Home, Value, snapshot};

/// The file has so many rows with a number, and one without.
const PEOPLE: u64 = 300;
const CONTRACTORS: u64 = 38;

/// A row in the file, by its beginning.
fn row<'a>(csv: &'a str, start: &str) -> &'a str {
    csv.split("\r\n").find(|row| row.starts_with(start)).unwrap_or_else(|| panic!("no row starts with {start}"))
}

fn employee_of<'a>(csv: &'a str, department: &str) -> &'a str {
    csv.split("\r\n")
        .find(|row| row.starts_with('E') && row.contains(&format!(",{department},")) && row.contains(",enabled,"))
        .unwrap_or_else(|| panic!("nobody is in {department}"))
}

fn number(row: &str) -> &str {
    row.split(',').next().unwrap()
}

fn person<'a>(people: &'a [Value], number: &str) -> Option<&'a Value> {
    people.iter().find(|person| person["employeeNumber"] == number)
}

fn activity<'a>(run: &'a Value, path: &str) -> &'a Value {
    let activities = run["activities"].as_array().unwrap();
    activities.iter().find(|activity| activity["path"] == path).unwrap_or_else(|| panic!("no activity {path:?} in {run:#}"))
}

fn actions(activity: &Value, object_type: &str) -> [u64; 3] {
    ["add", "modify", "delete"].map(|action| activity["actions"][object_type][action].as_u64().unwrap_or_default())
}

fn import(home: &Home) -> Answer {
    // The row without a number is a failed item, in every run.
    home.json(["run", "import.xml"]).expect_exit(1)
}

#[test]
fn the_first_import_brings_in_everybody_and_names_the_row_that_has_no_number() {
    let home = Home::with_example();
    let run = import(&home).json();
    assert_eq!(run["status"], "partial_error");
    assert_eq!(run["taskState"], "closed");
    assert_eq!(run["progress"]["success"], PEOPLE);
    assert_eq!(run["progress"]["failure"], 1);
    let import = activity(&run, "");
    assert_eq!(actions(import, "user"), [PEOPLE, 0, 0]);
    assert_eq!(import["failures"].as_array().unwrap().len(), 1);
    let message = import["failures"][0].to_string();
    assert!(message.contains("row 145"), "the failure does not say which row: {message}");

    let people = home.get("users");
    assert_eq!(people.len() as u64, PEOPLE);
    let contractors = people.iter().filter(|person| person["subtype"] == "contractor").count() as u64;
    assert_eq!(contractors, CONTRACTORS);
    let accounts = home.get("shadows");
    assert_eq!(accounts.len() as u64, PEOPLE);
    assert!(accounts.iter().all(|account| account["synchronizationSituation"] == "linked"));
    assert_eq!(accounts.iter().filter(|account| account["intent"] == "contractor").count() as u64, CONTRACTORS);
}

#[test]
fn the_mess_of_real_files_arrives_intact() {
    let home = Home::with_example();
    let _ = import(&home);
    let people = home.get("users");
    let csv = home.read("hr.csv");

    let accented = csv.split("\r\n").find(|row| row.contains(",Émile,")).unwrap();
    let emile = person(&people, number(accented)).unwrap();
    assert_eq!(emile["givenName"], "Émile");
    assert!(accented.contains(emile["familyName"].as_str().unwrap()));
    assert!(people.iter().any(|person| person["description"].as_str().is_some_and(|text| text.contains(",\nbadge"))));
    assert!(people.iter().any(|person| person["description"].as_str().is_some_and(|text| text.contains("called \""))));
    assert!(people.iter().any(|person| person["organizationalUnit"] == "Sales, EMEA"));
    assert_eq!(people.iter().filter(|p| p["givenName"] == "Jana" && p["familyName"] == "Nováková").count(), 2);
    assert!(people.iter().any(|person| person.get("title").is_none()));
    let accounts = home.get("shadows");
    assert!(accounts.iter().any(|account| account["attributes"]["phones"].as_array().is_some_and(|phones| phones.len() == 2)));
}

#[test]
fn importing_again_changes_nothing_and_says_so() {
    let home = Home::with_example();
    let _ = import(&home);
    let before = snapshot::of(&home);
    let again = import(&home).json();
    let activity = activity(&again, "");
    for object_type in ["user", "shadow"] {
        let [add, _, delete] = actions(activity, object_type);
        assert_eq!((add, delete), (0, 0), "{object_type}");
    }
    assert_eq!(actions(activity, "user"), [0, 0, 0]);
    snapshot::assert_same(&before, &snapshot::of(&home));
    let told = home.tidelock(["run", "import.xml"]).expect_exit(1);
    assert!(told.stdout.to_lowercase().contains("nothing"), "{told}");
}

#[test]
fn the_summary_for_people_has_the_figures_and_the_failure() {
    let home = Home::with_example();
    let told = home.tidelock(["run", "import.xml"]).expect_exit(1);
    assert!(told.stdout.contains("300"), "{told}");
    assert!(told.stdout.contains("row 145"), "{told}");
    assert!(!told.stdout.contains('\u{1b}'), "colours where nobody sees them: {told}");
}

#[test]
fn a_reconciliation_reflects_exactly_what_was_added_changed_and_deleted() {
    let home = Home::with_example();
    let _ = import(&home);
    let before = snapshot::of(&home);

    let csv = home.read("hr.csv");
    let moved = employee_of(&csv, "Legal").to_owned();
    let fired = employee_of(&csv, "Finance").to_owned();
    let ended = row(&csv, "X296").to_owned();
    let mut new = csv.replace(&moved, &moved.replace(",Legal,", ",Finance,"));
    for gone in [&fired, &ended] {
        new = new.replace(&format!("{gone}\r\n"), "");
    }
    new += "E9001,nnewcomer,Nina,Newcomer,nnewcomer@tidewater.example,IT,,employee,enabled,,all,Remote,,\r\n";
    home.write("hr.csv", new);

    let run = home.json(["run", "reconcile.yaml"]).expect_exit(1).json();
    assert_eq!(run["activity"], "reconciliation");
    assert_eq!(run["progress"]["failure"], 1, "{run:#}");
    assert_eq!(actions(activity(&run, "resourceObjects"), "user"), [1, 1, 0], "{run:#}");
    assert_eq!(actions(activity(&run, "remainingShadows"), "user"), [0, 1, 1], "{run:#}");

    let people = home.get("users");
    assert_eq!(people.len() as u64, PEOPLE);
    assert_eq!(person(&people, "E9001").unwrap()["name"], "nnewcomer");
    assert_eq!(person(&people, number(&moved)).unwrap()["organizationalUnit"], "Finance");
    assert_eq!(person(&people, number(&fired)).unwrap()["activation"]["administrativeStatus"], "disabled");
    assert_eq!(person(&people, number(&ended)), None);
    let accounts = home.get("shadows");
    let situation = |number: &str| {
        let account = accounts.iter().find(|account| account["primaryIdentifierValue"] == number).unwrap();
        (account["synchronizationSituation"].as_str().unwrap().to_owned(), account["dead"] == true)
    };
    assert_eq!(situation(number(&fired)), ("deleted".to_owned(), true));
    assert_eq!(situation(number(&moved)), ("linked".to_owned(), false));

    let after = snapshot::of(&home);
    let untouched = before.iter().filter(|line| after.binary_search(line).is_ok()).count();
    // Two people and one account have gone or changed with those three, their accounts too.
    assert_eq!(before.len() - untouched, 6, "more has changed than the file");

    let again = home.json(["run", "reconcile.yaml"]).expect_exit(1).json();
    for path in ["resourceObjects", "remainingShadows"] {
        assert_eq!(actions(activity(&again, path), "user"), [0, 0, 0], "{path} of the second reconciliation");
    }
    snapshot::assert_same(&after, &snapshot::of(&home));
}

#[test]
fn people_known_before_are_found_and_an_account_with_two_candidates_is_disputed() {
    let home = Home::with_example();
    let _ = home.tidelock(["apply", "users.json"]).expect_exit(0);
    let run = import(&home).json();
    assert_eq!(actions(activity(&run, ""), "user")[0], PEOPLE - 11);
    let people = home.get("users");
    assert_eq!(people.len() as u64, PEOPLE + 1);
    let known: Vec<&Value> = people.iter().filter(|p| p["name"].as_str().is_some_and(|name| name.ends_with(".legacy"))).collect();
    assert_eq!(known.len(), 10);
    assert!(known.iter().all(|person| person["employeeNumber"].is_string() && person["linkRef"].is_object()), "{known:#?}");
    let accounts = home.get("shadows");
    let disputed: Vec<&Value> = accounts.iter().filter(|account| account["synchronizationSituation"] == "disputed").collect();
    assert_eq!(disputed.len(), 1);
    assert_eq!(disputed[0]["attributes"]["login"], "isimko");
}

#[test]
fn everything_a_newcomer_asks_has_an_answer() {
    let home = Home::with_example();
    for format in ["human", "json"] {
        for arguments in [
            &["check", "import.xml", "reconcile.yaml", "users.json"][..],
            &["explain", "import.xml"],
            &["resource", "test", "import.xml"],
            &["resource", "schema", "import.xml"],
            &["resource", "search", "import.xml", "--limit", "3"],
        ] {
            let answer = home.tidelock(["--format", format].iter().chain(arguments)).expect_exit(0);
            assert!(!answer.stdout.trim().is_empty(), "{answer}");
        }
    }
    let _ = import(&home);
    for format in ["human", "json"] {
        for arguments in [
            &["get", "users"][..],
            &["get", "users", "jnovakova"],
            &["get", "users", "--query", "familyName = 'Nováková'", "--limit", "2"],
            &["get", "shadows"],
            &["get", "resources"],
            &["get", "tasks"],
            &["explain", "Import the HR file"],
            &["explain", "reconcile.yaml"],
            &["resource", "schema", "HR file"],
            &["resource", "search", "HR file", "--query", "attributes/ri:groups = 'vpn'", "--limit", "1"],
        ] {
            let answer = home.tidelock(["--format", format].iter().chain(arguments)).expect_exit(0);
            assert!(!answer.stdout.trim().is_empty(), "{answer}");
        }
    }
}
