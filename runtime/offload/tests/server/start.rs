//! Servers that cannot start.

use offramp_models::{Causes, DType};
use offramp_offload::server::{Config, ServeError, Server, Signature, TlsFiles};

use crate::scripted::{MODEL, Running, Runs, loopback, model, prepared, spec};

fn refusal(config: Config, models: Vec<offramp_offload::server::Model>) -> String {
    let error: ServeError = Server::bind(config, models).err().unwrap();
    Causes(&error).to_string()
}

fn one() -> Vec<offramp_offload::server::Model> {
    vec![model(MODEL, DType::Float32, &Runs::default())]
}

#[tokio::test]
async fn a_second_server_on_one_port_is_told_which_is_taken() {
    let (running, _runs) = Running::scripted(loopback());
    let message = refusal(Config { listen: running.address, ..loopback() }, one());
    let expected = format!("cannot listen on {}: Address already in use", running.address);
    assert!(message.starts_with(&expected), "{message}");
    let message = refusal(Config { metrics: Some(running.address), ..loopback() }, one());
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn a_server_serves_at_least_one_model_and_none_twice() {
    assert_eq!(refusal(loopback(), vec![]), "no model to serve");
    let twice = one().into_iter().chain(one()).collect();
    assert_eq!(refusal(loopback(), twice), format!("two models are called \"{MODEL}\""));
}

#[test]
fn a_model_that_does_not_run_is_named_before_anything_is_served() {
    let signature = Signature {
        name: MODEL.to_owned(),
        inputs: vec![spec("cut", DType::Float32, &[None, Some(2)])],
        outputs: vec![spec("exit1", DType::Float32, &[None, Some(3)])],
    };
    let models = vec![prepared(signature, &Runs::default(), Some(0))];
    let expected = format!("model \"{MODEL}\" does not run: {MODEL} failed: scripted failure at image 0");
    assert_eq!(refusal(loopback(), models), expected);
}

#[test]
fn secrets_that_are_missing_or_broken_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("broken.pem"), "no certificate").unwrap();
    let tls = |certificate: &str| {
        let files =
            TlsFiles { certificate: path(certificate), key: path("broken.pem"), client_authority: None };
        Config { tls: Some(files), ..loopback() }
    };
    let tokens = Config { tokens: Some(path("tokens")), ..loopback() };
    let message = |config| refusal(config, one()).replace(folder.path().to_str().unwrap(), "DIR");
    assert!(message(tokens).starts_with("cannot read DIR/tokens: No such file"));
    assert!(message(tls("none.pem")).starts_with("cannot read DIR/none.pem: No such file"));
    let none = |what: &str, file: &str| format!("there is no {what} in DIR/{file}, or none that can be read");
    assert_eq!(message(tls("broken.pem")), none("certificate", "broken.pem"));

    let issue = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (first, second) = (issue(), issue());
    std::fs::write(path("server.pem"), first.cert.pem()).unwrap();
    assert_eq!(message(tls("server.pem")), none("private key", "broken.pem"));
    std::fs::write(path("first.key"), first.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("second.key"), second.signing_key.serialize_pem()).unwrap();
    let of = |key: &str, authority: Option<&str>| {
        let client_authority = authority.map(path);
        let files = TlsFiles { certificate: path("server.pem"), key: path(key), client_authority };
        Config { tls: Some(files), ..loopback() }
    };
    assert_eq!(message(of("first.key", Some("broken.pem"))), none("certificate", "broken.pem"));
    let other = message(of("second.key", None));
    assert!(
        other.starts_with("certificate DIR/server.pem with key DIR/second.key cannot be used: "),
        "{other}"
    );
    // A certificate by its form, and not by what is in it: nobody could be let in.
    std::fs::write(path("empty.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let empty = message(of("first.key", Some("empty.pem")));
    assert!(empty.contains(" and client authority DIR/empty.pem cannot be used: "), "{empty}");
    assert!(Server::bind(of("first.key", Some("server.pem")), one()).is_ok());
}
