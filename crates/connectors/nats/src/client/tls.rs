//! Encryption: whom to trust, and who we are.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_nats::ConnectOptions;
use tidelock_connector_api::{Error, Result};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::{NatsConfig, Trust};

/// Says how connections are encrypted. Reads certificates from files.
pub(super) fn encrypt(options: ConnectOptions, config: &NatsConfig) -> Result<ConnectOptions> {
    let store = match &config.trust {
        Trust::System => match system() {
            Ok(store) => store,
            Err(error) if config.tls_required => return Err(error),
            // A server that wants encryption is not believed then.
            Err(_) => RootCertStore::empty(),
        },
        Trust::Authority(path) => authority(path)?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config("TLS cannot be set up").with_source(error))?
        .with_root_certificates(store);
    let tls = match &config.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate, "certificateFile")?, private_key(key)?)
            .map_err(|error| Error::config("our certificate and its key do not fit").with_source(error))?,
    };
    Ok(options.require_tls(config.tls_required).tls_client_config(tls))
}

fn system() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // A system's store often has some that nobody can read; the others serve all the same.
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        let message = "the system has no certificates of authorities to verify the server with; name a file in 'caFile'";
        let error = Error::config(message);
        return Err(match found.errors.into_iter().next() {
            Some(cause) => error.with_source(cause),
            None => error,
        });
    }
    Ok(store)
}

fn authority(path: &Path) -> Result<RootCertStore> {
    let shown = path.display();
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, "caFile")? {
        let added = store.add(certificate);
        added.map_err(|error| Error::config(format!("{shown} has a certificate that cannot be used")).with_source(error))?;
    }
    Ok(store)
}

fn certificates(path: &Path, item: &str) -> Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let cannot =
        |error| Error::config(format!("cannot read the certificates in {shown}, which '{item}' names")).with_source(error);
    let pem = fs::read(path).map_err(cannot)?;
    let certificates: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates =
        certificates.map_err(|error| Error::config(format!("{shown} has a certificate that is no PEM: {error}")))?;
    match certificates.is_empty() {
        true => Err(Error::config(format!("{shown}, which '{item}' names, has no certificate in PEM form"))),
        false => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let shown = path.display();
    let cannot = |error| Error::config(format!("cannot read the key in {shown}, which 'keyFile' names")).with_source(error);
    let pem = fs::read(path).map_err(cannot)?;
    // The cause may quote what it could not read.
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| Error::config(format!("{shown}, which 'keyFile' names, has no key in PEM form")))
}
