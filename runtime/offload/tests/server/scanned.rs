//! What somebody learns of a server who knows its address and nothing else. docs/offload.md, "What a scanner sees", says the same.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use offramp_models::DType;
use offramp_offload::oip::{
    ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, ServerLiveRequest, ServerMetadataRequest,
    ServerReadyRequest,
};
use offramp_offload::server::{Admission, Config};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;

use crate::access::{Authority, Files};
use crate::mutations::Verbatim;
use crate::scripted::{MODEL, Running, Runs, loopback, model, until};

/// What nobody tells a stranger: the program's version, models, their tensors.
const SECRETS: [&str; 5] = [env!("CARGO_PKG_VERSION"), MODEL, "cut", "exit1", "numbers"];

/// What somebody would call a network whose name is not known.
const GUESSES: [&str; 5] = ["", "network", "model", "tail1", "network.tail1.f32"];

fn start(config: Config) -> Running {
    let admission = Admission { introduction: Duration::from_millis(200), ..Admission::default() };
    Running::start(Config { admission, ..config }, vec![model(MODEL, DType::Float32, &Runs::default())])
}

/// All that comes back for `sent` until the server hangs up.
async fn said(running: &Running, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut said = Vec::new();
    // However it hangs up.
    let _reset = stream.read_to_end(&mut said).await;
    said
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Types of the HTTP/2 frames in `bytes`. Source: RFC 9113, section 4.1.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let Some((&[a, b, c, kind, ..], rest)) = bytes.split_first_chunk::<9>() {
        types.push(kind);
        bytes = &rest[u32::from_be_bytes([0, a, b, c]) as usize..];
    }
    assert!(bytes.is_empty(), "it is no HTTP/2");
    types
}

