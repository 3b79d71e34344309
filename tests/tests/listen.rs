//! Listening to real brokers through the binary: what arrives, once; what stops it, what is put aside, and how it goes on.
#![allow(clippy::unwrap_used)]

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use tidelock_servers::{Nats, RabbitMq};
use tidelock_tests::audit::Note;
use tidelock_tests::brokers::{Queue, SCHEMA, deleted, delta, full, notification};
use tidelock_tests::listening::{Listening, connect, eventually, file, listener, messages, progress, run};
use tidelock_tests::live::{self, people};
use tidelock_tests::{Home, audit, json};

fn rabbitmq() -> Queue {
    Queue::rabbitmq(RabbitMq::shared().unwrap())
}

fn nats() -> Queue {
    Queue::nats(Nats::shared().unwrap())
}

/// An account was given each `seq` once.
fn went_through(home: &Home, id: &str, seqs: RangeInclusive<i64>) {
    let steps: Vec<Note> = seqs.map(|seq| Note { seq: Some(seq), dead: false }).collect();
    let notes = &audit::notes(home)[id];
    assert!(audit::are_steps(notes, &steps), "{notes:?}");
}

fn changes_arrive_and_the_run_ends_when_no_more_do(queue: &Queue) {
    let home = listener(queue, "");
    audit::install(&home);
    queue.publish(messages(&[
        full("ann", 1),
        full("bob", 1),
        delta("ann", 2),
        format!("[{},{}]", delta("ann", 3), full("cid", 1)),
        deleted("bob"),
        "[]".to_owned(),
    ]));
    let report = run(&home).expect_exit(0).json();
    assert_eq!(progress(&report), [6, 0, 0], "{report:#}");
    assert_eq!(
        [&report["activity"], &report["runStatus"], &report["taskState"], &report["activities"][0]["listening"]],
        ["asynchronousUpdate", "finished", "closed", "alive"]
    );
    assert_eq!(people(&home), file(&[("ann", 3), ("cid", 1)]));
    went_through(&home, "ann", 1..=3);
    assert_eq!(queue.waiting(), 0);
    assert_eq!(progress(&run(&home).expect_exit(0).json()), [0, 0, 0]);
    let told = home.tidelock(["run", "listen.xml", "--until-idle", "0.1"]).expect_exit(0);
    assert!(told.stdout.contains("alive"), "{told}");
}

#[test]
fn changes_arrive_from_rabbitmq() {
    changes_arrive_and_the_run_ends_when_no_more_do(&rabbitmq());
}

#[test]
fn changes_arrive_from_nats() {
    changes_arrive_and_the_run_ends_when_no_more_do(&nats());
}

/// midPoint's own form, in XML and JSON.
fn changes_in_the_form_of_midpoint(queue: &Queue) {
    let home = listener(queue, "");
    let xml = |content: &str| {
        format!(
            r#"<ucfChange xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
                 xmlns:t="http://prism.evolveum.com/xml/ns/public/types-3"
                 xmlns:icfs="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/resource-schema-3"
                 xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3"
                 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><objectClass>ri:AccountObjectClass</objectClass>{content}</ucfChange>"#
        )
    };
    let whole = |id: &str| format!("<attributes><ri:id>{id}</ri:id><ri:login>{id}</ri:login><ri:seq>1</ri:seq></attributes>");
    let identifiers = |id: &str| format!("<identifiers><ri:id>{id}</ri:id></identifiers>");
    let modify = "<objectDelta><t:changeType>modify</t:changeType><t:objectType>ShadowType</t:objectType><t:itemDelta>\
        <t:modificationType>replace</t:modificationType><t:path>attributes/ri:seq</t:path><t:value>2</t:value></t:itemDelta></objectDelta>";
    queue.publish(messages(&[
        xml(&format!(
            "<objectDelta><t:changeType>add</t:changeType><t:objectType>ShadowType</t:objectType>\
             <t:objectToAdd xsi:type=\"ShadowType\">{}</t:objectToAdd></objectDelta>",
            whole("ann")
        )),
        xml(&format!("<object>{}</object>", whole("bob"))),
        xml(&format!("{}{modify}", identifiers("ann"))),
        xml(&format!("<object>{}</object>", whole("cid"))),
        xml(&format!("{}<objectDelta><t:changeType>delete</t:changeType></objectDelta>", identifiers("cid"))),
        r#"{"ucfChange": {"objectClass": "ri:AccountObjectClass", "identifiers": {"id": "bob"},
            "objectDelta": {"changeType": "modify", "itemDelta": [
              {"modificationType": "replace", "path": "attributes/ri:seq", "value": "3"}]}}}"#
            .to_owned(),
    ]));
    let report = run(&home).expect_exit(0).json();
    assert_eq!(progress(&report), [6, 0, 0], "{report:#}");
    assert_eq!(people(&home), file(&[("ann", 2), ("bob", 3)]));
}

