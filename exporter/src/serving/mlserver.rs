//! A folder for `mlserver start`.
//!
//! Source: `docs/reference/settings.md` and `model-settings.md` of SeldonIO/MLServer 1.7.

use offramp_models::{Tail, TensorSpec};
use serde_json::{Value, json};

use super::File;

/// How long MLServer waits for more requests before it runs a batch.
const DELAY_S: f64 = 0.0005;

/// Largest message, where gRPC's own limit of 4 MiB would refuse batches.
const MESSAGE_BYTES: u32 = 64 << 20;

/// The runtime; its module is looked for beside the settings that name it.
const RUNTIME: &str = include_str!("mlserver.py");

pub(super) fn files(tails: &[Tail], max_batch: usize) -> Vec<File> {
    // One process: a tail is small, and ONNX Runtime has threads of its own.
    let settings = json!({"parallel_workers": 0, "grpc_max_message_length": MESSAGE_BYTES});
    let mut files = vec![File::json("settings.json", &settings)];
    for tail in tails {
        files.push(File::json(format!("{}/model-settings.json", tail.name), &model(tail, max_batch)));
        files.push(File::text(format!("{}/offramp_tail.py", tail.name), RUNTIME));
        files.extend(File::graph(&tail.name, tail));
    }
    files
}

fn model(tail: &Tail, max_batch: usize) -> Value {
    let tensors = |specs: &[TensorSpec]| specs.iter().map(tensor).collect::<Vec<_>>();
    let mut model = json!({
        "name": tail.name,
        "implementation": "offramp_tail.Tail",
        "platform": "onnxruntime_onnx",
        "inputs": tensors(&tail.inputs),
        "outputs": tensors(&tail.outputs),
        "parameters": {"uri": "./model.onnx", "extra": {"segment_sha256": tail.sha256}},
    });
    if tail.is_batched() {
        model["max_batch_size"] = json!(max_batch);
        model["max_batch_time"] = json!(DELAY_S);
    }
    model
}

fn tensor(spec: &TensorSpec) -> Value {
    let extent = |extent: &Option<usize>| extent.map_or(json!(-1), |extent| json!(extent));
    let shape: Vec<Value> = spec.shape.iter().map(extent).collect();
    json!({"name": spec.name, "datatype": spec.dtype.datatype(), "shape": shape})
}

#[cfg(test)]
mod tests {
    use offramp_models::{DType, Wire};

    use super::super::tests::{spec, tail};
    use super::*;

    #[test]
    fn a_tail_s_settings_tell_its_tensors_and_its_digest() {
        let tail = tail(2, Wire::F32, vec![spec("a \"b\"", DType::Float16, &[4, 4])]);
        insta::assert_snapshot!(model(&tail, 8), @r#"{"name":"net.0123456789ab.tail2.f32","implementation":"offramp_tail.Tail","platform":"onnxruntime_onnx","inputs":[{"name":"a \"b\"","datatype":"FP16","shape":[-1,4,4]}],"outputs":[{"name":"logits","datatype":"FP32","shape":[-1,10]}],"parameters":{"uri":"./model.onnx","extra":{"segment_sha256":"abababababababababababababababababababababababababababababababab"}},"max_batch_size":8,"max_batch_time":0.0005}"#);
    }

    #[test]
    fn the_runtime_that_settings_name_lies_beside_them() {
        let tail = tail(2, Wire::F32, vec![spec("x", DType::Float32, &[4])]);
        let files = files(std::slice::from_ref(&tail), 8);
        let paths: Vec<_> = files.iter().map(|file| file.path.replace(&tail.name, "TAIL")).collect();
        assert_eq!(
            paths,
            ["settings.json", "TAIL/model-settings.json", "TAIL/offramp_tail.py", "TAIL/model.onnx"]
        );
        assert!(RUNTIME.contains("class Tail(MLModel)"));
    }
}
