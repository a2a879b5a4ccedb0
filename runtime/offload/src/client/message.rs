//! Requests as bytes.
//!
//! All but the elements and the id is the same for every request of a model and is encoded once. Values are read straight into
//! the message, behind the tag and length of their field: parts of a message in protobuf may follow each other in any order.

use bytes::{BufMut, Bytes, BytesMut};
use offramp_models::TensorSpec;
use offramp_runtime::backend::{RunError, Value};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::model::{Model, bytes};
use crate::oip::ModelInferRequest;
use crate::oip::model_infer_request::InferInputTensor;
use crate::tensor::{datatype, filled};

/// Fields of `ModelInferRequest`.
const ID: u32 = 3;
const RAW_INPUT_CONTENTS: u32 = 7;

/// Why no message could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    /// Peers would not take it.
    #[error("a message of {bytes} bytes is larger than the {cap} that are sent")]
    TooLarge { bytes: usize, cap: usize },
    /// Not what the model takes.
    #[error("the model takes {expected}, got {found}")]
    Form { expected: String, found: String },
    /// A value that the host cannot read.
    #[error("what crosses the cut cannot be read")]
    Unreadable {
        #[source]
        source: RunError,
    },
}

/// Makes the messages of one model.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    /// For how many images `head` is.
    images: usize,
    head: Bytes,
}

/// Where elements come from.
pub(super) trait Elements {
    /// Copies all of them, little-endian and row-major.
    fn copy(&self, spec: &TensorSpec, images: usize, into: &mut [u8]) -> Result<(), MessageError>;
}

impl Elements for Value {
    fn copy(&self, spec: &TensorSpec, images: usize, into: &mut [u8]) -> Result<(), MessageError> {
        let (dtype, shape) = (self.dtype(), self.shape());
        let extents = spec.shape.iter().map(|extent| extent.unwrap_or(images));
        if dtype != spec.dtype || !extents.eq(shape.iter().copied()) {
            let found = format!("{dtype} {shape:?}");
            return Err(MessageError::Form { expected: spec.to_string(), found });
        }
        self.read_bytes(0, into).map_err(|source| MessageError::Unreadable { source })
    }
}

impl Elements for Bytes {
    fn copy(&self, spec: &TensorSpec, _: usize, into: &mut [u8]) -> Result<(), MessageError> {
        if self.len() != into.len() {
            let found = format!("{} bytes", self.len());
            return Err(MessageError::Form { expected: spec.to_string(), found });
        }
        into.copy_from_slice(self);
        Ok(())
    }
}

impl Envelope {
    /// The message that asks `model` about `images`, made in `buffer`. Nothing is read when it would be larger than `cap`.
    ///
    /// # Errors
    /// [`MessageError`]: it is too large, or `values` are not what the model takes.
    pub(super) fn fill(
        &mut self,
        model: &Model,
        images: usize,
        id: &str,
        values: &[impl Elements],
        cap: usize,
        buffer: &mut BytesMut,
    ) -> Result<Bytes, MessageError> {
        if values.len() != model.inputs.len() {
            let (expected, found) = (model.inputs.len(), values.len());
            return Err(MessageError::Form {
                expected: format!("{expected} values"),
                found: found.to_string(),
            });
        }
        if self.images != images {
            (self.images, self.head) = (images, head(model, images));
        }
        let raw = |spec: &TensorSpec| field(bytes(spec, images));
        let size = self.head.len() + field(id.len()) + model.inputs.iter().map(raw).sum::<usize>();
        if size > cap {
            return Err(MessageError::TooLarge { bytes: size, cap });
        }
        buffer.clear();
        buffer.reserve(size);
        buffer.put_slice(&self.head);
        begin_field(ID, id.len(), buffer);
        buffer.put_slice(id.as_bytes());
        for (spec, value) in model.inputs.iter().zip(values) {
            let elements = bytes(spec, images);
            begin_field(RAW_INPUT_CONTENTS, elements, buffer);
            let at = buffer.len();
            buffer.resize(at + elements, 0);
            value.copy(spec, images, &mut buffer[at..])?;
        }
        Ok(buffer.split().freeze())
    }
}

