//! Certificates, read once.

use std::path::Path;

use offramp_models::regular;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::ServeError;
use super::config::{Config, TlsFiles};
use crate::pem;

/// What the transport wants of a server's certificates; none where the server has none.
pub(super) fn read(config: &Config) -> Result<Option<ServerTlsConfig>, ServeError> {
    let Some(files) = &config.tls else { return Ok(None) };
    let TlsFiles { certificate, key, client_authority } = files;
    let (certificates, one) = (pem::has_certificates, "certificate");
    let identity = Identity::from_pem(
        read_as(certificate, one, certificates)?,
        read_as(key, "private key", pem::has_key)?,
    );
    let mut tls = ServerTlsConfig::new().identity(identity).timeout(config.admission.introduction);
    if let Some(authority) = client_authority {
        tls = tls.client_ca_root(Certificate::from_pem(read_as(authority, one, certificates)?));
    }
    // Whether they go together shows when the transport takes them.
    match tonic::transport::Server::builder().tls_config(tls.clone()) {
        Ok(_) => Ok(Some(tls)),
        Err(source) => Err(ServeError::Tls { files: files.clone(), source }),
    }
}

fn read_as(path: &Path, what: &'static str, holds: fn(&[u8]) -> bool) -> Result<Vec<u8>, ServeError> {
    let bytes = regular::read(path).map_err(|source| ServeError::Read { path: path.to_owned(), source })?;
    if holds(&bytes) { Ok(bytes) } else { Err(ServeError::Pem { path: path.to_owned(), what }) }
}
