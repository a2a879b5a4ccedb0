//! A request, held against the model that it asks for.

use bytes::Bytes;
use offramp_models::TensorSpec;

use super::contents;
use super::model::Signature;
use super::refusal::Refusal;
use crate::oip::model_infer_request::InferInputTensor;
use crate::oip::{InferTensorContents, ModelInferRequest};
use crate::tensor::{self, Described, TensorError};

/// The only version of every model.
pub(super) const VERSION: &str = "1";

/// What a request brings and wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Bytes of every input, in the signature's order.
    pub(super) inputs: Vec<Bytes>,
    /// Images in all of them.
    pub(super) images: usize,
    /// The signature's outputs that are wanted, in the order in which they were asked for.
    pub(super) outputs: Vec<usize>,
}

impl Asked {
    /// Reads `request`, which asks for the model of `signature`, without looking at elements that came raw.
    ///
    /// # Errors
    /// A [`Refusal`] that names the tensor, what was expected and what came.
    pub(super) fn read(
        signature: &Signature,
        most: usize,
        request: &ModelInferRequest,
    ) -> Result<Self, Refusal> {
        version(&signature.name, &request.model_version)?;
        let ModelInferRequest { inputs: tensors, raw_input_contents: raw, .. } = request;
        if !raw.is_empty() && raw.len() != tensors.len() {
            return Err(Refusal::RawContents { inputs: tensors.len(), contents: raw.len() });
        }
        let mut inputs = Vec::with_capacity(signature.inputs.len());
        let mut images = None;
        for spec in &signature.inputs {
            let (place, found) = find(spec, tensors)?;
            let bytes = match (raw.get(place), &found.contents) {
                (Some(_), Some(typed)) if *typed != InferTensorContents::default() => {
                    return Err(Refusal::Twice { tensor: spec.name.clone() });
                }
                (Some(raw), _) => raw.clone(),
                (None, Some(typed)) => contents::raw(spec, typed)?,
                (None, None) => Bytes::new(),
            };
            let InferInputTensor { name, datatype, shape, .. } = found;
            let found = tensor::images(spec, Described { name, datatype, shape, bytes: &bytes })?;
            let expected = *images.get_or_insert(found);
            if expected != found {
                return Err(TensorError::Batch { tensor: spec.name.clone(), expected, found }.into());
            }
            inputs.push(bytes);
        }
        if tensors.len() != inputs.len() {
            let names = tensors.iter().take(8).map(|tensor| format!("{:?}", tensor.name));
            return Err(Refusal::Inputs {
                model: signature.name.clone(),
                expected: inputs.len(),
                found: tensors.len(),
                names: names.collect::<Vec<_>>().join(", "),
            });
        }
        let images = images.unwrap_or(1);
        if images > most {
            return Err(Refusal::TooMany { most, found: images });
        }
        Ok(Self { inputs, images, outputs: outputs(signature, request)? })
    }
}

/// Refuses another version than the one there is.
///
/// # Errors
/// [`Refusal::Version`].
pub(super) fn version(model: &str, found: &str) -> Result<(), Refusal> {
    if found.is_empty() || found == VERSION {
        return Ok(());
    }
    Err(Refusal::Version { model: model.to_owned(), served: VERSION, found: found.to_owned() })
}

fn find<'r>(
    spec: &TensorSpec,
    tensors: &'r [InferInputTensor],
) -> Result<(usize, &'r InferInputTensor), Refusal> {
    let named = tensors.iter().enumerate().find(|(_, tensor)| tensor.name == spec.name);
    named.ok_or_else(|| {
        let names = tensors.iter().take(8).map(|tensor| format!("{:?}", tensor.name));
        let names = names.collect::<Vec<_>>().join(", ");
        let found = if names.is_empty() { "none".to_owned() } else { names };
        TensorError::Name { expected: spec.name.clone(), found }.into()
    })
}

fn outputs(signature: &Signature, request: &ModelInferRequest) -> Result<Vec<usize>, Refusal> {
    if request.outputs.is_empty() {
        return Ok((0..signature.outputs.len()).collect());
    }
    let mut wanted = Vec::with_capacity(signature.outputs.len());
    for output in &request.outputs {
        let place = signature.outputs.iter().position(|spec| spec.name == output.name);
        let (model, output) = (|| signature.name.clone(), || output.name.clone());
        match place {
            Some(place) if wanted.contains(&place) => return Err(Refusal::OutputTwice { output: output() }),
            Some(place) => wanted.push(place),
            None => return Err(Refusal::Output { model: model(), output: output() }),
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod mutated;
