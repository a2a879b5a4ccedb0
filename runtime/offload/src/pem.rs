//! What PEM files hold, looked at before the transport takes them: its own errors name no file.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Whether all certificates of a file can be read, and there is one.
pub(crate) fn has_certificates(pem: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}

/// Whether the first private key of a file can be read.
pub(crate) fn has_key(pem: &[u8]) -> bool {
    PrivateKeyDer::from_pem_slice(pem).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_is_told_by_its_sections() {
        let section = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
        let (certificate, key) = (section("CERTIFICATE"), section("PRIVATE KEY"));
        let cut = certificate.replace("-----END CERTIFICATE-----", "");
        let both = format!("{certificate}{key}");
        assert!(has_certificates(certificate.as_bytes()) && !has_key(certificate.as_bytes()));
        assert!(has_key(key.as_bytes()) && !has_certificates(key.as_bytes()));
        assert!(has_certificates(both.as_bytes()) && has_key(both.as_bytes()));
        for broken in ["", "text", &cut, &format!("{certificate}{cut}")] {
            assert!(!has_certificates(broken.as_bytes()), "{broken:?}");
            assert!(!has_key(broken.as_bytes()), "{broken:?}");
        }
    }
}
