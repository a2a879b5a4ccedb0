//! Device and server that do not know each other: what the device says of it, and that its images keep their answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offramp_offload::link::{Link, Profile};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::serving::{Serving, bundle_with_tail};
use super::{offramp, text};

use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

/// A bundle, an authority, and a folder for what it signs.
struct World {
    folder: TempDir,
    bundle: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
    runtime: Runtime,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bundle = bundle_with_tail(folder.path(), "network");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let world = Self { bundle, authority: authority(), folder, runtime };
        world.write("ca.pem", &world.authority.pem());
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Certificate and key of `localhost`, as `NAME.pem` and `NAME.key`.
    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose, expired: bool) -> [PathBuf; 2] {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        if expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        [
            self.write(&format!("{name}.pem"), &certificate.pem()),
            self.write(&format!("{name}.key"), &key.serialize_pem()),
        ]
    }

    /// A server with a certificate of the authority.
    fn serve(&self, expired: bool, flags: &[&str]) -> Serving {
        let [certificate, key] = self.issue("server", ServerAuth, expired);
        let tls = ["--tls-cert", text(&certificate), "--tls-key", text(&key)];
        Serving::start(&self.bundle, &[&tls, flags].concat())
    }

    /// Report and stderr of a run over TLS that trusts the authority in `ca`. The link is no faster than a real one: in TLS 1.3 a
    /// server that hangs up within microseconds is gone before the device has asked it anything, and nobody says why.
    fn run(&self, serving: &Serving, ca: &Path, flags: &[&str]) -> (Value, String) {
        let profile = Profile::symmetric(1_000_000_000, Duration::from_millis(10));
        let link = Link::start(&profile, serving.socket(), self.runtime.handle(), |_| ()).unwrap();
        let peer = format!("grpcs://localhost:{}", link.address().port());
        let run = ["run", text(&self.bundle), "--input", "shapes:test:10", "--backend", "tract", "--json"];
        let offload =
            ["--offload", &peer, "--offload-after", "0", "--deadline-ms", "20000", "--ca", text(ca)];
        let output = offramp(&[&run[..], &offload, flags].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        (serde_json::from_slice(&output.stdout).unwrap(), told)
    }

    fn believed(&self, serving: &Serving, flags: &[&str]) {
        let (report, told) = self.run(serving, &self.path("ca.pem"), flags);
        assert_eq!((&report["images"], &report["offload"]["by_peer"]), (&10.into(), &10.into()), "{told}");
        assert!(told.contains("it answers as the bundle says") && !told.contains("note: "), "{told}");
    }

    /// All images stay, and stderr says why in words that name the reason.
    fn refused(&self, serving: &Serving, ca: &Path, flags: &[&str], reason: &str) {
        let (report, told) = self.run(serving, ca, flags);
        assert_eq!((&report["images"], &report["offload"]["sent"]), (&10.into(), &0.into()), "{told}");
        let peer = &report["peers"][0];
        assert_eq!(peer["state"], "disabled", "{report}");
        assert!(peer["last_error"].as_str().unwrap().contains(reason), "{peer}");
        let note = format!("note: peer {} is not used: ", peer["peer"].as_str().unwrap());
        let why = told.lines().find_map(|line| line.strip_prefix(&note));
        assert!(why.is_some_and(|why| why.contains(reason)), "lacks {note:?} and {reason:?}: {told}");
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn a_device_says_why_it_does_not_believe_a_servers_certificate() {
    let world = World::new();
    let stranger = world.write("stranger.pem", &authority().pem());
    let serving = world.serve(false, &[]);
    world.refused(&serving, &stranger, &[], "invalid peer certificate: ");
    world.believed(&serving, &[]);
    drop(serving);
    let serving = world.serve(true, &[]);
    world.refused(&serving, &world.path("ca.pem"), &[], "certificate expired");
}

#[test]
fn a_device_says_why_a_server_that_wants_certificates_does_not_believe_it() {
    let world = World::new();
    let ca = world.path("ca.pem");
    let serving = world.serve(false, &["--client-ca", text(&ca)]);
    let [certificate, key] = world.issue("device", ClientAuth, false);
    let [expired, of_expired] = world.issue("expired", ClientAuth, true);
    world.refused(&serving, &ca, &[], "CertificateRequired");
    world.refused(
        &serving,
        &ca,
        &["--cert", text(&expired), "--key", text(&of_expired)],
        "CertificateExpired",
    );
    world.believed(&serving, &["--cert", text(&certificate), "--key", text(&key)]);
}

#[test]
fn a_device_says_that_its_token_is_not_the_servers() {
    let world = World::new();
    let (tokens, wrong) = (world.write("tokens", "one\nright\n"), world.write("wrong", "wrong"));
    let right = world.write("right", "right");
    let serving = world.serve(false, &["--token-file", text(&tokens)]);
    let (ca, reason) = (world.path("ca.pem"), "a bearer token that this server knows is needed");
    world.refused(&serving, &ca, &[], reason);
    world.refused(&serving, &ca, &["--token-file", text(&wrong)], reason);
    world.believed(&serving, &["--token-file", text(&right)]);
}

#[test]
fn files_of_a_device_that_hold_no_certificate_or_key_are_named() {
    let world = World::new();
    let (ca, broken) = (world.path("ca.pem"), world.write("broken.pem", "nothing"));
    let [certificate, key] = world.issue("device", ClientAuth, false);
    let run = ["run", text(&world.bundle), "--input", "shapes:test:1", "--backend", "tract"];
    let offload = ["--offload", "grpcs://localhost:1", "--offload-after", "0"];
    let none = |what: &str| {
        format!("there is no {what} in {}\n\nhint: --ca, --cert and --key take PEM files", text(&broken))
    };
    let cases: [([&Path; 3], &str); 3] = [
        ([&broken, &certificate, &key], "certificate"),
        ([&ca, &broken, &key], "certificate"),
        ([&ca, &certificate, &broken], "private key"),
    ];
    for ([ca, certificate, key], what) in cases {
        let files = ["--ca", text(ca), "--cert", text(certificate), "--key", text(key)];
        let (status, told) = super::refusal(&[&run[..], &offload, &files].concat());
        assert!(status == 1 && told.contains(&none(what)), "{status}: {told}");
    }
}
