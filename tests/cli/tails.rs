//! What `split --tails` writes and says, and how `verify` holds it against the segments.

use super::{bundle, json, offramp, refusal, root, text};

#[test]
fn tails_are_told_with_the_names_that_servers_know_them_by() {
    let folder = tempfile::tempdir().unwrap();
    let (out, model) = (folder.path().join("bundle"), root().join("models/zoo/shapes-sdn.onnx"));
    let split = ["split", text(&model), "-o", text(&out), "--backend", "tract", "--json"];
    let told = json(&[&split[..], &["--tails"]].concat());
    let tails = told["tails"].as_array().unwrap();
    assert_eq!(tails.len(), 6);
    for (cut, tail) in tails.iter().enumerate() {
        let name = tail["name"].as_str().unwrap();
        assert!(name.starts_with("shapes-sdn.") && name.ends_with(&format!(".tail{cut}.f32")), "{name}");
        assert_eq!(tail["outputs"].as_array().unwrap().len(), 6 - cut);
        assert!(out.join(tail["file"].as_str().unwrap()).is_file());
        assert!(out.join(tail["canary"]["file"].as_str().unwrap()).is_file());
    }
    assert_eq!(tails[0]["inputs"][0]["name"], "image");
    assert_eq!(told["tail_proofs"].as_array().unwrap().len(), 1, "the engine that was asked for");
    assert!(told["agreements"].as_array().unwrap().is_empty());
    let identity = told["bundle"]["identity"].clone();
    let plain = json(&[&split[..], &["--force"]].concat());
    assert_eq!(plain["bundle"]["identity"], identity);
    assert!(plain["tails"].as_array().unwrap().is_empty() && !out.join("tails").exists());
}

#[test]
fn bytes_are_told_with_what_they_save_and_change() {
    let folder = tempfile::tempdir().unwrap();
    let (out, model) = (folder.path().join("bundle"), root().join("models/zoo/shapes-sdn.onnx"));
    let split = ["split", text(&model), "-o", text(&out), "--backend", "tract"];
    let wire = ["--tails", "0,3", "--wire", "u8", "--wire-data", "shapes:calibration", "--wire-limit", "40"];
    let told = json(&[&split[..], &wire, &["--json"]].concat());
    let cuts = |rows: &serde_json::Value, key: &str| {
        rows.as_array().unwrap().iter().map(|row| row[key].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(cuts(&told["tails"], "cut"), [0, 0, 3, 3]);
    assert_eq!(cuts(&told["agreements"], "cut"), [0, 3]);
    for row in told["agreements"].as_array().unwrap() {
        assert_eq!(row["images"], 40);
        assert_eq!(row["f32_bytes"].as_u64().unwrap(), 4 * row["u8_bytes"].as_u64().unwrap());
        assert_eq!(row["image_bytes"], 3 * 32 * 32);
        assert!(row["agreement"].as_f64().unwrap() > 0.9, "{row}");
    }
    assert_eq!(told["agreements"][0]["agreement"], 1.0, "pictures lose nothing");

    let verify = ["verify", text(&out), "--against", text(&model), "--backend", "tract"];
    let found =
        json(&[&verify[..], &["--wire-data", "shapes:test", "--wire-limit", "30", "--json"]].concat());
    assert_eq!(found["holds"], true);
    assert_eq!(cuts(&found["tail_proof"]["tails"], "cut"), [0, 0, 3, 3]);
    assert_eq!(cuts(&found["agreements"], "images"), [30, 30]);
    let output = offramp(&verify);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("4 tails answer as the segments"), "{said}");
}

#[test]
fn a_changed_tail_fails_verification_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (out, model) = (folder.path().join("bundle"), root().join("models/zoo/shapes-sdn.onnx"));
    json(&["split", text(&model), "-o", text(&out), "--backend", "tract", "--tails", "2", "--json"]);
    let tail = out.join("tails/2.f32.onnx");
    let mut bytes = std::fs::read(&tail).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&tail, bytes).unwrap();
    let (status, message) = refusal(&["verify", text(&out), "--against", text(&model), "--backend", "tract"]);
    assert_eq!(status, 1);
    assert!(message.contains("tails/2.f32.onnx was changed"), "{message}");
}

