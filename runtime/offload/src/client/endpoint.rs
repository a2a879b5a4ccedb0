//! How a peer is reached: its address, and who vouches for whom.

use std::path::Path;

use offramp_models::regular;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::config::{Address, ConfigError, Tls};
use crate::pem;

/// The endpoint of a peer, with the files as they are now.
///
/// # Errors
/// `NoCa`, `NoCertificate`, `Read` or `Tls` for a TLS peer; no others need files.
pub(super) fn endpoint(peer: &Address, tls: &Tls) -> Result<Endpoint, ConfigError> {
    let refused = |source| ConfigError::Tls { peer: peer.clone(), source };
    let endpoint = Endpoint::from_shared(peer.uri()).map_err(refused)?;
    if !peer.is_secure() {
        return Ok(endpoint);
    }
    let Some(ca) = &tls.ca else { return Err(ConfigError::NoCa { peer: peer.clone() }) };
    let (host, _) = peer.host_and_port();
    let mut config = ClientTlsConfig::new().domain_name(host);
    let vouching = read("the CA file", ca)?;
    // Without one nobody is believed, and no library says why.
    if !pem::has_certificates(&vouching) {
        return Err(ConfigError::NoCertificate { path: ca.clone() });
    }
    config = config.ca_certificate(Certificate::from_pem(vouching));
    if let Some((certificate, key)) = &tls.identity {
        let own = read("the certificate file", certificate)?;
        if !pem::has_certificates(&own) {
            return Err(ConfigError::NoCertificate { path: certificate.clone() });
        }
        let secret = read("the key file", key)?;
        if !pem::has_key(&secret) {
            return Err(ConfigError::NoKey { path: key.clone() });
        }
        config = config.identity(Identity::from_pem(own, secret));
    }
    endpoint.tls_config(config).map_err(refused)
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    regular::read(path).map_err(|source| ConfigError::Read { what, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_peer_needs_a_file_of_those_who_may_vouch_for_it() {
        let peer = Address::secure("edge", 1);
        let error = endpoint(&peer, &Tls::default()).unwrap_err();
        assert_eq!(error.to_string(), "grpcs://edge:1 speaks TLS, but no CA file says who may vouch for it");
        let missing = Tls { ca: Some("/nowhere/ca.pem".into()), identity: None };
        let error = endpoint(&peer, &missing).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the CA file /nowhere/ca.pem");
        assert!(endpoint(&Address::plain("edge", 1), &missing).is_ok(), "no files are needed without TLS");
    }

    #[test]
    fn files_without_certificates_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let peer = Address::secure("edge", 1);
        std::fs::write(&ca, "not a certificate").unwrap();
        let error = endpoint(&peer, &Tls { ca: Some(ca.clone()), identity: None }).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no certificate in {}", ca.display()));
        let section = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
        std::fs::write(&ca, section("CERTIFICATE")).unwrap();
        let (own, key) = (folder.path().join("own.pem"), folder.path().join("own.key"));
        std::fs::write(&own, section("PRIVATE KEY")).unwrap();
        std::fs::write(&key, section("CERTIFICATE")).unwrap();
        let tls = Tls { ca: Some(ca), identity: Some((own.clone(), key.clone())) };
        let refused = || endpoint(&peer, &tls).unwrap_err().to_string();
        assert_eq!(refused(), format!("there is no certificate in {}", own.display()));
        std::fs::write(&own, section("CERTIFICATE")).unwrap();
        assert_eq!(refused(), format!("there is no private key in {}", key.display()));
    }
}
