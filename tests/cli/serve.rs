//! `offramp serve` as who runs it meets it: when it starts, when it cannot, when it ends.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::serving::{Serving, bundle_with_tail, refused, until};
use super::{bundle, json, offramp, text};

/// A run that sends every image to `address`.
fn run<'a>(bundle: &'a Path, address: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["run", text(bundle), "--input", "shapes:test:20", "--backend", "tract"];
    arguments.extend(["--offload", address, "--offload-after", "0", "--deadline-ms", "20000", "--json"]);
    arguments
}

/// Holds a server to its work: it answers all images of a run.
#[track_caller]
fn assert_serves(serving: &Serving, bundle: &Path) {
    let report = json(&run(bundle, &serving.address()));
    assert_eq!(report["offload"]["by_peer"], 20, "{}", report["peers"]);
}

#[test]
fn a_ready_server_says_on_one_line_where_it_listens_and_what_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) =
        (bundle_with_tail(folder.path(), "first"), bundle_with_tail(folder.path(), "second"));
    let flags = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let serving = Serving::with(&[&first, &second], &flags, Stdio::null());
    let ready = &serving.ready;
    assert_eq!((&ready["schema_version"], &ready["backend"]["name"]), (&1.into(), &"tract".into()));
    for key in ["tls", "tokens", "client_certificates"] {
        assert_eq!(ready[key], false, "{key}");
    }
    assert_ne!(serving.socket().port(), 0);
    let names: Vec<&str> =
        ready["models"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let [one, other] = names[..] else { panic!("{names:?}") };
    assert!(one.starts_with("first.") && one.ends_with(".tail0.f32"), "{one}");
    assert!(other.starts_with("second.") && other.ends_with(".tail0.f32"), "{other}");
    assert_serves(&serving, &first);
    assert_serves(&serving, &second);
    let metrics = serving.metrics();
    assert!(metrics.starts_with("HTTP/1.1 200 OK"), "{metrics}");
    for name in names {
        // Twenty images and the known question.
        let line = format!("offramp_requests_total{{model=\"{name}\",outcome=\"answered\"}} ");
        let answered = metrics.lines().find_map(|found| found.strip_prefix(&line)).unwrap();
        assert!(answered.parse::<u32>().unwrap() > 20, "{answered}");
    }
}

#[test]
fn a_server_that_cannot_start_says_which_file_is_to_blame() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, good) = (bundle(folder.path()), bundle_with_tail(folder.path(), "good"));
    let path = |name: &str| folder.path().join(name);
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, pem) in [
        ("server.pem", issued.cert.pem()),
        ("server.key", issued.signing_key.serialize_pem()),
        ("other.key", other.signing_key.serialize_pem()),
        ("broken.pem", "no certificate, no key, no token".to_owned()),
        ("empty", "\n".to_owned()),
    ] {
        fs::write(path(name), pem).unwrap();
    }
    let names =
        ["none", "none.pem", "none.key", "server.pem", "server.key", "other.key", "broken.pem", "empty"];
    let [none, no_pem, no_key, pem, key, other, broken, empty] = names.map(path);
    let tls = |pem, key| ["--tls-cert", text(pem), "--tls-key", text(key)];
    let (right, authority) = (tls(&pem, &key), |file| ["--client-ca", text(file)]);
    let pems = "hint: --tls-cert, --tls-key and --client-ca take PEM files";
    let cases: [(&Path, &[&str], i32, [&str; 2]); 15] = [
        (&none, &[], 1, [text(&none), "hint: a bundle is a folder that `offramp split` writes"]),
        (&plain, &[], 1, [text(&plain), "has no tails\n\nhint: `offramp split --tails` writes them"]),
        (&good, &["--wire", "u8"], 1, [text(&good), "has no u8 tails\n\nhint: --wire: its tails are f32"]),
        (&good, &[text(&good)], 1, ["two models are called \"good.", "hint: name every bundle once"]),
        (&good, &[text(&plain)], 1, [text(&plain), "has no tails"]),
        (&good, &tls(&no_pem, &key), 1, [text(&no_pem), "No such file"]),
        (&good, &tls(&pem, &no_key), 1, [text(&no_key), "No such file"]),
        (&good, &tls(&broken, &key), 1, [text(&broken), pems]),
        (&good, &tls(&pem, &broken), 1, [text(&broken), pems]),
        (
            &good,
            &tls(&pem, &other),
            1,
            [text(&other), "hint: --tls-key is the key that --tls-cert was issued for"],
        ),
        (&good, &[&right[..], &authority(&broken)].concat(), 1, [text(&broken), pems]),
        (&good, &["--token-file", text(&none)], 1, [text(&none), "No such file"]),
        (
            &good,
            &["--token-file", text(&empty)],
            1,
            [text(&empty), "hint: --token-file holds one token a line"],
        ),
        (&good, &["--tls-cert", text(&pem)], 2, ["--tls-key <FILE>", "--help"]),
        (&good, &authority(&pem), 2, ["--tls-cert <FILE>", "--help"]),
    ];
    for (bundle, flags, status, expected) in cases {
        let found = refused(&[&[text(bundle)], flags].concat());
        assert_eq!(found.0, status, "{flags:?}: {}", found.1);
        for expected in expected {
            assert!(found.1.contains(expected), "{flags:?} lacks {expected:?}: {}", found.1);
        }
    }
}

