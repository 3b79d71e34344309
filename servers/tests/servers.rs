//! The servers come, do what they are told, and go.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tidelock_servers::{Directory as _, Ds389, Ds389Setup, Nats, RABBITMQ_FOLDER, RabbitMq, is_long_run};

/// What a server says to one who says hello, if it says anything.
fn greeting(port: u16, hello: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
    stream.write_all(hello).ok()?;
    let mut answer = vec![0; 64];
    let read = stream.read(&mut answer).ok()?;
    answer.truncate(read);
    Some(answer).filter(|answer| !answer.is_empty())
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < patience, "{what} does not come to be");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn rabbitmq_comes_stops_comes_again_and_goes() {
    let hello = b"AMQP\x00\x00\x09\x01";
    let mut server = RabbitMq::start().unwrap();
    let port = server.port();
    let folder = server.environment().into_iter().find(|(name, _)| *name == RABBITMQ_FOLDER).unwrap().1;
    assert!(greeting(port, hello).is_some());
    server.control(&["add_vhost", "another"]).unwrap();
    assert!(server.control(&["list_vhosts"]).unwrap().contains("another"));
    assert!(server.control(&["no_such_command"]).is_err());

    server.suspend().unwrap();
    assert_eq!(greeting(port, hello), None);
    server.resume().unwrap();
    assert!(greeting(port, hello).is_some());

    server.kill().unwrap();
    assert_eq!(greeting(port, hello), None);
    server.run().unwrap();
    assert!(greeting(port, hello).is_some());
    assert!(server.control(&["list_vhosts"]).unwrap().contains("another"));

    server.stop().unwrap();
    server.run().unwrap();
    assert!(greeting(port, hello).is_some());
    drop(server);
    assert_eq!(greeting(port, hello), None);
    assert!(!Path::new(&folder).exists());
}

#[test]
fn nats_comes_stops_comes_again_and_goes() {
    let mut server = Nats::start().unwrap();
    let port = server.port();
    let own = greeting(port, b"");
    assert!(own.as_ref().unwrap().starts_with(b"INFO "));
    server.suspend().unwrap();
    assert_eq!(greeting(port, b""), None);
    server.resume().unwrap();
    server.kill().unwrap();
    // A port that is free is anybody's, and a greeting says whose it is.
    assert_ne!(greeting(port, b""), own);
    server.run().unwrap();
    assert!(greeting(port, b"").is_some());
    server.stop().unwrap();
    server.run().unwrap();
    assert!(greeting(port, b"").is_some());
    drop(server);
    assert_eq!(greeting(port, b""), None);
}

#[test]
fn ds389_comes_stops_comes_again_and_goes() {
    if !is_long_run() {
        println!("389 Directory Server is for the long run (TIDELOCK_LONG=1)");
        return;
    }
    let mut setup = Ds389Setup::default();
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/connectors/ldap/tests/certificates");
    setup.certificates = Some(certificates);
    let unit = |name: &str| format!("dn: ou={name},{0}\nobjectClass: organizationalUnit\nou: {name}\n\n", Ds389::SUFFIX);
    let mut server = Ds389::start(&setup, &unit("first")).unwrap();
    let (port, folder) = (server.port(), server.folder().to_owned());
    let name = folder.file_name().unwrap().to_str().unwrap();
    let semaphore = Path::new("/dev/shm").join(format!("sem.{name}.stats"));
    assert_ne!(Some(port), server.tls_port());
    let units = |server: &Ds389| server.search(&["(objectClass=organizationalUnit)", "ou"]).unwrap().matches("\nou: ").count();
    assert_eq!(units(&server), 3);

    server.suspend().unwrap();
    assert_eq!(greeting(port, b""), None);
    server.resume().unwrap();
    server.add(&unit("second")).unwrap();
    server.kill().unwrap();
    assert!(server.search(&["1.1"]).is_err());
    server.run().unwrap();
    assert_eq!(units(&server), 4);
    assert!(server.value(&format!("ou=second,{}", Ds389::SUFFIX), "entryUUID").unwrap().is_some());

    server.stop().unwrap();
    server.run().unwrap();
    server.delete(&format!("ou=first,{}", Ds389::SUFFIX)).unwrap();
    assert_eq!(units(&server), 3);
    drop(server);
    eventually("the end of what it had", || !folder.exists() && !semaphore.exists());
}

#[test]
fn ds389_imports_entries() {
    if !is_long_run() {
        println!("389 Directory Server is for the long run (TIDELOCK_LONG=1)");
        return;
    }
    let mut setup = Ds389Setup::default();
    (setup.imported, setup.synchronization) = (true, false);
    let server = Ds389::start(&setup, "").unwrap();
    let people = format!("ou=people,{}", Ds389::SUFFIX);
    assert!(server.value(&people, "nsUniqueId").unwrap().is_some());
    assert_eq!(server.value(&people, "entryUUID").unwrap(), None);
    assert_eq!(server.value("", "changeLog").unwrap(), None);
}

/// Not a test: what the test after it kills.
#[test]
#[ignore = "waits to be killed"]
fn one_who_waits_to_be_killed() {
    let server = Nats::start().unwrap();
    println!("port {}", server.port());
    thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_server_goes_with_the_process_that_started_it_however_that_ends() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_who_waits_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut said = String::new();
    let port = loop {
        let mut piece = [0; 256];
        let read = output.read(&mut piece).unwrap();
        assert_ne!(read, 0, "{said}");
        said.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        let after = said.split_once("port ").and_then(|(_, port)| port.split_once('\n'));
        if let Some((port, _)) = after {
            break port.parse().unwrap();
        }
    };
    assert!(greeting(port, b"").is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the end of the server", || greeting(port, b"").is_none());
}
