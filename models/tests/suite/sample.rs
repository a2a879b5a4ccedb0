//! A manifest that holds together, and how errors read.

use std::error::Error;

use offramp_models::{
    Classes, DType, Exit, Extra, Input, Layout, Manifest, Segment, Sha256, Source, TensorSpec,
};

/// Two segments: `image` to `logits0` and `feature`, `feature` to `logits1`.
pub fn manifest() -> Manifest {
    let spec = |name: &str, shape: &[usize]| {
        let shape = std::iter::once(None).chain(shape.iter().copied().map(Some)).collect();
        TensorSpec { name: name.to_owned(), dtype: DType::Float32, shape }
    };
    let segment = |index: usize, inputs, outputs| Segment {
        index,
        file: format!("segments/{index}.onnx"),
        sha256: Sha256::of(&content(index)),
        data: None,
        inputs,
        outputs,
        macs: 1000,
        params: 100,
        boundary_bytes: [4096, 0][index],
    };
    let exit = |index: usize, macs_fraction| Exit {
        index,
        name: format!("exit{index}"),
        logits: format!("logits{index}"),
        segment: index,
        macs: 1000 * (index as u64 + 1),
        macs_fraction,
        params: 100 * (index as u64 + 1),
    };
    let (image, feature) = (spec("image", &[3, 32, 32]), spec("feature", &[16, 8, 8]));
    Manifest {
        schema_version: 1,
        name: "two-exits".to_owned(),
        producer: "offramp 0.1.0".to_owned(),
        source: Source { file: "two-exits.onnx".to_owned(), sha256: Sha256::of(b"source") },
        input: Input {
            name: "image".to_owned(),
            dtype: DType::Float32,
            shape: image.shape.clone(),
            layout: Layout::Nchw,
            range: [0.0, 1.0],
            mean: Some(vec![0.485, 0.456, 0.406]),
            std: Some(vec![0.229, 0.224, 0.225]),
        },
        classes: Classes { count: 10, names: None },
        exits: vec![exit(0, 0.5), exit(1, 1.0)],
        segments: vec![
            segment(0, vec![image], vec![spec("logits0", &[10]), feature.clone()]),
            segment(1, vec![feature], vec![spec("logits1", &[10])]),
        ],
        extras: vec![Extra {
            file: "policies/default.json".to_owned(),
            sha256: Sha256::of(b"{}"),
            kind: "policy".to_owned(),
        }],
    }
}

/// What the file of a segment holds.
pub fn content(segment: usize) -> Vec<u8> {
    format!("graph of segment {segment}").into_bytes()
}

/// An error and its causes, joined as a command line prints them.
pub fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
