//! Who vouches for whom: what does not hold is refused for good, told once, and costs no image its answer.

use std::path::PathBuf;

use offramp_offload::client::{Address, Client, State, Summary, Tls};
use offramp_runtime::executor::LocalCompletion;
use offramp_runtime::remote::By;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;
use tonic::transport::server::ServerTlsConfig;
use tonic::transport::{Certificate, Identity};

use crate::bench::{PATIENCE, client, config, here, run, table, until};
use crate::fake::{Fake, Setup};
use crate::scripted::Table;

struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
struct Issued {
    certificate: String,
    key: String,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for the name `localhost`.
    fn issue(&self, usage: ExtendedKeyUsagePurpose, expired: bool) -> Issued {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        if expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn server(&self) -> Issued {
        self.issue(ExtendedKeyUsagePurpose::ServerAuth, false)
    }

    fn client(&self) -> Issued {
        self.issue(ExtendedKeyUsagePurpose::ClientAuth, false)
    }
}

fn serve(table: &Table, server: &Issued, clients: Option<&Ca>) -> Fake {
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(&server.certificate, &server.key));
    if let Some(ca) = clients {
        tls = tls.client_ca_root(Certificate::from_pem(ca.0.pem()));
    }
    Fake::start_on(0, Setup::of(table), Some(tls))
}

/// A client's files.
struct Files {
    folder: TempDir,
    tls: Tls,
}

impl Files {
    fn new(ca: &Ca, identity: Option<&Issued>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Self { folder, tls: Tls::default() };
        files.tls.ca = Some(files.write("ca.pem", &ca.0.pem()));
        files.tls.identity = identity.map(|issued| {
            (files.write("cert.pem", &issued.certificate), files.write("key.pem", &issued.key))
        });
        files
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn connect(table: &Table, fake: &Fake, tls: &Tls) -> Client {
    let mut config = config(vec![Address::secure("localhost", fake.port)]);
    config.tls = tls.clone();
    client(config, table, 1)
}

#[track_caller]
fn answers(table: &Table, client: &mut Client) -> Vec<Option<By>> {
    let said = run(table, client, 0..table.images(), PATIENCE, LocalCompletion::InTime);
    for (image, said) in said.iter().enumerate() {
        assert_eq!((said.exit, said.predicted), here(table, image));
    }
    said.iter().map(|said| said.by).collect()
}

/// What a peer comes to that is not believed, or does not believe.
#[track_caller]
fn refused(table: &Table, fake: &Fake, tls: &Tls) -> Summary {
    let mut client = connect(table, fake, tls);
    assert!(!client.wait_for_peer(PATIENCE));
    assert_eq!(answers(table, &mut client), vec![None; table.images()]);
    let summary = client.summary();
    assert_eq!((summary.peers[0].state, fake.requests()), (State::Disabled, 0), "{summary:?}");
    summary
}

#[track_caller]
fn assert_told(summary: &Summary, text: &str) {
    let error = summary.peers[0].last_error.as_deref().unwrap();
    assert!(error.contains(text), "{error}");
}

#[test]
fn a_peer_that_the_ca_vouches_for_is_used_and_so_is_one_that_asks_who_is_there() {
    let (table, ca) = (table(3), Ca::new());
    for clients in [None, Some(&ca)] {
        let fake = serve(&table, &ca.server(), clients);
        let files = Files::new(&ca, clients.map(|ca| ca.client()).as_ref());
        let mut client = connect(&table, &fake, &files.tls);
        assert!(client.wait_for_peer(PATIENCE), "{:?}", client.summary());
        assert_eq!(answers(&table, &mut client), [Some(By::Peer); 3]);
    }
}

#[test]
fn a_peer_that_another_ca_vouches_for_is_not_believed() {
    let table = table(2);
    let fake = serve(&table, &Ca::new().server(), None);
    let summary = refused(&table, &fake, &Files::new(&Ca::new(), None).tls);
    assert_told(&summary, "invalid peer certificate: ");
}

#[test]
fn a_peer_whose_certificate_has_expired_is_not_believed() {
    let (table, ca) = (table(2), Ca::new());
    let fake = serve(&table, &ca.issue(ExtendedKeyUsagePurpose::ServerAuth, true), None);
    assert_told(&refused(&table, &fake, &Files::new(&ca, None).tls), "expired");
}

#[test]
fn a_peer_under_another_name_is_not_believed() {
    let (table, ca) = (table(2), Ca::new());
    let fake = serve(&table, &ca.server(), None);
    let mut config = config(vec![Address::secure("127.0.0.1", fake.port)]);
    let files = Files::new(&ca, None);
    config.tls = files.tls.clone();
    let mut client = client(config, &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    assert_eq!(client.summary().peers[0].state, State::Disabled);
    assert_told(&client.summary(), "not valid for name");
}

#[test]
fn a_peer_that_asks_who_is_there_refuses_those_who_do_not_say() {
    let (table, ca) = (table(2), Ca::new());
    let fake = serve(&table, &ca.server(), Some(&ca));
    assert_told(&refused(&table, &fake, &Files::new(&ca, None).tls), "received fatal alert: ");
}

#[test]
fn a_peer_that_asks_who_is_there_refuses_those_whom_another_ca_vouches_for() {
    let (table, ca) = (table(2), Ca::new());
    let fake = serve(&table, &ca.server(), Some(&ca));
    let stranger = Ca::new().client();
    assert_told(&refused(&table, &fake, &Files::new(&ca, Some(&stranger)).tls), "received fatal alert: ");
}

#[test]
fn a_peer_that_asks_who_is_there_refuses_a_certificate_that_has_expired() {
    let (table, ca) = (table(2), Ca::new());
    let fake = serve(&table, &ca.server(), Some(&ca));
    let expired = ca.issue(ExtendedKeyUsagePurpose::ClientAuth, true);
    assert_told(&refused(&table, &fake, &Files::new(&ca, Some(&expired)).tls), "received fatal alert: ");
}

#[test]
fn renewed_files_are_used_when_the_peer_is_checked_again() {
    let (table, ca) = (table(2), Ca::new());
    let fake = serve(&table, &ca.server(), Some(&ca));
    let expired = ca.issue(ExtendedKeyUsagePurpose::ClientAuth, true);
    let files = Files::new(&ca, Some(&expired));
    let mut client = connect(&table, &fake, &files.tls);
    assert!(!client.wait_for_peer(PATIENCE));
    let renewed = ca.client();
    files.write("cert.pem", &renewed.certificate);
    files.write("key.pem", &renewed.key);
    until(&client, |summary| summary.peers[0].state == State::Closed);
    assert_eq!(answers(&table, &mut client), [Some(By::Peer); 2]);
}

#[test]
fn a_plain_client_of_a_tls_peer_gets_nowhere() {
    let (table, ca) = (table(2), Ca::new());
    let fake = serve(&table, &ca.server(), None);
    let mut client = client(config(vec![fake.address()]), &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    assert_eq!((answers(&table, &mut client), fake.requests()), (vec![None; 2], 0));
}

#[test]
fn a_tls_client_of_a_plain_peer_gets_nowhere() {
    let (table, ca) = (table(2), Ca::new());
    let fake = Fake::start(Setup::of(&table));
    let mut client = connect(&table, &fake, &Files::new(&ca, None).tls);
    assert!(!client.wait_for_peer(PATIENCE));
    assert_eq!((answers(&table, &mut client), fake.requests()), (vec![None; 2], 0));
}
