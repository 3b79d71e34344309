//! How fast a directory is read: `cargo run --release --example ldap_speed -- PORT BASE CLASS [BIND_DN PASSWORD]`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Instant;

use futures::StreamExt;
use tidelock_connector_api::{Connector, Found, SearchRequest};
use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, base, class, credentials @ ..] = arguments.as_slice() else {
        panic!("give the port, the base and the class");
    };
    let mut config = LdapConfig::new("127.0.0.1", port.parse().unwrap(), base.as_str());
    if let [name, password] = credentials {
        config.bind = Some(Bind { name: name.clone(), password: PasswordSource::Text(password.as_str().into()) });
    }
    let connector = Ldap::new(config);
    connector.schema().await.unwrap();
    let begun = Instant::now();
    let (mut objects, mut values) = (0_u64, 0_usize);
    let mut stream = connector.search(SearchRequest::new(class.as_str()));
    while let Some(item) = stream.next().await {
        match item.unwrap() {
            Found::Object(object) => {
                objects += 1;
                values += object.attributes.iter().map(|(_, values)| values.len()).sum::<usize>();
            }
            Found::End(verdict) => println!("{verdict:?}"),
        }
    }
    println!("{objects} objects with {values} values in {:.3} s", begun.elapsed().as_secs_f64());
}
