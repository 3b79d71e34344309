//! Encryption as a client: whom to trust, and certificates and keys out of files.
//!
//! How a connection is made and encrypted is the connector's business; what it believes is the same for all, and so are the words when
//! that fails. Configurations name files by their items: `caFile`, say.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::{Error, Result};

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authorities that the system trusts.
    System,
    /// Those of the authorities in a PEM file, which the item `caFile` names.
    Authority(PathBuf),
}

impl Trust {
    /// The authorities. Reads them from the system, or from the file.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub fn roots(&self) -> Result<RootCertStore> {
        match self {
            Self::System => system(),
            Self::Authority(path) => authority(path),
        }
    }

    /// A client that believes these, and is asked next who it is.
    ///
    /// # Errors
    /// As with [`Trust::roots`].
    pub fn client(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
        Ok(client()?.with_root_certificates(self.roots()?))
    }
}

/// A client that is asked next whom it believes.
///
/// # Errors
/// The library of encryption does not work.
pub fn client() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config("TLS cannot be set up").with_source(error))
}

/// The certificates in a PEM file, at least one. `item` is the one of the configuration that names the file.
///
/// # Errors
/// The file cannot be read, or has none.
pub fn certificates(path: &Path, item: &str) -> Result<Vec<CertificateDer<'static>>> {
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

/// The private key in a PEM file, which this item of the configuration names.
///
/// # Errors
/// The file cannot be read, or has none. Nothing of its content is said.
pub fn private_key(path: &Path, item: &str) -> Result<PrivateKeyDer<'static>> {
    let shown = path.display();
    let cannot = |error| Error::config(format!("cannot read the key in {shown}, which '{item}' names")).with_source(error);
    let pem = fs::read(path).map_err(cannot)?;
    // The cause may quote what it could not read.
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| Error::config(format!("{shown}, which '{item}' names, has no key in PEM form")))
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