#[test]
fn a_bundle_without_tails_is_verified_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let model = root().join("models/zoo/shapes-sdn.onnx");
    let found = json(&["verify", text(&bundle), "--against", text(&model), "--backend", "tract", "--json"]);
    assert_eq!((&found["holds"], &found["tail_proof"]), (&true.into(), &serde_json::Value::Null));
}

#[test]
fn flags_of_tails_that_make_no_sense_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (out, model) = (folder.path().join("bundle"), root().join("models/zoo/shapes-sdn.onnx"));
    let cases: [(&[&str], &str); 7] = [
        (&["--tails", "6"], "cuts 0 to 5"),
        (&["--tails", "0,-1"], "0 or more"),
        (&["--tails", "a"], "the model comes before --tails"),
        (&["--tails", "--no-proof"], "cannot be used with"),
        (&["--tails", "--wire", "u8"], "--wire-data"),
        (&["--tails", "--wire", "f16"], "expected f32 or u8"),
        (&["--wire", "u8", "--wire-data", "shapes:test"], "--tails"),
    ];
    for (flags, expected) in cases {
        let split = ["split", text(&model), "-o", text(&out), "--backend", "tract"];
        let (status, message) = refusal(&[&split[..], flags].concat());
        assert_eq!(status, 2, "{flags:?}: {message}");
        assert!(message.contains(expected), "{flags:?} lacks {expected:?}: {message}");
        assert!(!out.exists(), "{flags:?} wrote something");
    }
}

#[test]
fn an_export_says_what_it_wrote_and_refuses_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, model) = (folder.path().join("bundle"), root().join("models/zoo/shapes-sdn.onnx"));
    json(&["split", text(&model), "-o", text(&bundle), "--backend", "tract", "--tails", "0,2", "--json"]);
    let models = folder.path().join("models");
    let triton = ["export", "triton", text(&bundle), text(&models)];
    let told = json(&[&triton[..], &["--max-batch", "8", "--queue", "5", "--json"]].concat());
    assert_eq!((&told["server"], told["tails"].as_array().unwrap().len()), (&"triton".into(), 2));
    let name = told["tails"][1]["name"].as_str().unwrap();
    let config = std::fs::read_to_string(models.join(name).join("config.pbtxt")).unwrap();
    assert!(config.contains("max_batch_size: 8") && config.contains("max_queue_size: 5"), "{config}");
    assert!(config.contains("platform: \"onnxruntime_onnx\""), "{config}");

    let (status, message) = refusal(&triton);
    assert_eq!(status, 1);
    assert!(message.contains("exists") && message.contains("--force replaces it"), "{message}");
    json(&[&triton[..], &["--platform", "python", "--force", "--json"]].concat());
    assert!(models.join(name).join("1/model.py").is_file());
    let (status, message) = refusal(&[&triton[..], &["--force", "--wire", "u8"]].concat());
    assert_eq!(status, 1);
    assert!(message.contains("no tails for wire form u8") && message.contains("--wire-data"), "{message}");
    for (flags, expected) in [
        (["--max-batch", "0"], "1 or more"),
        (["--queue", "x"], "1 or more"),
        (["--wire", "f16"], "f32 or u8"),
    ] {
        let (status, message) = refusal(&[&triton[..], &flags].concat());
        assert_eq!(status, 2, "{message}");
        assert!(message.contains(expected), "{message}");
    }
    for server in ["mlserver", "kserve"] {
        let target = folder.path().join(server);
        let told = json(&["export", server, text(&bundle), text(&target), "--json"]);
        assert_eq!(told["server"], server);
        assert!(target.join(name).join("model.onnx").is_file());
    }
}
