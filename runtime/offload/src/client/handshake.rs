//! What a peer must show before an image is sent to it.
//!
//! Servers differ in what they say about themselves: some have no metadata, some describe no inputs, some are always ready. So nothing
//! but readiness is required, what is said must not contradict, and the proof is one known question that is answered rightly.

use std::time::Instant;

use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::failure::{Class, Failure, Phase};
use super::message::Envelope;
use super::model::Model;
use super::peer::Peer;
use super::reply;
use super::session::Session;
use super::summary::Standing;
use crate::oip::grpc_inference_service_client::GrpcInferenceServiceClient;
use crate::oip::{
    EXTENSION, ModelMetadataRequest, ModelReadyRequest, ServerMetadataRequest, ServerReadyRequest,
};
use crate::placement::{End, Observed};

/// A handshake in one session.
pub(super) struct Handshake<'a> {
    pub(super) session: &'a Session,
    pub(super) peer: &'a Peer,
}

impl Handshake<'_> {
    /// Whether the server takes requests, and whether it is one of ours.
    ///
    /// # Errors
    /// A [`Failure`] of the link or the server.
    pub(super) async fn greet(&self) -> Result<bool, Failure> {
        let mut client = self.client();
        if !self.ask(client.server_ready(self.request(ServerReadyRequest {}))).await?.ready {
            return Err(Failure::NotReady);
        }
        match self.ask(client.server_metadata(self.request(ServerMetadataRequest {}))).await {
            Ok(metadata) => Ok(metadata.extensions.iter().any(|extension| extension == EXTENSION)),
            Err(failure) if matters(&failure) => Err(failure),
            Err(_) => Ok(false),
        }
    }

    /// Whether the server serves the model at this place as the bundle has it.
    ///
    /// # Errors
    /// A [`Failure`] of the link or the server; what is wrong with the model alone is its [`Standing`].
    pub(super) async fn prove(&self, at: usize) -> Result<(Standing, Option<Failure>), Failure> {
        match self.question(at).await {
            Ok(()) => Ok((Standing::Proven, None)),
            Err(failure) if failure.is_unknown_model() => Ok((Standing::Missing, Some(failure))),
            Err(failure) if failure.is_too_large() => Ok((Standing::Refused, Some(failure))),
            Err(failure) => match failure.class() {
                // Of the model, not of the server.
                Class::Mismatch => Ok((Standing::Missing, Some(failure))),
                Class::Permanent if matches!(failure, Failure::Canary { .. } | Failure::Message { .. }) => {
                    Ok((Standing::Refused, Some(failure)))
                }
                _ if matches!(failure, Failure::Slow { .. }) => Ok((Standing::Slow, Some(failure))),
                _ => Err(failure),
            },
        }
    }

    async fn question(&self, at: usize) -> Result<(), Failure> {
        let model = &self.peer.terms.models[at];
        let mut client = self.client();
        let (name, version) = (model.name.clone(), String::new());
        let ready = self.request(ModelReadyRequest { name: name.clone(), version: version.clone() });
        if !self.ask(client.model_ready(ready)).await?.ready {
            return Err(Failure::NoModel { models: vec![name] });
        }
        let metadata = self.request(ModelMetadataRequest { name, version });
        match self.ask(client.model_metadata(metadata)).await {
            Ok(metadata) => {
                let tensors = [(&model.inputs, &metadata.inputs), (&model.outputs, &metadata.outputs)];
                for (specs, found) in tensors.into_iter().filter(|(_, found)| !found.is_empty()) {
                    for spec in specs {
                        let named = found.iter().find(|tensor| tensor.name == spec.name);
                        let differs = match named {
                            Some(tensor) => Model::described(spec, (&tensor.datatype, &tensor.shape)),
                            None => Some((format!("\"{}\"", spec.name), "no tensor of that name".to_owned())),
                        };
                        if let Some((expected, found)) = differs {
                            return Err(Failure::Described { model: model.name.clone(), expected, found });
                        }
                    }
                }
            }
            Err(failure) if matters(&failure) => return Err(failure),
            Err(_) => {}
        }
        self.canary(at).await
    }

    /// Asks what is known.
    async fn canary(&self, at: usize) -> Result<(), Failure> {
        let terms = &self.peer.terms;
        let model = &terms.models[at];
        let wrong = |what| Failure::Canary { model: model.name.clone(), what };
        let (images, inputs) = (model.canary.batch, &model.canary.inputs);
        let message = Envelope::default().fill(model, images, "canary", inputs, terms.config.payload_cap);
        let message = message.map_err(|source| Failure::Message { source })?;
        let request_bytes = message.len();
        let sent = Instant::now();
        let (most, deadline) = (reply::most(model, images), sent + terms.config.handshake);
        let answer = self.session.infer(message, &terms.credentials, most, deadline).await;
        let took = sent.elapsed();
        let answer = match answer {
            Err(failure) if failure.class() == Class::BadAnswer => return Err(wrong(failure.told())),
            Err(Failure::Timeout { within }) => {
                return Err(Failure::Slow { model: model.name.clone(), within });
            }
            other => other?,
        };
        let bytes = answer.len();
        let answer = reply::check(model, images, answer).map_err(|error| wrong(error.to_string()))?;
        if let Some(what) = model.differs(&answer.logits) {
            return Err(wrong(what));
        }
        let end = End::Answer { bytes, took, server: answer.server };
        if self.peer.leads(at) {
            terms.observe(Observed { cut: model.cut, images, request_bytes, sent, end });
        }
        Ok(())
    }

    fn client(&self) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::new(self.session.channel.clone())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.peer.terms.config.handshake);
        self.peer.terms.credentials.apply(request.metadata_mut());
        request
    }

    async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
        let within = self.peer.terms.config.handshake;
        match timeout(within, call).await {
            Ok(answer) => {
                Ok(answer.map_err(|status| Failure::of(status, Phase::Before, within))?.into_inner())
            }
            Err(_) => Err(Failure::Timeout { within }),
        }
    }
}

