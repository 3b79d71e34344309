//! The JSON documents, codes and exit statuses that scripts rely on: names and types of keys, not values.
#![allow(clippy::unwrap_used)]

use tidelock_tests::{Home, Value, json};

/// Fails unless `value` has the shape: an object has at least these members, a list's elements all have the shape of its one element,
/// and a text names a type (`text`, `number`, `flag`, `text?` …).
fn check(value: &Value, shape: &Value, path: &str) {
    match shape {
        Value::Object(members) => {
            assert!(value.is_object(), "{path} is no object: {value}");
            for (key, shape) in members {
                let member = value.get(key).unwrap_or_else(|| panic!("{path} has no {key}: {value:#}"));
                check(member, shape, &format!("{path}.{key}"));
            }
        }
        Value::Array(shapes) => {
            let elements = value.as_array().unwrap_or_else(|| panic!("{path} is no list: {value}"));
            for (nth, element) in elements.iter().enumerate() {
                check(element, &shapes[0], &format!("{path}[{nth}]"));
            }
        }
        Value::String(name) => {
            let (name, optional) = name.strip_suffix('?').map_or((name.as_str(), false), |name| (name, true));
            let fits = match name {
                "text" => value.is_string(),
                "whole" => value.is_u64(),
                "number" => value.is_number(),
                "flag" => value.is_boolean(),
                "object" => value.is_object(),
                _ => panic!("{name} is no shape"),
            };
            assert!(fits || (optional && value.is_null()), "{path} is not a {name}: {value}");
        }
        shape => panic!("{shape} is no shape"),
    }
}

fn diagnostic() -> Value {
    json!({ "severity": "text", "code": "text", "message": "text", "file": "text?", "line": "whole?", "column": "whole?", "help": "text?" })
}

fn progress() -> Value {
    json!({ "success": "whole", "failure": "whole", "skip": "whole" })
}

fn run_document() -> Value {
    json!({
        "task": { "oid": "text", "name": "text" }, "activity": "text", "mode": "text",
        "status": "text", "runStatus": "text", "taskState": "text", "progress": progress(),
        "activities": [{
            "path": "text", "status": "text", "progress": progress(),
            "transitions": [{
                "onProcessingStart": "text?", "onSynchronizationStart": "text?", "onSynchronizationEnd": "text?",
                "exclusion": "text?", "success": "whole", "failure": "whole", "skip": "whole",
            }],
            "actions": {
                "user": { "add": "whole", "modify": "whole", "delete": "whole" },
                "shadow": { "add": "whole", "modify": "whole", "delete": "whole" },
            },
            "failures": [{ "object": "text?", "category": "text", "message": "text" }],
            "token": "object?", "seconds": "number", "objectsPerSecond": "number",
        }],
    })
}

fn explain_document() -> Value {
    json!({
        "activity": "text", "profile": "text",
        "resource": { "oid": "text", "name": "text" },
        "given": { "kind": "text?", "intent": "text?", "objectclass": "text?" },
        "scope": "text", "objectType": "object?", "objectClass": { "namespace": "text", "name": "text" },
        "baseQuery": "text?", "query": "text?", "queryApplication": "text?", "paging": "object?",
        "postFilter": { "kind": "text?", "intent": "text?", "objectclass": "text?" },
        "native": "text?", "ignored": [json!("text")], "diagnostics": [diagnostic()], "error": "object?",
    })
}

#[test]
fn check_prints_a_list_of_diagnostics() {
    let home = Home::with_example();
    let good = home.json(["check", "import.xml", "reconcile.yaml"]).expect_exit(0).json();
    check(&good, &json!([diagnostic()]), "check");
    assert!(good.as_array().unwrap().iter().all(|found| found["severity"] != "error"), "{good:#}");

    home.edit("import.xml", "<objectclass>ri:AccountObjectClass</objectclass>", "<intent>default</intent>");
    let bad = home.json(["check", "import.xml"]).expect_exit(3).json();
    check(&bad, &json!([diagnostic()]), "check");
    let error = bad.as_array().unwrap().iter().find(|found| found["severity"] == "error").unwrap();
    assert_eq!(error["code"], "intent-without-kind");
    assert!(error["file"].as_str().unwrap().ends_with("import.xml"));
    assert!(error["help"].is_string(), "no cure: {error:#}");
}