#[test]
fn changes_in_the_form_of_midpoint_arrive_from_rabbitmq() {
    changes_in_the_form_of_midpoint(&rabbitmq());
}

#[test]
fn changes_in_the_form_of_midpoint_arrive_from_nats() {
    changes_in_the_form_of_midpoint(&nats());
}

/// A producer that was not sure sends a message again, under the same identity.
#[test]
fn a_message_that_was_sent_twice_is_applied_once() {
    let queue = rabbitmq();
    let home = listener(&queue, "");
    audit::install(&home);
    let sent = messages(&[full("ann", 1), delta("ann", 2), format!("[{},{}]", delta("ann", 3), delta("ann", 4))]);
    queue.publish(sent.clone());
    let _ = run(&home).expect_exit(0);
    // In a later run, and within one.
    queue.publish(sent.clone());
    queue.publish([("m9".to_owned(), delta("ann", 5))]);
    queue.publish(sent);
    let _ = run(&home).expect_exit(0);
    went_through(&home, "ann", 1..=5);
    assert_eq!(queue.waiting(), 0);
}

/// A message that makes no sense stops the run. It is named, its content is not shown, and it stays where it is.
fn poison_stops(queue: &Queue) {
    let home = listener(queue, "");
    queue.publish(messages(&[full("ann", 1), "{\"secret\": \"hunter2\"".to_owned(), full("bob", 1)]));
    for attempt in 0..2 {
        let answer = run(&home).expect_exit(2);
        let report = answer.json();
        assert_eq!(report["error"]["code"], "stopped-by-failure", "{report:#}");
        assert_eq!((&report["taskState"], &report["runStatus"]), (&json!("suspended"), &json!("permanent_error")));
        assert_eq!(progress(&report), [1 - attempt, 1, 0], "{report:#}");
        assert!(!answer.stdout.contains("hunter2") && !answer.stderr.contains("hunter2"), "{answer}");
        let failure = &report["activities"][0]["failures"][0];
        assert!(!failure["object"].as_str().unwrap().is_empty(), "{failure:#}");
    }
    assert_eq!(people(&home), file(&[("ann", 1)]));
    eventually("that both messages wait", || queue.waiting() == 2);
    // Somebody takes it out.
    if queue.purge() {
        let report = run(&home).expect_exit(2).json();
        assert_eq!(report["error"]["code"], "token-expired", "{report:#}");
        let _ = home.tidelock(["token", "reset", "listen.xml"]).expect_exit(0);
    }
    queue.publish([("m3".to_owned(), full("cid", 1))]);
    assert_eq!(progress(&run(&home).expect_exit(0).json()), [1, 0, 0]);
}

#[test]
fn a_poison_message_stops_listening_to_rabbitmq() {
    let queue = rabbitmq();
    poison_stops(&queue);
}

#[test]
fn a_poison_message_stops_listening_to_nats() {
    poison_stops(&nats());
}

