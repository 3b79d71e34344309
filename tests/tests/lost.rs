//! What becomes of a run that listens when its source is lost: it goes on, waits, or ends, and says which.
#![allow(clippy::unwrap_used)]

use tidelock_servers::{Nats, RabbitMq};
use tidelock_tests::brokers::{Queue, SCHEMA, delta, full};
use tidelock_tests::listening::{Listening, connect, eventually, file, listener, progress, run};
use tidelock_tests::live::people;
use tidelock_tests::{Home, Value, audit, json};

/// A broker of this test alone.
enum Broker {
    RabbitMq(RabbitMq),
    Nats(Nats),
}

impl Broker {
    fn queue(&self) -> Queue {
        match self {
            Self::RabbitMq(server) => Queue::rabbitmq(server),
            Self::Nats(server) => Queue::nats(server),
        }
    }

    fn stop(&mut self) {
        match self {
            Self::RabbitMq(server) => server.stop().unwrap(),
            Self::Nats(server) => server.kill().unwrap(),
        }
    }

    fn run(&mut self) {
        match self {
            Self::RabbitMq(server) => server.run().unwrap(),
            Self::Nats(server) => server.run().unwrap(),
        }
    }
}

const LOST: &str = "the connection to the source of changes is lost";
const BACK: &str = "the source of changes is connected again";

/// Somebody who listens, and has taken over a message about `id`.
fn listening<'a>(home: &'a Home, queue: &Queue, id: &str, more: &[&str]) -> Listening<'a> {
    let listening = Listening::start_with(home, more);
    queue.publish([(format!("of-{id}"), full(id, 1))]);
    eventually("that a message arrives", || audit::notes(home).contains_key(id));
    listening
}

/// How a run ended: in its own words, those of its task, those of the connection, and those of the error, if there is one.
fn ended(report: &Value) -> [&str; 4] {
    let words = [&report["runStatus"], &report["taskState"], &report["activities"][0]["listening"], &report["error"]["code"]];
    words.map(|word| word.as_str().unwrap_or("-"))
}

fn a_broker_that_goes(mut broker: Broker) {
    let mut queue = broker.queue();
    let home = listener(&queue, "");
    audit::install(&home);

    // It comes back.
    let listener = listening(&home, &queue, "ann", &[]);
    broker.stop();
    listener.says(LOST);
    broker.run();
    queue.connect_again();
    queue.publish([("m2".to_owned(), delta("ann", 2))]);
    eventually("that the second message arrives", || audit::notes(&home)["ann"].len() == 2);
    listener.says(BACK);
    let (exit, report) = listener.interrupt("-INT");
    assert_eq!((exit, &report["activities"][0]["listening"]), (Some(130), &json!("alive")), "{report:#}");
    assert_eq!(people(&home), file(&[("ann", 2)]));

    // Somebody stops the run while it is away.
    let listener = listening(&home, &queue, "bob", &[]);
    broker.stop();
    listener.says(LOST);
    let (exit, report) = listener.interrupt("-INT");
    assert_eq!((exit, ended(&report)), (Some(130), ["interrupted", "runnable", "reconnecting", "-"]), "{report:#}");

    // It is away from the beginning.
    let report = run(&home).expect_exit(4).json();
    assert_eq!(ended(&report), ["temporary_error", "suspended", "down", "resource-unreachable"], "{report:#}");

    // Where it is away when nothing arrives any more, it is not known that nothing would have.
    broker.run();
    queue.connect_again();
    let listener = listening(&home, &queue, "cid", &["--until-idle", "3"]);
    broker.stop();
    let (exit, report) = listener.end();
    assert_eq!((exit, &report["runStatus"]), (Some(4), &json!("temporary_error")), "{report:#}");
    assert_ne!(report["activities"][0]["listening"], "alive", "{report:#}");

    // It stays away for longer than anybody waits.
    broker.run();
    queue.connect_again();
    queue.items = "<reconnectTimeout>PT1S</reconnectTimeout>".to_owned();
    connect(&home, &queue.connection(SCHEMA));
    let listener = listening(&home, &queue, "dan", &[]);
    broker.stop();
    let (exit, report) = listener.end();
    assert_eq!(exit, Some(4), "{report:#}");
    assert_eq!(ended(&report), ["temporary_error", "suspended", "down", "resource-unreachable"], "{report:#}");
}

#[test]
fn rabbitmq_goes() {
    a_broker_that_goes(Broker::RabbitMq(RabbitMq::start().unwrap()));
}

#[test]
fn nats_goes() {
    a_broker_that_goes(Broker::Nats(Nats::start().unwrap()));
}

/// That a run is over, and somebody has to act.
fn is_suspended(listener: Listening<'_>, code: &str) {
    let (exit, report) = listener.end();
    assert_eq!(exit, Some(2), "{report:#}");
    assert_eq!(ended(&report), ["permanent_error", "suspended", "down", code], "{report:#}");
}

#[test]
fn a_queue_of_rabbitmq_that_is_deleted_ends_the_run_unless_it_is_there_again() {
    let queue = Queue::rabbitmq(RabbitMq::shared().unwrap());
    let home = listener(&queue, "");
    audit::install(&home);
    let listener = listening(&home, &queue, "ann", &[]);
    queue.delete();
    queue.declare();
    queue.publish([("m2".to_owned(), delta("ann", 2))]);
    eventually("that the second message arrives", || audit::notes(&home)["ann"].len() == 2);
    queue.delete();
    is_suspended(listener, "resource-configuration");
    let _ = run(&home).expect_exit(2);
    queue.declare();
    queue.publish([("m3".to_owned(), delta("ann", 3))]);
    assert_eq!(progress(&run(&home).expect_exit(0).json()), [1, 0, 0]);
    assert_eq!(people(&home), file(&[("ann", 3)]));
}

/// What a stream that is made anew lacks is for somebody else to find out.
#[test]
fn a_stream_of_nats_that_is_deleted_ends_the_run() {
    let queue = Queue::nats(Nats::shared().unwrap());
    let home = listener(&queue, "");
    audit::install(&home);
    let listener = listening(&home, &queue, "ann", &[]);
    queue.delete();
    is_suspended(listener, "resource-configuration");
    queue.declare();
    let report = run(&home).expect_exit(2).json();
    assert_eq!(report["error"]["code"], "token-expired", "{report:#}");
}

#[test]
fn a_password_of_rabbitmq_that_is_changed_ends_the_run() {
    let server = RabbitMq::start().unwrap();
    let queue = Queue::rabbitmq(&server);
    let home = Home::new();
    for arguments in [&["add_user", "reader", "open sesame"][..], &["set_permissions", "reader", ".*", ".*", ".*"]] {
        server.control(arguments).unwrap();
    }
    connect(&home, &queue.connection_of("reader", "open sesame", SCHEMA));
    audit::install(&home);
    let listener = listening(&home, &queue, "ann", &[]);
    server.control(&["change_password", "reader", "close sesame"]).unwrap();
    server.control(&["close_all_user_connections", "reader", "for a test"]).unwrap();
    is_suspended(listener, "resource-denied");
}
