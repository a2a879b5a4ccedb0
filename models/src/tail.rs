//! Tails: the rest of a network from a cut on, one graph that a server runs.
//!
//! A bundle lists its tails among its extras. A tail's file name says where it begins and in which form tensors reach it;
//! what it takes and gives follows from the segments ([`Manifest::tails`]). Nothing here runs a tail.

mod canary;
mod error;
mod wire;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::manifest::DataFile;
use crate::{Extra, Manifest, Sha256, TensorSpec};
pub use canary::Canary;
pub use error::TailError;
pub use wire::Wire;

/// Hexadecimal digits of a digest in a tail's name.
const DIGITS: usize = 12;

/// Segments `cut` to the last as one graph, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tail {
    /// Segments that the device has run before it: 0 takes the image.
    pub cut: usize,
    /// Form of the tensors that it takes.
    pub wire: Wire,
    /// What servers call it: see [`Tail::name_of`].
    pub name: String,
    /// Path inside the bundle, `tails/1.u8.onnx`.
    pub file: String,
    /// Digest of that file.
    pub sha256: Sha256,
    /// Weights kept outside `file` because protobuf stops at 2 GiB.
    pub data: Option<DataFile>,
    /// What it takes, in the graph's order: the tensors of the cut under their names, in wire form.
    pub inputs: Vec<TensorSpec>,
    /// Logits of exits `cut` to the last, in order.
    pub outputs: Vec<TensorSpec>,
    /// A question to it and the answer, read by [`Canary::read`].
    pub canary: DataFile,
    /// The device's end of the cut: takes the tensors of the cut as segments give them, and gives this tail's inputs in
    /// the same order, under other names. `None` where nothing needs to be done to them.
    pub encoder: Option<DataFile>,
}

/// The files of tails in a bundle.
impl Tail {
    /// Path of a tail.
    pub fn file_of(cut: usize, wire: Wire) -> String {
        format!("tails/{cut}.{wire}.onnx")
    }

    /// Path of a tail's canary.
    pub fn canary_file_of(cut: usize, wire: Wire) -> String {
        format!("tails/{cut}.{wire}.canary.npz")
    }

    /// Path of the device's end of a cut.
    pub fn encoder_file_of(cut: usize, wire: Wire) -> String {
        format!("wire/{cut}.{wire}.onnx")
    }

    /// Cut and wire form of a tail's path.
    fn parse(file: &str) -> Option<(usize, Wire)> {
        let (cut, wire) = file.strip_prefix("tails/")?.strip_suffix(".onnx")?.split_once('.')?;
        let found = (cut.parse().ok()?, wire.parse().ok()?);
        (Self::file_of(found.0, found.1) == file).then_some(found)
    }
}

impl Tail {
    /// `<network>.<12 digits>.tail<cut>.<wire>`: two bundles that differ in anything that this tail computes with give
    /// it different names, so a device and a server that do not fit together do not find each other.
    ///
    /// The digits begin the SHA-256 of the canonical JSON of `cut`, `identity`, `tail` and `wire`: one object with these
    /// keys in this order, digests as text, no white space. `data`, the digest of weights outside the tail's file, is
    /// among them, after `cut`, where there are such weights.
    pub fn name_of(network: &str, identity: Sha256, cut: usize, wire: Wire, files: TailDigests) -> String {
        let mut parts =
            serde_json::json!({"identity": identity, "cut": cut, "wire": wire, "tail": files.tail});
        if let Some(data) = files.data {
            parts["data"] = serde_json::json!(data);
        }
        format!("{network}.{}.tail{cut}.{wire}", Sha256::of_json(&parts).prefix(DIGITS))
    }

    /// Bytes that cross the cut for one image.
    pub fn bytes_per_image(&self) -> u64 {
        self.inputs.iter().map(|spec| spec.bytes_per_image() as u64).sum()
    }

    /// Whether requests may be joined and split along the first axis of all tensors: images lie along it, and along no other.
    pub fn is_batched(&self) -> bool {
        let batched = |spec: &TensorSpec| {
            spec.shape.first() == Some(&None) && spec.shape.iter().skip(1).all(Option::is_some)
        };
        self.inputs.iter().chain(&self.outputs).all(batched)
    }

