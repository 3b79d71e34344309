//! Live synchronization over an account file, through the binary: adds, changes and deletes; tokens; what stops it, and how it goes on.
#![allow(clippy::unwrap_used)]

use std::fs;

use tidelock_tests::live::{self, Accounts, OBJECTS, account, known, people};
use tidelock_tests::{Answer, Home, Value, audit, json};

fn file(ids: &[(&str, u64)]) -> Accounts {
    ids.iter().map(|&(id, seq)| account(id, seq)).collect()
}

/// A folder where the changes of two accounts, Ann and Bob, are followed.
fn followed() -> (Home, Accounts) {
    let home = Home::new();
    let accounts = file(&[("ann", 1), ("bob", 1)]);
    live::prepare_csv(&home, &accounts);
    let _ = home.tidelock(["run", "import.xml"]).expect_exit(0);
    let _ = run(&home, &[]).expect_exit(0);
    (home, accounts)
}

fn run(home: &Home, more: &[&str]) -> Answer {
    home.json(["run", "live.xml"].iter().chain(more))
}

fn progress(run: &Value) -> [u64; 3] {
    ["success", "failure", "skip"].map(|outcome| run["progress"][outcome].as_u64().unwrap())
}

fn has_finding(run: &Value, code: &str) -> bool {
    run["diagnostics"].as_array().unwrap().iter().any(|found| found["code"] == code)
}

/// The token of the task: the text that `token show` prints.
fn token(home: &Home) -> Value {
    home.json(["token", "show", "live.xml"]).expect_exit(0).json()["token"].clone()
}

#[test]
fn the_first_run_takes_a_token_and_processes_nothing() {
    let home = Home::new();
    live::prepare_csv(&home, &file(&[("ann", 1), ("bob", 1)]));
    assert_eq!(token(&home), Value::Null);
    let first = run(&home, &[]).expect_exit(0).json();
    assert_eq!(progress(&first), [0, 0, 0]);
    assert!(has_finding(&first, "first-token"), "{first:#}");
    let moved = &first["activities"][0]["token"];
    assert_eq!(moved["before"], Value::Null);
    assert_eq!(moved["after"], token(&home));
    assert!(token(&home).is_string());
    assert_eq!(home.get("shadows"), Vec::<Value>::new());

    // What was there before it stays unseen; what comes after it does not.
    live::write(&home, &file(&[("ann", 1), ("bob", 1), ("cid", 1)]));
    let second = run(&home, &[]).expect_exit(0).json();
    assert_eq!(progress(&second), [1, 0, 0], "{second:#}");
    assert!(!has_finding(&second, "first-token"));
    assert_eq!(known(&home), file(&[("cid", 1)]));
}

#[test]
fn adds_changes_and_deletes_arrive_once() {
    let (home, mut accounts) = followed();
    audit::install(&home);
    accounts.extend([account("ann", 2), account("cid", 1)]);
    accounts.remove("bob");
    live::write(&home, &accounts);
    let changes = run(&home, &[]).expect_exit(0).json();
    assert_eq!(progress(&changes), [3, 0, 0], "{changes:#}");
    assert_eq!((&changes["activity"], &changes["taskState"]), (&json!("liveSynchronization"), &json!("closed")));
    assert_eq!((known(&home), people(&home)), (accounts.clone(), accounts));
    let notes = audit::notes(&home);
    assert_eq!(notes.values().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1], "{notes:?}");
    let again = run(&home, &[]).expect_exit(0).json();
    assert_eq!(progress(&again), [0, 0, 0]);
    assert_eq!(audit::notes(&home), notes);
    let told = home.tidelock(["run", "live.xml"]).expect_exit(0);
    assert!(told.stdout.contains("Token"), "{told}");
}

#[test]
fn dry_runs_and_previews_leave_the_token_where_it_is() {
    let (home, mut accounts) = followed();
    accounts.extend([account("ann", 2)]);
    live::write(&home, &accounts);
    let before = token(&home);
    for mode in ["dryRun", "preview"] {
        let tried = run(&home, &["--mode", mode]).expect_exit(0).json();
        assert_eq!(progress(&tried)[1], 0, "{tried:#}");
        assert_eq!(token(&home), before, "after a {mode}");
    }
    assert_eq!(people(&home)["ann"].seq, 1);

    home.write(
        "moving.xml",
        live::task("Live", "liveSynchronization", "<updateLiveSyncTokenInDryRun>true</updateLiveSyncTokenInDryRun>", OBJECTS, ""),
    );
    let _ = home.json(["run", "--mode", "dryRun", "moving.xml"]).expect_exit(0);
    assert_ne!(token(&home), before);
    // It was told to give the change up, and has.
    assert_eq!(progress(&run(&home, &[]).expect_exit(0).json()), [0, 0, 0]);
    assert_eq!(people(&home)["ann"].seq, 1);
}