/// Where the resource says so, such a message is put aside with the reason, and the others go on.
fn poison_is_put_aside(queue: &Queue) {
    let home = listener(queue, "<errorHandlingAction>skipUpdate</errorHandlingAction>");
    // The third wants a name that is taken.
    let taken = full("cid", 1).replace("\"login\":\"cid\"", "\"login\":\"ann\"");
    queue.publish(messages(&[full("ann", 1), "{\"secret\": \"hunter2\"".to_owned(), taken.clone(), full("bob", 1)]));
    let answer = run(&home).expect_exit(1);
    let report = answer.json();
    assert_eq!(progress(&report), [2, 2, 0], "{report:#}");
    assert_eq!((&report["runStatus"], &report["taskState"]), (&json!("finished"), &json!("closed")));
    assert!(!answer.stdout.contains("hunter2"), "{answer}");
    assert_eq!(people(&home), file(&[("ann", 1), ("bob", 1)]));
    assert_eq!(queue.waiting(), 0);
    let letters = queue.take_dead_letters();
    let bodies: Vec<_> = letters.iter().map(|(_, body)| body.as_str()).collect();
    assert_eq!(bodies, ["{\"secret\": \"hunter2\"", taken.as_str()], "{letters:?}");
}

#[test]
fn a_poison_message_of_rabbitmq_is_put_aside() {
    poison_is_put_aside(&rabbitmq());
}

#[test]
fn a_poison_message_of_nats_is_put_aside() {
    poison_is_put_aside(&nats());
}

fn a_failing_message_is_tried_again_so_often(queue: &Queue) {
    let retry =
        "<errorHandlingAction>retry</errorHandlingAction><retryInterval>PT0.05S</retryInterval><retryLimit>3</retryLimit>";
    let home = listener(queue, retry);
    let taken = full("cid", 1).replace("\"login\":\"cid\"", "\"login\":\"ann\"");
    queue.publish(messages(&[full("ann", 1), taken, full("bob", 1)]));
    let began = Instant::now();
    let report = run(&home).expect_exit(2).json();
    // 50 ms, 100 ms and 200 ms.
    assert!(began.elapsed() > Duration::from_millis(350), "{:?}", began.elapsed());
    assert_eq!(report["error"]["code"], "stopped-by-failure", "{report:#}");
    assert_eq!(people(&home), file(&[("ann", 1)]));
    eventually("that both messages wait", || queue.waiting() == 2);
}

#[test]
fn a_failing_message_of_rabbitmq_is_tried_again() {
    a_failing_message_is_tried_again_so_often(&rabbitmq());
}

#[test]
fn a_failing_message_of_nats_is_tried_again() {
    a_failing_message_is_tried_again_so_often(&nats());
}

fn an_interrupted_run_ends_in_order_and_the_next_goes_on(queue: &Queue) {
    let home = listener(queue, "");
    audit::install(&home);
    for (signal, id) in [("-INT", "ann"), ("-TERM", "bob")] {
        let listening = Listening::start(&home);
        queue.publish([(format!("of-{id}"), full(id, 1))]);
        eventually("that a message arrives", || audit::notes(&home).contains_key(id));
        let (exit, report) = listening.interrupt(signal);
        assert_eq!(exit, Some(130), "{report:#}");
        assert_eq!((&report["runStatus"], &report["taskState"]), (&json!("interrupted"), &json!("runnable")));
        assert_eq!(progress(&report), [1, 0, 0], "{report:#}");
    }
    assert_eq!(queue.waiting(), 0);
    assert_eq!(progress(&run(&home).expect_exit(0).json()), [0, 0, 0]);
}

#[test]
fn listening_to_rabbitmq_can_be_interrupted() {
    an_interrupted_run_ends_in_order_and_the_next_goes_on(&rabbitmq());
}

#[test]
fn listening_to_nats_can_be_interrupted() {
    an_interrupted_run_ends_in_order_and_the_next_goes_on(&nats());
}