#[test]
fn a_tail_that_was_changed_under_its_name_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tail(folder.path(), "network");
    let tail = bundle.join("tails/0.f32.onnx");
    let mut bytes = fs::read(&tail).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&tail, bytes).unwrap();
    let (status, told) = refused(&[text(&bundle)]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("tails/0.f32.onnx was changed"), "{told}");
}

#[test]
fn a_second_server_on_one_port_fails_with_the_address_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tail(folder.path(), "network");
    let serving = Serving::start(&bundle, &[]);
    let taken = serving.socket().to_string();
    let output = offramp(&["serve", text(&bundle), "--listen", &taken, "--backend", "tract", "--json"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{told}");
    assert!(told.contains(&format!("error: cannot listen on {taken}: Address already in use")), "{told}");
    assert!(told.contains("hint: another server may have the port; port 0 takes a free one"), "{told}");
    assert_serves(&serving, &bundle);
}

#[test]
fn a_server_says_at_its_start_what_is_open_and_nothing_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tail(folder.path(), "network");
    let path = |name: &str| folder.path().join(name);
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(path("server.pem"), issued.cert.pem()).unwrap();
    fs::write(path("server.key"), issued.signing_key.serialize_pem()).unwrap();
    fs::write(path("tokens"), "s3cr3t-token\n").unwrap();
    let (pem, key, tokens, log) = (path("server.pem"), path("server.key"), path("tokens"), path("log"));
    let tls = ["--tls-cert", text(&pem), "--tls-key", text(&key)];
    let (token, authority) = (["--token-file", text(&tokens)], ["--client-ca", text(&pem)]);
    let readable = "no TLS: whoever listens in on this machine reads images and answers";
    let secrets = "no TLS: whoever listens in on this machine reads tokens, images and answers";
    let everybody = "no token and no client certificates: everybody on this machine is let in";
    let cases: [(&[&[&str]], &[&str]); 5] = [
        (&[], &[readable, everybody]),
        (&[&token], &[secrets]),
        (&[&tls], &[everybody]),
        (&[&tls, &token], &[]),
        (&[&tls, &authority], &[]),
    ];
    for (flags, expected) in cases {
        let serving = Serving::logged(&bundle, &flags.concat(), &log);
        // The last thing that is said before the line on stdout.
        let told = fs::read_to_string(&log).unwrap();
        assert!(told.contains("listening"), "{told}");
        let warnings: Vec<&str> = told.lines().filter(|line| line.contains(" WARN ")).collect();
        assert_eq!(warnings.len(), expected.len(), "{flags:?}: {told}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.contains(expected), "{flags:?}: {warning}");
        }
        let has = |flag: &[&str]| flags.contains(&flag);
        let said = ["tls", "tokens", "client_certificates"].map(|key| serving.ready[key].as_bool().unwrap());
        assert_eq!(said, [has(&tls), has(&token), has(&authority)]);
    }
}