#[test]
fn a_batch_is_a_part_of_the_changes_and_the_next_run_goes_on() {
    let (home, _) = followed();
    home.write("live.xml", live::task("Live", "liveSynchronization", "<batchSize>2</batchSize>", OBJECTS, ""));
    let accounts = file(&[("ann", 2), ("bob", 2), ("cid", 1), ("dan", 1), ("eve", 1)]);
    live::write(&home, &accounts);
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(progress(&run(&home, &[]).expect_exit(0).json())[0]);
    }
    assert_eq!(taken, [2, 2, 1, 0]);
    assert_eq!(known(&home), accounts);
}

#[test]
fn without_its_baseline_the_task_stops_and_says_that_a_reconciliation_is_needed() {
    let (home, mut accounts) = followed();
    accounts.extend([account("cid", 1)]);
    live::write(&home, &accounts);
    fs::remove_dir_all(home.path("tidelock.state")).unwrap();
    for _ in 0..2 {
        let stopped = run(&home, &[]).expect_exit(2).json();
        assert_eq!(stopped["error"]["code"], "token-expired", "{stopped:#}");
        let help = stopped["error"]["help"].as_str().unwrap();
        assert!(help.contains("reconciliation") && help.contains("tidelock token reset"), "{help}");
        assert_eq!((&stopped["taskState"], &stopped["runStatus"]), (&json!("suspended"), &json!("permanent_error")));
    }
    // The cure: a new position, then everything up to it.
    let reset = home.json(["token", "reset", "live.xml"]).expect_exit(0).json();
    assert_eq!((&reset["token"], &reset["history"]), (&Value::Null, &json!([])));
    let first = run(&home, &[]).expect_exit(0).json();
    assert!(has_finding(&first, "first-token"), "{first:#}");
    let _ = home.json(["run", "reconcile.xml"]).expect_exit(0);
    assert_eq!(people(&home), accounts);
    accounts.extend([account("ann", 2)]);
    live::write(&home, &accounts);
    assert_eq!(progress(&run(&home, &[]).expect_exit(0).json()), [1, 0, 0]);
    assert_eq!(people(&home), accounts);
}

#[test]
fn a_token_can_be_shown_and_set_back() {
    let (home, mut accounts) = followed();
    let first = token(&home);
    accounts.extend([account("ann", 2)]);
    live::write(&home, &accounts);
    let _ = run(&home, &[]).expect_exit(0);
    let shown = home.json(["token", "show", "live.xml"]).expect_exit(0).json();
    assert_eq!(shown["task"]["name"], "Live");
    assert_eq!(shown["resource"], json!({ "oid": live::RESOURCE, "name": "Accounts" }));
    assert!(shown["objectSet"].is_string() && shown["storedAt"].is_string(), "{shown:#}");
    assert_ne!(shown["token"], first);
    assert_eq!(shown["history"][0]["token"], first, "{shown:#}");

    let set = home.json(["token", "set", "live.xml", first.as_str().unwrap()]).expect_exit(0).json();
    assert_eq!(set["token"], first);
    // The same change again; it changes nobody.
    let again = run(&home, &[]).expect_exit(0).json();
    assert_eq!(progress(&again), [1, 0, 0], "{again:#}");
    assert_eq!(people(&home), accounts);
    let shown = home.json(["token", "show", "live.xml"]).expect_exit(0).json();
    let _ = home.json(["token", "set", "live.xml", "--previous"]).expect_exit(0);
    assert_eq!(token(&home), shown["history"][0]["token"]);

    // One that the resource never gave.
    let _ = home.json(["token", "set", "live.xml", "nobody's"]).expect_exit(0);
    let stopped = run(&home, &[]).expect_exit(2).json();
    assert_eq!(stopped["error"]["code"], "token-expired", "{stopped:#}");
    for format in ["human", "json"] {
        let answer = home.tidelock(["--format", format, "token", "show", "Live"]).expect_exit(0);
        assert!(answer.stdout.contains("nobody's"), "{answer}");
    }
    for (arguments, exit, code) in [
        (&["token", "show", "import.xml"][..], 3, "no-token"),
        (&["token", "reset", "import.xml"], 3, "no-token"),
        (&["token", "set", "live.xml", "base64:!"], 64, "usage"),
        (&["token", "show", "no-such-task"], 64, "usage"),
    ] {
        let answer = home.json(arguments).expect_exit(exit);
        assert_eq!(answer.json()["error"]["code"], code, "{answer}");
    }
}

