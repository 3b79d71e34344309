//! Encryption: whom to trust, and who we are.

use async_nats::ConnectOptions;
use async_nats::rustls::RootCertStore;
use tidelock_connector_api::tls::{self, Trust};
use tidelock_connector_api::{Error, Result};

use crate::config::NatsConfig;

/// Says how connections are encrypted. Reads certificates from files.
pub(super) fn encrypt(options: ConnectOptions, config: &NatsConfig) -> Result<ConnectOptions> {
    let roots = match config.trust.roots() {
        // A server that wants encryption is not believed then.
        Err(_) if config.trust == Trust::System && !config.tls_required => RootCertStore::empty(),
        roots => roots?,
    };
    let builder = tls::client()?.with_root_certificates(roots);
    let tls = match &config.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(tls::certificates(certificate, "certificateFile")?, tls::private_key(key, "keyFile")?)
            .map_err(|error| Error::config("our certificate and its key do not fit").with_source(error))?,
    };
    Ok(options.require_tls(config.tls_required).tls_client_config(tls))
}