/// Whether a server that does not answer an optional question cannot be used. That it does not implement it, or that our
/// decoder cannot read what it says, does not matter.
fn matters(failure: &Failure) -> bool {
    failure.class() != Class::Mismatch
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::client::model::tests::model;
    use crate::oip::{InferParameter, ModelMetadataResponse};

    /// The protocol and servers in the field disagree on what field 6 of a model's description is.
    #[derive(Clone, PartialEq, Message)]
    struct WithProperties {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(map = "string, string", tag = "6")]
        properties: std::collections::HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct WithParameters {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(map = "string, message", tag = "6")]
        parameters: std::collections::HashMap<String, InferParameter>,
    }

    #[test]
    fn a_description_is_read_whatever_its_server_thinks_of_field_6() {
        let name = || "m".to_owned();
        let pair = |value: &str| [("key".to_owned(), value.to_owned())].into();
        let parameters = [("key".to_owned(), InferParameter::default())].into();
        let described = [
            WithProperties { name: name(), properties: pair("value") }.encode_to_vec(),
            WithParameters { name: name(), parameters }.encode_to_vec(),
            // No message at all: a length, and bytes that mean nothing.
            [&[0x0a, 1, b'm', 0x32, 4], &[0xff_u8; 4][..]].concat(),
        ];
        for bytes in described {
            let found = ModelMetadataResponse::decode(&*bytes).unwrap();
            assert_eq!(found, ModelMetadataResponse { name: name(), ..ModelMetadataResponse::default() });
        }
    }

    proptest! {
        #[test]
        fn no_description_stops_the_process(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(found) = ModelMetadataResponse::decode(&*bytes) {
                for tensor in found.inputs.iter().chain(&found.outputs) {
                    let _ = Model::described(&model().inputs[0], (&tensor.datatype, &tensor.shape));
                }
            }
        }
    }
}