#[test]
fn a_token_is_not_lost_where_the_object_set_is_written_out() {
    let home = Home::new();
    let mut accounts = file(&[("ann", 1), ("bob", 1)]);
    live::prepare_csv(&home, &accounts);
    let _ = home.tidelock(["run", "import.xml"]).expect_exit(0);
    let live = |objects: &str| home.write("live.xml", live::task("Live", "liveSynchronization", "", objects, ""));
    let kind = "<kind>account</kind>";
    live(kind);
    let first = run(&home, &[]).expect_exit(0).json();
    assert!(has_finding(&first, "kind-without-intent"), "which advises to name the intent: {first:#}");
    let before = token(&home);
    accounts.extend([account("ann", 2)]);
    live::write(&home, &accounts);
    live(OBJECTS);
    assert_eq!(token(&home), before);
    let changes = run(&home, &[]).expect_exit(0).json();
    assert_eq!((progress(&changes), &changes["activities"][0]["token"]["before"]), ([1, 0, 0], &before), "{changes:#}");
    assert_eq!(people(&home), accounts);

    // A reset is of this set alone, and lasts.
    let _ = home.tidelock(["token", "reset", "live.xml"]).expect_exit(0);
    assert_eq!(token(&home), Value::Null);
    live(kind);
    assert_eq!(token(&home), before);
    // All accounts are more than those of the kind, as far as anybody knows.
    live("<objectclass>ri:AccountObjectClass</objectclass>");
    let larger = run(&home, &[]).expect_exit(0).json();
    assert!(has_finding(&larger, "first-token") && has_finding(&larger, "other-tokens"), "{larger:#}");
}

/// Two accounts that want the same name: the second cannot have it.
#[test]
fn a_failing_change_stops_the_run_and_the_token_stays_before_it() {
    let (home, mut accounts) = followed();
    let before = token(&home);
    accounts.extend([account("cid", 1), account("dan", 1), account("eve", 1)]);
    accounts.get_mut("dan").unwrap().login = "ann".to_owned();
    live::write(&home, &accounts);
    let stopped = run(&home, &[]).expect_exit(2).json();
    assert_eq!(stopped["error"]["code"], "stopped-by-failure", "{stopped:#}");
    assert_eq!(progress(&stopped), [1, 1, 0], "{stopped:#}");
    let failure = &stopped["activities"][0]["failures"][0];
    assert!(failure["object"].as_str().unwrap().contains("dan"), "{failure:#}");
    let at_the_failure = token(&home);
    assert_ne!(at_the_failure, before);
    assert!(!people(&home).contains_key("eve"));

    // The same again, until somebody does something.
    let stopped = run(&home, &[]).expect_exit(2).json();
    assert_eq!(progress(&stopped), [0, 1, 0], "{stopped:#}");
    assert_eq!(token(&home), at_the_failure);
    accounts.get_mut("dan").unwrap().login = "dan".to_owned();
    live::write(&home, &accounts);
    let cured = run(&home, &[]).expect_exit(0).json();
    assert_eq!(progress(&cured), [2, 0, 0], "{cured:#}");
    assert_eq!(people(&home), accounts);
}

#[test]
fn a_change_that_is_to_be_retried_later_does_not_hold_up_the_others() {
    let (home, mut accounts) = followed();
    let handling = |interval: &str| {
        format!(
            "<controlFlow><errorHandling><entry><reaction><retryLater><initialInterval>{interval}</initialInterval>\
             <nextInterval>PT0.001S</nextInterval><retryLimit>3</retryLimit></retryLater></reaction></entry></errorHandling></controlFlow>"
        )
    };
    home.write("live.xml", live::task("Live", "liveSynchronization", "", OBJECTS, &handling("PT0.001S")));
    home.write("scan.xml", live::task("Scan", "triggerScan", "", "", ""));
    accounts.extend([account("cid", 1), account("dan", 1)]);
    accounts.get_mut("cid").unwrap().login = "ann".to_owned();
    live::write(&home, &accounts);
    let went_on = run(&home, &[]).expect_exit(1).json();
    assert_eq!(progress(&went_on), [1, 1, 0], "{went_on:#}");
    assert_eq!(progress(&run(&home, &[]).expect_exit(0).json()), [0, 0, 0]);

    // Still wrong: the first retry fails, and another is to follow.
    let scan = home.json(["run", "scan.xml"]).expect_exit(1).json();
    assert_eq!(progress(&scan), [0, 1, 0], "{scan:#}");
    accounts.get_mut("cid").unwrap().login = "cid".to_owned();
    live::write(&home, &accounts);
    let scan = home.json(["run", "scan.xml"]).expect_exit(0).json();
    assert_eq!(progress(&scan), [1, 0, 0], "{scan:#}");
    assert_eq!(people(&home), accounts);
    assert_eq!(progress(&home.json(["run", "scan.xml"]).expect_exit(0).json()), [0, 0, 0]);
}

#[test]
fn a_resource_says_that_it_can_synchronize_live() {
    let home = Home::new();
    live::prepare_csv(&home, &file(&[("ann", 1)]));
    let tested = home.json(["resource", "test", "Accounts"]).expect_exit(0).json();
    assert_eq!(tested["capabilities"]["liveSync"], true, "{tested:#}");
    assert_eq!(tested["capabilities"]["asyncUpdate"], false);
    assert!(!home.path("tidelock.state").exists(), "a folder for state that nobody needed");
}
