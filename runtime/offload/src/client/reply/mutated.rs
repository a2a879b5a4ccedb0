//! Answers as an adversary would give them.

use bytes::Bytes;
use prost::Message;

use super::tests::{answer, logits};
use super::{check, elements};
use crate::client::model::Model;
use crate::client::model::tests::model;
use crate::mutations::{SplitMix, fields, mutate, noise, runs};
use crate::oip::infer_parameter::ParameterChoice;
use crate::oip::{InferParameter, InferTensorContents, ModelInferResponse, SERVER_US};

/// Changes one field to what it might be mistaken for.
fn distort(response: &mut ModelInferResponse, random: &mut SplitMix) {
    let extents = [i64::MIN, -1, 0, 1, 2, 3, 4, 6, 1 << 32, 1 << 61, 1 << 62, i64::MAX];
    let length = random.below(30);
    let (at, of_raw) =
        (random.below(response.outputs.len()), random.below(response.raw_output_contents.len()));
    match random.below(11) {
        0 => response.outputs.truncate(at),
        1 => response.outputs.reverse(),
        2 => response.outputs.extend_from_within(at..),
        3 => response.raw_output_contents.truncate(of_raw),
        4 => response.raw_output_contents.push(vec![0; length].into()),
        5 => response.model_name = random.one_of(&["", "other", "net.0123456789ab.tail1.f32"]).to_owned(),
        6 => {
            let micros = ParameterChoice::Int64Param(random.next() as i64);
            let told = InferParameter { parameter_choice: Some(micros) };
            response.parameters = [(SERVER_US.to_owned(), told)].into();
        }
        7 => {
            if let Some(raw) = response.raw_output_contents.get_mut(of_raw) {
                let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, f32::MAX].map(f32::to_le_bytes);
                let mut bytes = raw.to_vec();
                match random.below(3) {
                    0 => bytes.resize(length, 0),
                    1 => bytes.truncate(length),
                    _ => {
                        let element = random.below(bytes.len() / 4) * 4;
                        if let Some(four) = bytes.get_mut(element..element + 4) {
                            four.copy_from_slice(&random.one_of(&odd));
                        }
                    }
                }
                *raw = bytes.into();
            }
        }
        field => {
            let Some(output) = response.outputs.get_mut(at) else { return };
            match field {
                8 => output.name = random.one_of(&["exit1", "exit2", "cut", ""]).to_owned(),
                9 => output.datatype = random.one_of(&["FP32", "FP16", "FP64", ""]).to_owned(),
                _ if random.below(2) == 0 => {
                    let fp32_contents = vec![random.one_of(&[0.0, f32::NAN]); length];
                    output.contents = Some(InferTensorContents { fp32_contents, ..Default::default() });
                }
                _ => output.shape.iter_mut().for_each(|extent| {
                    if random.below(2) == 0 {
                        *extent = random.one_of(&extents);
                    }
                }),
            }
        }
    }
}

/// The right answer with its elements typed.
fn typed(images: usize) -> ModelInferResponse {
    let mut response = answer(images);
    response.raw_output_contents.clear();
    for (output, logits) in response.outputs.iter_mut().zip(logits(images).chunks(3 * images)) {
        let fp32_contents = logits.to_vec();
        output.contents = Some(InferTensorContents { fp32_contents, ..InferTensorContents::default() });
    }
    response
}

/// Whether `message` is believed; what is believed must be whole, finite, and what the message says.
fn believed(model: &Model, images: usize, message: Vec<u8>) -> bool {
    let Ok(reply) = check(model, images, Bytes::from(message.clone())) else { return false };
    assert_eq!(reply.logits.len(), 6 * images);
    assert!(reply.logits.iter().all(|logit| logit.is_finite()));
    let response = ModelInferResponse::decode(&*message).unwrap();
    for (spec, logits) in model.outputs.iter().zip(reply.logits.chunks(3 * images)) {
        let named: Vec<usize> =
            (0..response.outputs.len()).filter(|at| response.outputs[*at].name == spec.name).collect();
        let [at] = named[..] else { panic!("{named:?} are called {}", spec.name) };
        let bytes: Vec<u8> = logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        match response.raw_output_contents.get(at) {
            Some(raw) => assert_eq!(raw, &bytes),
            None => assert_eq!(elements(&response.outputs[at]), bytes),
        }
    }
    true
}

#[test]
fn a_mutated_answer_is_refused_or_whole_and_finite() {
    let (model, mut took) = (model(), 0);
    let runs = runs();
    for run in 0..runs {
        let mut random = SplitMix(run);
        let images = 1 + random.below(3);
        let mut response = if random.below(2) == 0 { answer(images) } else { typed(images) };
        for _ in 0..random.below(4) {
            distort(&mut response, &mut random);
        }
        let mut message = response.encode_to_vec();
        for _ in 0..random.below(3) {
            mutate(&mut message, &mut random);
        }
        took += u64::from(believed(&model, images, message));
    }
    assert!(took > runs / 100 && took < runs, "{took} of {runs} were believed");
}

#[test]
fn bytes_that_are_no_answer_are_refused() {
    let model = model();
    for run in 0..runs() {
        let mut random = SplitMix(run);
        let message = if random.below(2) == 0 { noise(&mut random, 200) } else { fields(&mut random, 3) };
        assert!(!believed(&model, 1 + random.below(3), message.clone()), "{message:?}");
    }
}
