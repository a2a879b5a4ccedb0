//! Who is let in: TLS, client certificates, tokens.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use offramp_models::DType;
use offramp_offload::server::{Admission, Config, TlsFiles};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;

use crate::scripted::{Client, MODEL, Running, Runs, floats, logits, loopback, model, request, until};

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key of `localhost`, or of a client of it.
    fn sign(&self, purpose: ExtendedKeyUsagePurpose, expired: bool) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        if expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A folder with the server's certificates, signed by `authority`.
pub struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub fn tls(&self, authority: &Authority, clients: Option<&Authority>) -> TlsFiles {
        let (certificate, key) = authority.sign(ExtendedKeyUsagePurpose::ServerAuth, false);
        TlsFiles {
            certificate: self.write("server.pem", &certificate),
            key: self.write("server.key", &key),
            client_authority: clients.map(|clients| self.write("clients.pem", &clients.pem())),
        }
    }
}

/// One request over TLS to `running`, trusting `authority`, as `identity`.
async fn ask(
    running: &Running,
    authority: &Authority,
    identity: Option<(String, String)>,
) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    let mut tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(authority.pem()));
    if let Some((certificate, key)) = identity {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", running.address))?;
    let channel = endpoint.tls_config(tls)?.connect().await?;
    let answer = Client::new(channel).model_infer(request(&[6])).await?;
    Ok(floats(answer.get_ref(), 0))
}

fn start(config: Config) -> Running {
    Running::start(config, vec![model(MODEL, DType::Float32, &Runs::default())])
}

#[tokio::test]
async fn over_tls_the_server_proves_who_it_is() {
    let (authority, other, files) = (Authority::new(), Authority::new(), Files::new());
    let running = start(Config { tls: Some(files.tls(&authority, None)), ..loopback() });
    assert_eq!(ask(&running, &authority, None).await.unwrap(), logits(6));
    let error = ask(&running, &other, None).await.unwrap_err();
    assert_eq!(error.to_string(), "transport error", "another authority is not believed");
    let plain = Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    if let Ok(channel) = plain.connect().await {
        Client::new(channel).model_infer(request(&[6])).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_client_authority_lets_in_those_whom_it_signed_and_nobody_else() {
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    let files = Files::new();
    let running = start(Config { tls: Some(files.tls(&authority, Some(&clients))), ..loopback() });
    let client =
        |authority: &Authority, expired| Some(authority.sign(ExtendedKeyUsagePurpose::ClientAuth, expired));
    assert_eq!(ask(&running, &authority, client(&clients, false)).await.unwrap(), logits(6));
    let refused = [
        ("no certificate", None),
        ("one of another authority", client(&other, false)),
        ("an expired one", client(&clients, true)),
        ("a server's", Some(clients.sign(ExtendedKeyUsagePurpose::ServerAuth, false))),
    ];
    for (what, identity) in refused {
        assert!(ask(&running, &authority, identity).await.is_err(), "{what} was let in");
    }
    assert_eq!(ask(&running, &authority, client(&clients, false)).await.unwrap(), logits(6));
}

/// One request with this `authorization`.
async fn bring(client: &Client, authorization: Option<&str>) -> Result<(), Status> {
    let mut asked = Request::new(request(&[6]));
    if let Some(value) = authorization {
        asked.metadata_mut().insert("authorization", MetadataValue::try_from(value).unwrap());
    }
    client.clone().model_infer(asked).await.map(|_| ())
}

#[tokio::test]
async fn a_token_of_the_file_lets_a_request_in() {
    let files = Files::new();
    let tokens = files.write("tokens", "first\nsecond\n");
    let running = start(Config { tokens: Some(tokens), ..loopback() });
    let client = running.client().await;
    for good in ["Bearer first", "Bearer second"] {
        bring(&client, Some(good)).await.unwrap();
    }
    for bad in [None, Some("Bearer third"), Some("first"), Some("Basic first"), Some("Bearer ")] {
        let status = bring(&client, bad).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{bad:?}");
        assert_eq!(status.message(), "a bearer token that this server knows is needed");
    }
    assert_eq!(running.metric("offramp_requests_turned_away_total{reason=\"unauthenticated\"}").await, 5);
    let health = running.health().await;
    assert_eq!(health.of("").await, Ok(ServingStatus::Serving), "the server's health needs none");
    assert_eq!(health.of(MODEL).await, Err(Code::NotFound), "which models there are is told with a token");

    files.write("tokens", "second\nthird token\n");
    until(async || bring(&client, Some("Bearer first")).await.is_err()).await;
    bring(&client, Some("Bearer second")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_the_health_without_a_token_takes_no_seat_from_those_who_have_one() {
    let files = Files::new();
    let tokens = files.write("tokens", "first\n");
    let admission =
        Admission { connections: 4, introduction: Duration::from_secs(30), ..Admission::default() };
    let running = start(Config { tokens: Some(tokens), admission, ..loopback() });
    let mut asking = Vec::new();
    for _ in 0..8 {
        let health = running.health().await;
        assert_eq!(health.of("").await, Ok(ServingStatus::Serving));
        asking.push(health);
    }
    bring(&running.client().await, Some("Bearer first")).await.unwrap();
    assert_eq!(running.metric("offramp_connections_lost_total{reason=\"no_room\"}").await, 0);
    assert!(running.metric("offramp_connections_lost_total{reason=\"displaced\"}").await >= 5);
}