#[test]
fn run_prints_its_report() {
    let home = Home::with_example();
    let run = home.json(["run", "import.xml"]).expect_exit(1).json();
    check(&run, &run_document(), "run");
    assert_eq!(run["activity"], "import");
    assert_eq!((&run["mode"], &run["runStatus"], &run["taskState"]), (&json!("full"), &json!("finished"), &json!("closed")));
    let activities = run["activities"].as_array().unwrap();
    assert_eq!(activities.len(), 1);
    assert_eq!(activities[0]["path"], "");
    assert!(activities[0]["token"].is_null());
    let transition = &activities[0]["transitions"][0];
    assert!(!transition.is_null(), "no transitions");

    let run = home.json(["run", "reconcile.yaml"]).expect_exit(1).json();
    check(&run, &run_document(), "run");
    let paths: Vec<&str> =
        run["activities"].as_array().unwrap().iter().map(|activity| activity["path"].as_str().unwrap()).collect();
    for path in ["operationCompletion", "resourceObjects", "remainingShadows"] {
        assert!(paths.contains(&path), "{path} is missing: {paths:?}");
    }
}

#[test]
fn a_dry_run_decides_and_changes_nobody() {
    let home = Home::with_example();
    let run = home.json(["run", "--mode", "dryRun", "import.xml"]).expect_exit(1).json();
    assert_eq!(run["mode"], "dryRun");
    assert_eq!(home.get("users").len(), 0);
}

#[test]
fn explain_prints_the_object_set() {
    let home = Home::with_example();
    let import = home.json(["explain", "import.xml"]).expect_exit(0).json();
    check(&import, &explain_document(), "explain");
    assert_eq!((&import["scope"], &import["given"]["objectclass"]), (&json!("class"), &json!("AccountObjectClass")));
    assert_eq!(import["objectClass"]["name"], "AccountObjectClass");
    assert_eq!(import["error"], Value::Null);

    let reconciliation = home.json(["explain", "reconcile.yaml"]).expect_exit(0).json();
    // Some parts are about the whole resource: those have no class.
    let mut part = explain_document();
    part["objectClass"] = json!("object?");
    check(&reconciliation, &json!({ "activities": [part] }), "explain");
    assert!(reconciliation["activities"].as_array().unwrap().len() > 1);
}

#[test]
fn explain_of_a_type_shows_its_delineation_and_the_second_check() {
    let home = Home::with_example();
    home.edit(
        "import.xml",
        "<objectclass>ri:AccountObjectClass</objectclass>",
        "<kind>account</kind><intent>contractor</intent>",
    );
    let explained = home.json(["explain", "import.xml"]).expect_exit(0).json();
    check(&explained, &explain_document(), "explain");
    assert_eq!(explained["scope"], "type");
    assert_eq!(explained["objectType"], json!({ "kind": "account", "intent": "contractor" }));
    assert_eq!(explained["postFilter"], json!({ "kind": "account", "intent": "contractor", "objectclass": null }));
    let run = home.json(["run", "import.xml"]).expect_exit(1).json();
    assert_eq!(run["progress"]["success"], 38);
}

#[test]
fn explain_of_a_wrong_set_holds_the_diagnostic() {
    let home = Home::with_example();
    home.edit("import.xml", "<objectclass>ri:AccountObjectClass</objectclass>", "");
    let explained = home.json(["explain", "import.xml"]).expect_exit(3).json();
    check(&explained["error"], &diagnostic(), "error");
    assert_eq!(explained["error"]["code"], "no-object-class");
}