/// Wrong credentials are an error to be dealt with; a broker that is away may come back.
fn what_the_broker_refuses(queue: &Queue) {
    let home = Home::new();
    connect(&home, &queue.connection_of("admin", "wrong", SCHEMA));
    let report = run(&home).expect_exit(2).json();
    assert_eq!((&report["runStatus"], &report["taskState"]), (&json!("permanent_error"), &json!("suspended")));
    assert_eq!(report["error"]["code"], "resource-denied", "{report:#}");
    let tested = home.json(["resource", "test", "Accounts"]).expect_exit(2).json();
    assert_eq!(tested["ok"], false);

    let away = queue.connection(SCHEMA);
    let address = away.split("127.0.0.1:").nth(1).unwrap();
    let port: String = address.chars().take_while(char::is_ascii_digit).collect();
    // Nobody listens there.
    connect(&home, &away.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:1"));
    let report = run(&home).expect_exit(4).json();
    assert_eq!(report["runStatus"], "temporary_error", "{report:#}");
    let _ = home.json(["resource", "test", "Accounts"]).expect_exit(4);

    connect(&home, &queue.connection(SCHEMA));
    let tested = home.json(["resource", "test", "Accounts"]).expect_exit(0).json();
    assert_eq!((&tested["ok"], &tested["capabilities"]["asyncUpdate"]), (&json!(true), &json!(true)), "{tested:#}");
    queue.publish([("m".to_owned(), full("ann", 1))]);
    assert_eq!(progress(&run(&home).expect_exit(0).json()), [1, 0, 0]);
}

#[test]
fn rabbitmq_refuses_who_has_no_password_and_may_be_away() {
    what_the_broker_refuses(&rabbitmq());
}

#[test]
fn nats_refuses_who_has_no_password_and_may_be_away() {
    what_the_broker_refuses(&nats());
}

/// The queue says which accounts have changed, and the file what they are now.
fn notifications_are_read_from_the_main_resource(queue: &Queue) {
    let home = Home::new();
    let mut accounts = file(&[("ann", 1), ("bob", 1)]);
    live::prepare_csv(&home, &accounts);
    let _ = home.tidelock(["run", "import.xml"]).expect_exit(0);
    let additional = format!(
        "{}<additionalConnector><name>Changes</name>{}<capabilities><configured><cap:asyncUpdate/></configured></capabilities>\
         </additionalConnector>",
        live::csv_connection(),
        queue.connection("")
    );
    connect(&home, &additional);
    let tested = home.json(["resource", "test", "Accounts"]).expect_exit(0).json();
    assert_eq!(tested["capabilities"]["asyncUpdate"], true, "{tested:#}");
    accounts = file(&[("ann", 2), ("cid", 1)]);
    live::write(&home, &accounts);
    queue.publish(messages(&[notification("ann"), notification("bob"), notification("cid"), notification("cid")]));
    let report = run(&home).expect_exit(0).json();
    assert_eq!(progress(&report)[1], 0, "{report:#}");
    assert_eq!(people(&home), accounts);

    // How far the queue is says nothing of how far the file is.
    home.write("pull.xml", live::task("Pull", "liveSynchronization", "", " ", ""));
    let position = || home.json(["token", "show", "pull.xml"]).expect_exit(0).json()["token"].clone();
    let _ = home.json(["run", "pull.xml"]).expect_exit(0);
    accounts = file(&[("ann", 3), ("cid", 1)]);
    live::write(&home, &accounts);
    let pulled = home.json(["run", "pull.xml"]).expect_exit(0).json();
    assert_eq!((progress(&pulled), people(&home)), ([1, 0, 0], accounts), "{pulled:#}");
    let before = position();
    queue.publish(vec![("later".to_owned(), notification("ann"))]);
    assert_eq!(progress(&run(&home).expect_exit(0).json()), [1, 0, 0]);
    // Where the broker keeps the position, there is nothing to reset.
    let _ = home.json(["token", "reset", "listen.xml"]);
    assert_eq!(position(), before);
    let _ = home.json(["run", "pull.xml"]).expect_exit(0);
}

#[test]
fn notifications_of_rabbitmq_are_read_from_a_file() {
    notifications_are_read_from_the_main_resource(&rabbitmq());
}

#[test]
fn notifications_of_nats_are_read_from_a_file() {
    notifications_are_read_from_the_main_resource(&nats());
}
