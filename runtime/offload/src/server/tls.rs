//! Certificates, read once.

use std::fs;
use std::path::Path;

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::ServeError;
use super::config::{Config, TlsFiles};

/// What the transport wants of a server's certificates; none where the server has none.
pub(super) fn read(config: &Config) -> Result<Option<ServerTlsConfig>, ServeError> {
    let Some(TlsFiles { certificate, key, client_authority }) = &config.tls else { return Ok(None) };
    let identity = Identity::from_pem(pem(certificate)?, pem(key)?);
    let tls = ServerTlsConfig::new().identity(identity).timeout(config.admission.introduction);
    let Some(authority) = client_authority else { return Ok(Some(tls)) };
    Ok(Some(tls.client_ca_root(Certificate::from_pem(pem(authority)?))))
}

fn pem(path: &Path) -> Result<Vec<u8>, ServeError> {
    fs::read(path).map_err(|source| ServeError::Read { path: path.to_owned(), source })
}