#[test]
fn get_prints_objects_with_their_oid_and_type_first() {
    let home = Home::with_example();
    let _ = home.json(["run", "import.xml"]).expect_exit(1);
    for (object_type, type_name) in
        [("users", "UserType"), ("shadows", "ShadowType"), ("resources", "ResourceType"), ("tasks", "TaskType")]
    {
        let objects = Value::Array(home.get(object_type));
        check(&objects, &json!([{ "oid": "text", "type": "text", "name": "text" }]), object_type);
        assert!(objects.as_array().unwrap().iter().all(|object| object["type"] == type_name), "{object_type}");
        let oid = objects[0]["oid"].as_str().unwrap();
        let one = home.json(["get", object_type, oid]).expect_exit(0).json();
        assert_eq!(one.as_array().unwrap().len(), 1);
        assert_eq!(one[0], objects[0]);
    }
    let found = home.json(["get", "users", "--query", "familyName = 'Nováková' and givenName = 'Jana'"]).expect_exit(0).json();
    assert_eq!(found.as_array().unwrap().len(), 2);
    let two = home.json(["get", "shadows", "--limit", "2"]).expect_exit(0).json();
    assert_eq!(two.as_array().unwrap().len(), 2);
    assert_eq!(home.json(["get", "roles"]).expect_exit(0).json(), json!([]));
    let shadow = &home.get("shadows")[0];
    check(
        shadow,
        &json!({
            "resourceRef": { "oid": "text" }, "objectClass": "text", "primaryIdentifierValue": "text", "kind": "text", "intent": "text",
            "attributes": "object", "synchronizationSituation": "text", "synchronizationTimestamp": "text",
            "fullSynchronizationTimestamp": "text",
        }),
        "shadow",
    );
}

/// The row without a number is no object, and the search says that it could not read everything.
#[test]
fn resource_search_prints_objects_as_they_are_on_the_resource() {
    let home = Home::with_example();
    let found = home.json(["resource", "search", "import.xml", "--query", "attributes/ri:number = 'X296'"]).expect_exit(1).json();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found:#}");
    check(&found, &json!([{ "type": "text", "attributes": "object" }]), "search");
    assert_eq!(found[0]["attributes"]["number"], "X296");
}

#[test]
fn apply_says_what_became_of_each_object() {
    let home = Home::with_example();
    let told = home.tidelock(["apply", "import.xml", "users.json"]).expect_exit(0);
    assert!(told.stdout.contains("created"), "{told}");
    let told = home.tidelock(["apply", "import.xml", "users.json"]).expect_exit(0);
    assert!(told.stdout.contains("unchanged") && !told.stdout.contains("created"), "{told}");
    home.edit("users.json", "\"givenName\": \"Lukáš\"", "\"givenName\": \"Lukas\"");
    let told = home.tidelock(["apply", "users.json"]).expect_exit(0);
    assert!(told.stdout.contains("updated"), "{told}");
}

#[test]
fn apply_stores_all_or_nothing() {
    let home = Home::with_example();
    home.write(
        "wrong.xml",
        "<task xmlns=\"http://midpoint.evolveum.com/xml/ns/public/common/common-3\"><name>t</name><activity/></task>",
    );
    let answer = home.json(["apply", "users.json", "wrong.xml"]).expect_exit(3);
    check(&answer.json(), &json!({ "error": diagnostic(), "diagnostics": [diagnostic()] }), "apply");
    assert_eq!(home.get("users").len(), 0);
}

#[test]
fn a_task_is_found_by_file_by_oid_and_by_name() {
    let home = Home::with_example();
    let _ = home.tidelock(["apply", "import.xml"]).expect_exit(0);
    for task in ["import.xml", "5f0a1f1e-52c8-4b7c-9d6e-3a1d0c7b8e02", "Import the HR file"] {
        let run = home.json(["run", task]).expect_exit(1).json();
        assert_eq!(run["task"], json!({ "oid": "5f0a1f1e-52c8-4b7c-9d6e-3a1d0c7b8e02", "name": "Import the HR file" }));
    }
}

