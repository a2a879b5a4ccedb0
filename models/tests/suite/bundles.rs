use std::fs;
use std::path::Path;

use offramp_models::{Bundle, DType, Manifest};
use tempfile::TempDir;

use crate::sample::{chain, content, manifest};

fn write(dir: &Path, manifest: &Manifest) {
    for folder in ["segments", "policies"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    for segment in &manifest.segments {
        fs::write(dir.join(&segment.file), content(segment.index)).unwrap();
    }
    fs::write(dir.join("policies/default.json"), "{}").unwrap();
    fs::write(dir.join("manifest.json"), serde_json::to_vec_pretty(manifest).unwrap()).unwrap();
}

fn bundle() -> (TempDir, Bundle) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &manifest());
    let bundle = Bundle::open(dir.path()).unwrap();
    (dir, bundle)
}

/// The refusal with the folder's name taken out.
fn refusal(dir: &TempDir, error: &dyn std::error::Error) -> String {
    chain(error)
        .replace(&dir.path().canonicalize().unwrap().display().to_string(), "BUNDLE")
        .replace(&dir.path().display().to_string(), "BUNDLE")
}

#[test]
fn an_untouched_bundle_passes_its_check() {
    let (dir, bundle) = bundle();
    bundle.check().unwrap();
    assert_eq!(bundle.manifest(), &manifest());
    assert_eq!(bundle.identity(), manifest().identity());
    assert_eq!(bundle.segment_path(1), Some(dir.path().join("segments/1.onnx")));
    assert_eq!(bundle.segment_path(2), None);
}

#[test]
fn a_changed_file_is_named_with_both_digests() {
    let (dir, bundle) = bundle();
    fs::write(dir.path().join("segments/1.onnx"), "another graph").unwrap();
    insta::assert_snapshot!(refusal(&dir, &bundle.check().unwrap_err()), @"BUNDLE/segments/1.onnx was changed: its SHA-256 is d72f78e81a8a8daa3c673eda63218d3a4ffc65942999701c8d68c70441273ada, the manifest expects db29fd3ef715567f6f6ad897cb97cdf3f233ece8e464d01965f4399924ca7b7e");
}

#[test]
fn a_changed_extra_is_found_too() {
    let (dir, bundle) = bundle();
    fs::write(dir.path().join("policies/default.json"), "{ }").unwrap();
    insta::assert_snapshot!(refusal(&dir, &bundle.check().unwrap_err()), @"BUNDLE/policies/default.json was changed: its SHA-256 is 257c1be96ae69f4b01c2c69bdb6d78605f59175819fb007d0bf245bf48444c4a, the manifest expects 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

#[test]
fn a_missing_file_is_named() {
    let (dir, bundle) = bundle();
    fs::remove_file(dir.path().join("segments/0.onnx")).unwrap();
    insta::assert_snapshot!(refusal(&dir, &bundle.check().unwrap_err()), @"cannot read BUNDLE/segments/0.onnx: No such file or directory (os error 2)");
}

#[test]
fn a_folder_without_manifest_is_no_bundle() {
    let dir = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(refusal(&dir, &Bundle::open(dir.path()).unwrap_err()), @"BUNDLE is not a bundle: it has no manifest.json");
    insta::assert_snapshot!(refusal(&dir, &Bundle::open(dir.path().join("x")).unwrap_err()), @"cannot read BUNDLE/x/manifest.json: No such file or directory (os error 2)");
}

#[test]
fn a_manifest_that_does_not_hold_together_is_named_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut broken = manifest();
    broken.input.dtype = DType::Bool;
    write(dir.path(), &broken);
    insta::assert_snapshot!(refusal(&dir, &Bundle::open(dir.path()).unwrap_err()), @r#"BUNDLE/manifest.json: "image" bool [batch, 3, 32, 32] cannot be the network's input, expected float32 or uint8"#);
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_bundle_is_refused_even_where_its_digest_fits() {
    let outside = tempfile::tempdir().unwrap();
    let (dir, bundle) = bundle();
    let (file, target) = (dir.path().join("segments/1.onnx"), outside.path().join("1.onnx"));
    fs::rename(&file, &target).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    let refused = refusal(&dir, &bundle.check().unwrap_err());
    let target = target.canonicalize().unwrap();
    let expected = format!(
        "BUNDLE/segments/1.onnx is a link to {}, which does not lie inside the bundle",
        target.display()
    );
    assert_eq!(refused, expected);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_before_it_is_opened() {
    let (dir, bundle) = bundle();
    for file in ["segments/1.onnx", "manifest.json"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("segments/1.onnx")).unwrap();
    insta::assert_snapshot!(refusal(&dir, &bundle.check().unwrap_err()), @"cannot read BUNDLE/segments/1.onnx: not a regular file");
    fs::create_dir(dir.path().join("manifest.json")).unwrap();
    insta::assert_snapshot!(refusal(&dir, &Bundle::open(dir.path()).unwrap_err()), @"cannot read BUNDLE/manifest.json: not a regular file");
}

#[cfg(unix)]
#[test]
fn a_bundle_may_itself_be_reached_by_a_link() {
    let (dir, _) = bundle();
    let other = tempfile::tempdir().unwrap();
    let link = other.path().join("bundle");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    Bundle::open(link).unwrap().check().unwrap();
}
