//! A model repository of NVIDIA Triton.
//!
//! Source: `docs/user_guide/model_repository.md` and `model_configuration.md` of triton-inference-server/server;
//! `config.pbtxt` is a `ModelConfig` in protobuf's text format.

use std::fmt::Write as _;

use offramp_models::{Tail, TensorSpec};

use super::File;

/// What runs a graph in Triton.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// The ONNX Runtime backend, which NVIDIA's containers bring.
    OnnxRuntime,
    /// The Python backend with `onnxruntime` from PyPI: for Tritons that bring no other.
    Python,
}

/// How long Triton waits for more requests before it runs a batch.
const DELAY_US: u32 = 500;

/// The Python backend's model.
const MODEL: &str = include_str!("triton.py");

pub(super) fn files(tails: &[Tail], platform: Platform, max_batch: usize, queue: usize) -> Vec<File> {
    let mut files = Vec::new();
    for tail in tails {
        let config = format!("{}/config.pbtxt", tail.name);
        files.push(File::text(config, configuration(tail, platform, max_batch, queue)));
        files.extend(File::graph(&format!("{}/1", tail.name), tail));
        if platform == Platform::Python {
            files.push(File::text(format!("{}/1/model.py", tail.name), MODEL));
        }
    }
    files
}

fn configuration(tail: &Tail, platform: Platform, max_batch: usize, queue: usize) -> String {
    let batched = tail.is_batched();
    let runs = match platform {
        Platform::OnnxRuntime => "platform: \"onnxruntime_onnx\"",
        Platform::Python => "backend: \"python\"",
    };
    let max_batch = if batched { max_batch } else { 0 };
    let mut text = format!("name: {}\n{runs}\nmax_batch_size: {max_batch}\n", quoted(&tail.name));
    for (what, specs) in [("input", &tail.inputs), ("output", &tail.outputs)] {
        let specs: Vec<String> = specs.iter().map(|spec| tensor(spec, batched)).collect();
        text += &format!("{what} [\n{}\n]\n", specs.join(",\n"));
    }
    if batched {
        text += &format!(
            "dynamic_batching {{\n  max_queue_delay_microseconds: {DELAY_US}\n  default_queue_policy {{\n    \
             timeout_action: REJECT\n    max_queue_size: {queue}\n  }}\n}}\n"
        );
    }
    text += &format!(
        "parameters {{\n  key: \"segment_sha256\"\n  value {{ string_value: \"{}\" }}\n}}\n",
        tail.sha256
    );
    text
}

/// A tensor; without its batch where Triton adds that, for which one extent at least must be left.
fn tensor(spec: &TensorSpec, batched: bool) -> String {
    let extents = spec.shape.iter().skip(usize::from(batched));
    let dims = extents.map(|extent| extent.map_or("-1".to_owned(), |extent| extent.to_string()));
    let dims: Vec<String> = dims.collect();
    let (dims, reshape) = match dims.is_empty() {
        true => ("1".to_owned(), " reshape { shape: [ ] }"),
        false => (dims.join(", "), ""),
    };
    let (name, dtype) = (quoted(&spec.name), spec.dtype.datatype());
    format!("  {{ name: {name} data_type: TYPE_{dtype} dims: [ {dims} ]{reshape} }}")
}

/// Text in protobuf's text format: what is not plain ASCII as octal bytes, so that a tensor's name, which a model's file
/// chooses, is never anything but a name.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use offramp_models::{DType, Wire};

    use super::super::tests::{spec, tail};
    use super::*;

    #[test]
    fn a_tail_of_several_tensors_is_configured_for_batches_and_a_bounded_queue() {
        let inputs =
            vec![spec("image", DType::Uint8, &[3, 32, 32]), spec("/block.1/Relu:0", DType::Int64, &[])];
        let tail = tail(1, Wire::U8, inputs);
        insta::assert_snapshot!(configuration(&tail, Platform::OnnxRuntime, 32, 64), @r#"
        name: "net.0123456789ab.tail1.u8"
        platform: "onnxruntime_onnx"
        max_batch_size: 32
        input [
          { name: "image" data_type: TYPE_UINT8 dims: [ 3, 32, 32 ] },
          { name: "/block.1/Relu:0" data_type: TYPE_INT64 dims: [ 1 ] reshape { shape: [ ] } }
        ]
        output [
          { name: "logits" data_type: TYPE_FP32 dims: [ 10 ] }
        ]
        dynamic_batching {
          max_queue_delay_microseconds: 500
          default_queue_policy {
            timeout_action: REJECT
            max_queue_size: 64
          }
        }
        parameters {
          key: "segment_sha256"
          value { string_value: "abababababababababababababababababababababababababababababababab" }
        }
        "#);
    }

    #[test]
    fn a_tail_that_insists_on_its_batch_is_asked_for_just_that() {
        let mut tail = tail(0, Wire::F32, vec![spec("image", DType::Float32, &[3, 8, 8])]);
        for spec in tail.inputs.iter_mut().chain(&mut tail.outputs) {
            spec.shape[0] = Some(4);
        }
        insta::assert_snapshot!(configuration(&tail, Platform::Python, 32, 64), @r#"
        name: "net.0123456789ab.tail0.f32"
        backend: "python"
        max_batch_size: 0
        input [
          { name: "image" data_type: TYPE_FP32 dims: [ 4, 3, 8, 8 ] }
        ]
        output [
          { name: "logits" data_type: TYPE_FP32 dims: [ 4, 10 ] }
        ]
        parameters {
          key: "segment_sha256"
          value { string_value: "abababababababababababababababababababababababababababababababab" }
        }
        "#);
    }

    #[test]
    fn images_that_lie_along_another_axis_are_not_joined() {
        let mut tail = tail(0, Wire::F32, vec![spec("sequence", DType::Float32, &[7])]);
        tail.inputs[0].shape.swap(0, 1);
        let text = configuration(&tail, Platform::OnnxRuntime, 32, 64);
        assert!(text.contains("max_batch_size: 0") && text.contains("dims: [ 7, -1 ]"), "{text}");
        assert!(text.contains("dims: [ -1, 10 ]") && !text.contains("dynamic_batching"), "{text}");
    }

    #[test]
    fn a_hostile_name_stays_a_name() {
        assert_eq!(quoted("conv1/Relu:0"), r#""conv1/Relu:0""#);
        assert_eq!(quoted("a\" } evil: \"\\\n\u{e9}"), r#""a\" } evil: \"\\\012\303\251""#);
    }
}
