//! Encryption: whom to trust.

use std::sync::Arc;

use tidelock_connector_api::{Result, tls};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{DigitallySignedStruct, Error as TlsError, SignatureScheme};

use crate::config::Trust;

/// What encrypts connections. Reads certificates from files.
pub(crate) fn connector(trust: &Trust) -> Result<TlsConnector> {
    let builder = match trust {
        Trust::System => tls::Trust::System.client()?,
        Trust::Authority(path) => tls::Trust::Authority(path.clone()).client()?,
        Trust::Anybody => {
            let anybody = Unverified(Arc::new(ring::default_provider()));
            tls::client()?.dangerous().with_custom_certificate_verifier(Arc::new(anybody))
        }
    };
    Ok(TlsConnector::from(Arc::new(builder.with_no_client_auth())))
}

/// Accepts every certificate, because the configuration says so in as many words (`allowUntrustedSsl`).
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