    /// All its files with their digests.
    pub fn files(&self) -> impl Iterator<Item = (&str, Sha256)> {
        let beside = self.data.iter().chain([&self.canary]).chain(&self.encoder);
        std::iter::once((self.file.as_str(), self.sha256))
            .chain(beside.map(|file| (file.file.as_str(), file.sha256)))
    }
}

/// Digests of a tail's graph and of its weights, where these lie outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailDigests {
    /// Of the ONNX file.
    pub tail: Sha256,
    /// Of the file beside it.
    pub data: Option<Sha256>,
}

impl Manifest {
    /// The tails among the extras, by cut, float32 before uint8.
    ///
    /// # Errors
    /// [`TailError`] for a tail whose file is not called as one, that begins where the network has no cut, or that lacks
    /// its canary or encoder, and for one of these without a tail.
    pub fn tails(&self) -> Result<Vec<Tail>, TailError> {
        let mut parts = Parts::of(self)?;
        let identity = self.identity();
        let tails = self.extras.iter().filter(|extra| extra.kind == Extra::TAIL);
        let tails: Vec<Tail> =
            tails.map(|extra| self.tail(extra, identity, &mut parts)).collect::<Result<_, _>>()?;
        if let Some((file, extra)) = parts.0.pop_first() {
            return Err(TailError::Stray { file: file.to_owned(), kind: extra.kind.clone() });
        }
        let mut ordered = BTreeMap::new();
        for tail in tails {
            if let Some(twice) = ordered.insert((tail.cut, tail.wire), tail) {
                return Err(TailError::Twice { file: twice.file });
            }
        }
        Ok(ordered.into_values().collect())
    }

    fn tail(&self, extra: &Extra, identity: Sha256, parts: &mut Parts<'_>) -> Result<Tail, TailError> {
        let file = extra.file.clone();
        let Some((cut, wire)) = Tail::parse(&file) else { return Err(TailError::File { file }) };
        let cuts = self.segments.len();
        if cut >= cuts {
            return Err(TailError::Cut { file, cut, cuts });
        }
        let missing = |what| TailError::Missing { tail: file.clone(), what };
        let canary = parts.take(Extra::CANARY, Tail::canary_file_of(cut, wire));
        let canary = canary.ok_or_else(|| missing(Tail::canary_file_of(cut, wire)))?;
        let encoder = match wire {
            Wire::F32 => None,
            Wire::U8 => {
                let encoder = parts.take(Extra::WIRE, Tail::encoder_file_of(cut, wire));
                Some(encoder.ok_or_else(|| missing(Tail::encoder_file_of(cut, wire)))?)
            }
        };
        let data = parts.take(Extra::TAIL_DATA, format!("{file}.data"));
        let digests = TailDigests { tail: extra.sha256, data: data.as_ref().map(|data| data.sha256) };
        Ok(Tail {
            cut,
            wire,
            name: Tail::name_of(&self.name, identity, cut, wire, digests),
            sha256: extra.sha256,
            data,
            inputs: self.cut(cut).iter().map(|spec| wire.carries(spec)).collect(),
            outputs: self.logits_from(cut),
            canary,
            encoder,
            file,
        })
    }
}

/// Extras that belong to tails, by file.
struct Parts<'m>(BTreeMap<&'m str, &'m Extra>);

impl<'m> Parts<'m> {
    fn of(manifest: &'m Manifest) -> Result<Self, TailError> {
        let mut parts = BTreeMap::new();
        for extra in &manifest.extras {
            let part = [Extra::CANARY, Extra::WIRE, Extra::TAIL_DATA].contains(&extra.kind.as_str());
            if part && parts.insert(extra.file.as_str(), extra).is_some() {
                return Err(TailError::Twice { file: extra.file.clone() });
            }
        }
        Ok(Self(parts))
    }

    fn take(&mut self, kind: &str, file: String) -> Option<DataFile> {
        let sha256 = self.0.get(file.as_str()).filter(|extra| extra.kind == kind)?.sha256;
        self.0.remove(file.as_str());
        Some(DataFile { file, sha256 })
    }
}