/// The part of a message that is the same for all images.
fn head(model: &Model, images: usize) -> Bytes {
    let input = |spec: &TensorSpec| InferInputTensor {
        name: spec.name.clone(),
        datatype: datatype(spec.dtype).to_owned(),
        shape: filled(spec, images),
        ..InferInputTensor::default()
    };
    let inputs = model.inputs.iter().map(input).collect();
    let request =
        ModelInferRequest { model_name: model.name.clone(), inputs, ..ModelInferRequest::default() };
    request.encode_to_vec().into()
}

fn begin_field(tag: u32, length: usize, buffer: &mut BytesMut) {
    encode_key(tag, WireType::LengthDelimited, buffer);
    encode_varint(length as u64, buffer);
}

/// Bytes of a field with `length` bytes of content; its key takes one.
fn field(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::tests::model;
    use proptest::prelude::*;

    fn values(images: usize, seed: u8) -> Vec<Bytes> {
        [8, 4].map(|bytes| (0..bytes * images).map(|at| seed.wrapping_add(at as u8)).collect()).to_vec()
    }

    proptest! {
        #[test]
        fn a_message_is_what_the_protocols_own_encoder_means(images in 1..40_usize, seed in any::<u8>(), id in "[a-z0-9-]{0,30}") {
            let (model, values) = (model(), values(images, seed));
            let (mut envelope, mut buffer) = (Envelope::default(), BytesMut::new());
            // The second message of an envelope is made from what the first one left.
            for _ in 0..2 {
                let message = envelope.fill(&model, images, &id, &values, 4096, &mut buffer).unwrap();
                let found = ModelInferRequest::decode(message.clone()).unwrap();
                let mut expected = ModelInferRequest::decode(head(&model, images)).unwrap();
                prop_assert_eq!(&expected.model_name, &model.name);
                prop_assert_eq!(&expected.inputs[0].shape, &vec![images as i64, 2]);
                prop_assert_eq!(expected.inputs[1].datatype.as_str(), "UINT8");
                expected.id = id.clone();
                expected.raw_input_contents = values.clone();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn the_size_is_known_before_anything_is_read() {
        struct Unread;
        impl Elements for Unread {
            fn copy(&self, _: &TensorSpec, _: usize, _: &mut [u8]) -> Result<(), MessageError> {
                panic!("read")
            }
        }
        let (model, mut buffer) = (model(), BytesMut::new());
        let message = Envelope::default().fill(&model, 2, "7", &values(2, 0), 4096, &mut buffer).unwrap();
        let cap = message.len();
        let error =
            Envelope::default().fill(&model, 2, "77", &[Unread, Unread], cap, &mut buffer).unwrap_err();
        let expected = format!("a message of {} bytes is larger than the {cap} that are sent", cap + 1);
        assert_eq!(error.to_string(), expected);
        assert!(Envelope::default().fill(&model, 2, "7", &values(2, 0), cap, &mut buffer).is_ok());
    }

    #[test]
    fn values_of_another_form_are_not_sent() {
        let (model, mut buffer) = (model(), BytesMut::new());
        let mut fill = |values: &[Bytes]| {
            Envelope::default().fill(&model, 1, "", values, 4096, &mut buffer).unwrap_err().to_string()
        };
        assert_eq!(fill(&values(1, 0)[..1]), "the model takes 2 values, got 1");
        assert_eq!(fill(&values(2, 0)), "the model takes \"cut\" float32 [batch, 2], got 16 bytes");
    }

    #[test]
    fn the_buffer_of_a_message_that_is_gone_is_used_again() {
        let (model, mut buffer) = (model(), BytesMut::new());
        let mut envelope = Envelope::default();
        let first = envelope.fill(&model, 64, "1", &values(64, 0), 4096, &mut buffer).unwrap();
        let at = first.as_ptr();
        drop(first);
        let second = envelope.fill(&model, 64, "2", &values(64, 0), 4096, &mut buffer).unwrap();
        assert_eq!(second.as_ptr(), at);
    }
}