/// Settings, window updates, good-bye: what every HTTP/2 server says.
#[track_caller]
fn assert_http2_and_nothing_else(said: &[u8]) {
    assert!(!said.is_empty() && frames(said).iter().all(|kind| [4, 7, 8].contains(kind)), "{said:?}");
    let text = String::from_utf8_lossy(said).to_lowercase();
    assert!(!text.contains("offramp") && SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
}

/// One call, and what came back: all headers and the answer, or the status.
async fn call(channel: &Channel, path: &'static str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path = PathAndQuery::from_static(path);
    let answer = client.unary(Request::new(message.into()), path, Verbatim::default()).await?;
    assert!(!answer.metadata().contains_key("server"), "{:?}", answer.metadata());
    let answer: bytes::Bytes = answer.into_inner();
    Ok(answer.to_vec())
}

/// Everything that a stranger can ask for, by what it is, but for the health.
async fn asked(channel: &Channel) -> Vec<(String, Result<Vec<u8>, Status>)> {
    let mut asked = Vec::new();
    for (what, path) in [
        ("reflection", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
        ("old reflection", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
        ("channels", "/grpc.channelz.v1.Channelz/GetServers"),
        ("repository index", "/inference.GRPCInferenceService/RepositoryIndex"),
        ("statistics", "/inference.GRPCInferenceService/ModelStatistics"),
        ("settings", "/inference.GRPCInferenceService/TraceSetting"),
    ] {
        asked.push((what.to_owned(), call(channel, path, Vec::new()).await));
    }
    let of_server = [
        ("live", "/inference.GRPCInferenceService/ServerLive", ServerLiveRequest {}.encode_to_vec()),
        ("ready", "/inference.GRPCInferenceService/ServerReady", ServerReadyRequest {}.encode_to_vec()),
        (
            "metadata",
            "/inference.GRPCInferenceService/ServerMetadata",
            ServerMetadataRequest {}.encode_to_vec(),
        ),
    ];
    for (what, path, message) in of_server {
        asked.push((what.to_owned(), call(channel, path, message).await));
    }
    for guess in GUESSES {
        let (name, version) = (guess.to_owned(), String::new());
        let ready = ModelReadyRequest { name: name.clone(), version: version.clone() }.encode_to_vec();
        let metadata = ModelMetadataRequest { name: name.clone(), version }.encode_to_vec();
        let infer = ModelInferRequest { model_name: name, ..Default::default() }.encode_to_vec();
        for (path, message) in [
            ("/inference.GRPCInferenceService/ModelReady", ready),
            ("/inference.GRPCInferenceService/ModelMetadata", metadata),
            ("/inference.GRPCInferenceService/ModelInfer", infer),
        ] {
            asked.push((format!("model {guess:?}"), call(channel, path, message).await));
        }
    }
    asked
}

/// What a server without tokens says to whoever may connect.
async fn assert_open(channel: &Channel) {
    for (what, answer) in asked(channel).await {
        let told = answer
            .as_ref()
            .map_or_else(|status| format!("{status:?}"), |bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(SECRETS.iter().all(|secret| !told.contains(secret)), "{what}: {told}");
        match (what.as_str(), answer) {
            // `true` in field 1.
            ("live" | "ready", answer) => assert_eq!(answer.unwrap(), [8, 1], "{what}"),
            ("metadata", _) => assert_eq!(told, "\n\u{7}offramp\u{1a}\nofframp.v1", "name and extension"),
            (what, Err(status)) if what.starts_with("model") => {
                let name = what.strip_prefix("model ").unwrap();
                let expected = format!("no model {name} is served here");
                assert_eq!((status.code(), status.message()), (Code::NotFound, expected.as_str()));
            }
            (what, answer) => assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{what}"),
        }
    }
}

/// What is told of the health of `service`.
async fn health(channel: &Channel, service: &str) -> Result<ServingStatus, Code> {
    let asked = HealthCheckRequest { service: service.to_owned() }.encode_to_vec();
    match call(channel, "/grpc.health.v1.Health/Check", asked).await {
        Ok(answer) if answer == [8, 1] => Ok(ServingStatus::Serving),
        Ok(answer) => panic!("{answer:?}"),
        Err(status) => Err(status.code()),
    }
}

async fn plain(running: &Running) -> Channel {
    Endpoint::from_shared(format!("http://{}", running.address)).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn without_tls_a_scanner_learns_that_it_is_offramp_and_no_more() {
    let running = start(loopback());
    assert_http2_and_nothing_else(&said(&running, b"").await);
    assert_http2_and_nothing_else(&said(&running, GET).await);
    let channel = plain(&running).await;
    assert_open(&channel).await;
    for service in ["", "inference.GRPCInferenceService"] {
        assert_eq!(health(&channel, service).await, Ok(ServingStatus::Serving));
    }
    for guess in &GUESSES[1..] {
        assert_eq!(health(&channel, guess).await, Err(Code::NotFound), "{guess}");
    }
}

#[tokio::test]
async fn with_tokens_a_scanner_learns_that_a_token_is_needed_and_whether_it_serves() {
    let files = Files::new();
    let tokens = files.write("tokens", "s3cr3t\n");
    let running = start(Config { tokens: Some(tokens), ..loopback() });
    assert_http2_and_nothing_else(&said(&running, b"").await);
    let channel = plain(&running).await;
    for (what, answer) in asked(&channel).await {
        let status = answer.unwrap_err();
        let expected = (Code::Unauthenticated, "a bearer token that this server knows is needed");
        assert_eq!((status.code(), status.message()), expected, "{what}");
        let told = format!("{status:?}");
        assert!(!told.contains("offramp") && SECRETS.iter().all(|secret| !told.contains(secret)), "{told}");
    }
    assert_eq!(health(&channel, "").await, Ok(ServingStatus::Serving));
    for service in [MODEL, "network"] {
        assert_eq!(health(&channel, service).await, Err(Code::NotFound), "not even to who knows the name");
    }
}

/// Believes everybody, and notes what the server says of itself and of whom it lets in.
#[derive(Debug, Default)]
struct Curious {
    certificates: Mutex<Vec<CertificateDer<'static>>>,
    authorities: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Curious {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(own).chain(between).map(|certificate| certificate.clone().into_owned());
        self.certificates.lock().unwrap().extend(all);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

impl ResolvesClientCert for Curious {
    fn resolve(&self, authorities: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *self.authorities.lock().unwrap() = Some(authorities.concat());
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A handshake of somebody who has no certificate, and what it tells; then what is said to whoever goes on, and how it ends.
async fn shake(running: &Running) -> (Arc<Curious>, Vec<u8>, String) {
    let curious = Arc::new(Curious::default());
    let verifier: Arc<dyn ServerCertVerifier> = curious.clone();
    let mut config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(curious.clone());
    config.alpn_protocols.push(b"h2".to_vec());
    let stream = TcpStream::connect(running.address).await.unwrap();
    let name = ServerName::try_from("scanned.example").unwrap();
    let mut said = Vec::new();
    // In TLS 1.3 the client is done before the server has looked at it.
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let _refused = stream.write_all(GET).await;
    let ended = stream.read_to_end(&mut said).await;
    (curious, said, ended.map_or_else(|error| error.to_string(), |_| String::new()))
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|certificate| certificate.unwrap()).collect()
}

/// Holds a server that speaks TLS to saying nothing without it.
async fn assert_mute(running: &Running) {
    assert_eq!(said(running, b"").await, b"");
    let alert = said(running, GET).await;
    // Source: RFC 8446, sections 5.1 and 6: a fatal alert of two bytes.
    assert!(matches!(alert[..], [21, 3, _, 0, 2, 2, _]), "{alert:?}");
}

#[tokio::test]
async fn with_tls_a_scanner_sees_the_certificate_first() {
    let (authority, files) = (Authority::new(), Files::new());
    let tls = files.tls(&authority, None);
    let pem = std::fs::read_to_string(&tls.certificate).unwrap();
    let running = start(Config { tls: Some(tls), ..loopback() });
    assert_mute(&running).await;
    let (told, greeting, _) = shake(&running).await;
    assert_eq!(*told.certificates.lock().unwrap(), certificates(&pem));
    assert_eq!(*told.authorities.lock().unwrap(), None, "nobody is asked who it is");
    assert_http2_and_nothing_else(&greeting);
    let trusting = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(tonic::transport::Certificate::from_pem(authority.pem()));
    let endpoint = Endpoint::from_shared(format!("https://{}", running.address)).unwrap();
    assert_open(&endpoint.tls_config(trusting).unwrap().connect().await.unwrap()).await;
}

#[tokio::test]
async fn with_client_certificates_a_scanner_sees_certificate_and_authority_and_gets_no_answer() {
    let (authority, clients, files) = (Authority::new(), Authority::new(), Files::new());
    let tls = files.tls(&authority, Some(&clients));
    let pem = std::fs::read_to_string(&tls.certificate).unwrap();
    let running = start(Config { tls: Some(tls), ..loopback() });
    assert_mute(&running).await;
    let (told, greeting, ended) = shake(&running).await;
    assert_eq!(*told.certificates.lock().unwrap(), certificates(&pem));
    let authorities = told.authorities.lock().unwrap().clone().unwrap();
    assert!(String::from_utf8_lossy(&authorities).contains("rcgen self signed cert"), "its name");
    assert_eq!(greeting, b"", "not even settings");
    assert_eq!(ended, "received fatal alert: CertificateRequired");
}

#[tokio::test]
async fn metrics_name_models_to_whoever_reaches_them() {
    let running = start(loopback());
    let text = running.scrape("/metrics").await;
    assert!(text.contains(MODEL) && !text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    let mut shown = String::new();
    for path in ["/", "/debug", "/metrics/"] {
        let _ = write!(shown, "{}", running.scrape(path).await);
    }
    assert!(!shown.contains("offramp"), "{shown}");
    until(async || running.metric("offramp_connections").await == 0).await;
}