#[test]
fn tokens_are_in_no_log_of_either_side_whatever_becomes_of_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tail(folder.path(), "network");
    let path = |name: &str| folder.path().join(name);
    let (tokens, wrong, log) = (path("tokens"), path("wrong"), path("log"));
    fs::write(&tokens, "s3cr3t-token\n").unwrap();
    fs::write(&wrong, "s3cr3t-guess\n").unwrap();
    for format in ["text", "json"] {
        let flags = ["--token-file", text(&tokens), "--log-level", "debug", "--log-format", format];
        let serving = Serving::logged(&bundle, &flags, &log);
        let address = serving.address();
        for (token, by_peer) in [(&tokens, 20), (&wrong, 0)] {
            let output = offramp(&[&run(&bundle, &address)[..], &["--token-file", text(token)]].concat());
            let (report, told) =
                (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            let read: Value = serde_json::from_str(&report).unwrap();
            assert_eq!(read["offload"]["by_peer"], by_peer, "{told}");
            assert!(!report.contains("s3cr3t") && !told.contains("s3cr3t"), "{report}{told}");
        }
        // Read again, and told so.
        fs::write(&tokens, format!("s3cr3t-token\ns3cr3t-of-{format}\n")).unwrap();
        let logged = || fs::read_to_string(&log).unwrap();
        until(|| logged().contains("tokens read again"));
        assert!(logged().contains("request turned away: no token that is known"), "{}", logged());
        assert!(!logged().contains("s3cr3t"), "{}", logged());
        fs::write(&tokens, "s3cr3t-token\n").unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn logs_on_a_full_disk_do_not_stop_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tail(folder.path(), "network");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let flags = ["--listen", "127.0.0.1:0", "--log-level", "debug"];
    let serving = Serving::with(&[&bundle], &flags, full.into());
    assert_serves(&serving, &bundle);
    serving.signal("-TERM");
    assert_eq!(serving.ended().code(), Some(0));
}

/// A run of images that come slowly, begun: its server has answered some of them.
#[cfg(unix)]
fn begun(serving: &Serving, bundle: &Path, address: &str) -> std::process::Child {
    let mut slow = Command::new(env!("CARGO_BIN_EXE_offramp"));
    slow.args(run(bundle, address)).args(["--rate", "10"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = slow.spawn().unwrap();
    until(|| serving.answered() > 5);
    child
}

/// Report and stderr of a run whose server went away.
#[cfg(unix)]
fn survived(child: std::process::Child) -> (Value, String) {
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["images"], &report["offload"]["degraded"]), (&20.into(), &0.into()), "{report}");
    assert!(report["offload"]["by_peer"].as_u64().unwrap() >= 5, "{report}");
    (report, told)
}

#[cfg(unix)]
#[test]
fn sigterm_drains_a_server_and_costs_no_image_its_answer() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let (bundle, log) = (bundle_with_tail(folder.path(), "network"), folder.path().join("log"));
        let flags = ["--metrics-listen", "127.0.0.1:0"];
        let serving = Serving::logged(&bundle, &flags, &log);
        let address = serving.address();
        let running = begun(&serving, &bundle, &address);
        serving.signal(signal);
        assert_eq!(serving.ended().code(), Some(0), "{signal}");
        let told = fs::read_to_string(&log).unwrap();
        assert!(told.contains("draining") && told.contains("drained"), "{told}");
        assert!(!told.contains("--drain-seconds were not enough"), "{told}");
        let (report, told) = survived(running);
        let lost = format!("note: peer {address} was lost while images ran, it is ");
        assert!(told.contains(&lost), "{told}");
        assert_ne!(report["peers"][0]["state"], "closed");
    }
}

#[cfg(unix)]
#[test]
fn a_killed_server_is_told_by_the_run_and_its_port_serves_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tail(folder.path(), "network");
    let serving = Serving::start(&bundle, &["--metrics-listen", "127.0.0.1:0"]);
    let (socket, address) = (serving.socket().to_string(), serving.address());
    let _idle = TcpStream::connect(serving.socket()).unwrap();
    let running = begun(&serving, &bundle, &address);
    serving.signal("-KILL");
    assert_eq!(serving.ended().code(), None);
    let (report, told) = survived(running);
    let peer = &report["peers"][0];
    let (state, error) =
        (peer["state"].as_str().unwrap().replace('_', "-"), peer["last_error"].as_str().unwrap());
    let lost = format!("note: peer {address} was lost while images ran, it is {state} now: {error}\n");
    assert!(told.ends_with(&lost), "lacks {lost:?}: {told}");
    let again = Serving::with(&[&bundle], &["--listen", &socket], Stdio::null());
    assert_eq!(again.socket().to_string(), socket);
    assert_serves(&again, &bundle);
}