fn token_document() -> Value {
    json!({
        "task": { "oid": "text", "name": "text" }, "resource": { "oid": "text", "name": "text" }, "objectSet": "text",
        "token": "text?", "storedAt": "text?", "history": [{ "token": "text", "storedAt": "text" }],
    })
}

#[test]
fn token_shows_sets_and_resets_how_far_a_live_synchronization_is() {
    let home = Home::with_example();
    let _ = home.json(["run", "import.xml"]).expect_exit(1);
    let task = home.read("reconcile.yaml").replace("reconciliation:", "liveSynchronization:").replace("b8e03", "b8e09");
    home.write("live.yaml", task.replace("name: Reconcile", "name: Follow"));
    let before = home.json(["token", "show", "live.yaml"]).expect_exit(0).json();
    check(&before, &token_document(), "token");
    assert_eq!((&before["token"], &before["storedAt"], &before["history"]), (&Value::Null, &Value::Null, &json!([])));
    let run = home.json(["run", "live.yaml"]).expect_exit(0).json();
    check(&run, &run_document(), "run");
    check(&run["activities"][0]["token"], &json!({ "before": "text?", "after": "text" }), "token of a run");
    for arguments in [&["show", "live.yaml"][..], &["set", "live.yaml", "17"], &["set", "live.yaml", "base64:AAE="]] {
        let shown = home.json(["token"].iter().chain(arguments)).expect_exit(0).json();
        check(&shown, &token_document(), "token");
        assert!(shown["token"].is_string() && shown["storedAt"].is_string(), "{shown:#}");
    }
    let shown = home.json(["token", "show", "live.yaml"]).expect_exit(0).json();
    assert_eq!((&shown["token"], &shown["history"][0]["token"]), (&json!("base64:AAE="), &json!("17")));
    let reset = home.json(["token", "reset", "live.yaml"]).expect_exit(0).json();
    assert_eq!((&reset["token"], &reset["history"]), (&Value::Null, &json!([])));
    let wrong = home.json(["token", "reset", "reconcile.yaml"]).expect_exit(3).json();
    check(&wrong, &json!({ "error": diagnostic(), "diagnostics": [diagnostic()] }), "token");
}

#[test]
fn the_home_and_repository_can_lie_elsewhere() {
    let home = Home::with_example();
    let elsewhere = Home::new();
    let _ = elsewhere
        .json(["--home", home.path("").to_str().unwrap(), "run", home.path("import.xml").to_str().unwrap()])
        .expect_exit(1);
    assert!(home.path("tidelock.db").is_file());
    assert!(!elsewhere.path("tidelock.db").exists());
    let url = format!("sqlite:{}", elsewhere.path("other.db").display());
    let _ = home.json(["--repo", &url, "run", "import.xml"]).expect_exit(1);
    assert!(elsewhere.path("other.db").is_file());
}

#[test]
fn wrong_usage_is_64_and_help_is_0() {
    let home = Home::new();
    for arguments in [
        &[][..],
        &["run"],
        &["no-such-command"],
        &["get", "nonsense"],
        &["run", "--mode", "nonsense", "x.xml"],
        &["run", "x.xml", "--until-idle", "soon"],
        &["token", "set", "x.xml"],
    ] {
        let answer = home.tidelock(arguments);
        assert_eq!(answer.exit, Some(64), "{answer}");
        assert!(answer.stdout.is_empty(), "{answer}");
    }
    let _ = home.tidelock(["--help"]).expect_exit(0);
    let _ = home.tidelock(["--version"]).expect_exit(0);
    assert!(!home.path("tidelock.db").exists());
}

#[test]
fn standard_output_has_the_document_and_nothing_else() {
    let home = Home::with_example();
    // `json` fails on anything besides one document.
    for arguments in [&["-v", "run", "import.xml"][..], &["-vv", "run", "reconcile.yaml"]] {
        let answer = home.json(arguments).expect_exit(1);
        let _ = answer.json();
    }
}
