//! Connections that are encrypted, and brokers that are not believed.

#![allow(clippy::unwrap_used)]

mod broker;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use broker::{Kind, Queue, about, connector, next};
use tidelock_amqp::Trust;
use tidelock_connector_api::{AsyncUpdates, Connector, ErrorKind};
use tidelock_servers::RabbitMq;

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_believed_by_its_certificate_and_by_nothing_else() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let line = |name: &str, file: &str| format!("ssl_options.{name} = {}", certificate(file).display());
    let lines =
        [line("cacertfile", "ca.pem"), line("certfile", "server.pem"), line("keyfile", "server.key")].map(|line| line + "\n");
    let listener = format!("listeners.ssl.1 = 127.0.0.1:{port}");
    let server = RabbitMq::start_with(&[&lines.concat(), &listener, "ssl_options.verify = verify_none"]).unwrap();
    let queue = Queue::of(&server, Kind::Quorum).await;
    queue.publish("a").await;

    let mut config = queue.config();
    config.port = port;
    config.trust = Some(Trust::Authority(certificate("ca.pem")));
    for host in ["127.0.0.1", "localhost"] {
        config.host = host.to_owned();
        let connector = connector(config.clone());
        connector.test().await.unwrap();
        let delivery = next(&mut connector.deliveries()).await;
        assert_eq!(about(&delivery), "a");
    }
    for (trust, part) in [
        (Trust::System, "TLS"),
        (Trust::Authority(certificate("other-ca.pem")), "TLS"),
        (Trust::Authority(certificate("server.key")), "no certificate"),
        (Trust::Authority(certificate("no-such-file.pem")), "cannot read"),
    ] {
        config.trust = Some(trust);
        let error = connector(config.clone()).test().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.full_message().contains(part), "{error:?}");
    }
    // The other way round: in the clear to the port for TLS.
    config.trust = None;
    let error = connector(config).test().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Unreachable), "{error:?}");
}
