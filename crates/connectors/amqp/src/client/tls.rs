//! Encryption: whom to trust.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tidelock_connector_api::{Error, Result};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::Trust;

/// What encrypts connections. Reads certificates from files.
pub(super) fn connector(trust: &Trust) -> Result<TlsConnector> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config("TLS cannot be set up").with_source(error))?;
    let roots = match trust {
        Trust::System => system()?,
        Trust::Authority(path) => authority(path)?,
    };
    Ok(TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}

fn system() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // A system's store often has some that nobody can read; the others serve all the same.
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        let mut error =
            Error::config("the system has no certificates of authorities to verify the broker with; name a file in 'caFile'");
        if let Some(cause) = found.errors.into_iter().next() {
            error = error.with_source(cause);
        }
        return Err(error);
    }
    Ok(store)
}

fn authority(path: &Path) -> Result<RootCertStore> {
    let shown = path.display();
    let cannot =
        |error| Error::config(format!("cannot read the certificates in {shown}, which 'caFile' names")).with_source(error);
    let pem = fs::read(path).map_err(cannot)?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|error| Error::config(format!("{shown} has a certificate that is no PEM: {error}")))?;
        let added = store.add(certificate);
        added.map_err(|error| Error::config(format!("{shown} has a certificate that cannot be used")).with_source(error))?;
    }
    if store.is_empty() {
        return Err(Error::config(format!("{shown}, which 'caFile' names, has no certificate in PEM form")));
    }
    Ok(store)
}
