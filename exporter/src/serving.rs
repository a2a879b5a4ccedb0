//! Tails for servers that others wrote: folders that Triton, MLServer and the KServe SDK serve as they are.
//!
//! All of them speak the Open Inference Protocol, so a device does not care which one answers. Every tail becomes a model
//! under its name; an export holds copies, never links, and a list of what is in it.

mod kserve;
mod listing;
mod mlserver;
mod triton;

use std::fs;
use std::path::Path;

use offramp_models::{Bundle, Tail, Wire};
pub use triton::Platform;

use crate::ExportError;
use crate::staging::Staging;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// NVIDIA Triton: a model repository.
    Triton {
        /// What runs the graphs in it.
        platform: Platform,
        /// Most images in one batch.
        max_batch: usize,
        /// Requests that wait before more are refused.
        queue: usize,
    },
    /// MLServer: a folder for `mlserver start`.
    MlServer {
        /// Most images in one batch.
        max_batch: usize,
    },
    /// The KServe SDK: a folder with a script that serves it.
    KServe,
}

/// What is exported, and how.
#[derive(Clone, Debug)]
pub struct ServingOptions {
    /// Tails of this wire form alone; `None` for all.
    pub wire: Option<Wire>,
    /// Replace an earlier export.
    pub force: bool,
}

/// Writes the tails of `bundle` to `target` as `server` wants them, and says which.
///
/// Nothing appears at `target` unless everything succeeded.
///
/// # Errors
/// `Bundle` for tails that were changed, `NoTails`, `Exists` for a target that is no earlier export, or is one and `force`
/// is not set, `Write`.
pub fn export(
    bundle: &Bundle,
    target: &Path,
    server: Server,
    options: &ServingOptions,
) -> Result<Vec<Tail>, ExportError> {
    let mut tails = bundle.tails()?;
    tails.retain(|tail| options.wire.is_none_or(|wire| tail.wire == wire));
    if tails.is_empty() {
        return Err(ExportError::NoTails { dir: bundle.dir().to_owned(), wire: options.wire });
    }
    let staging = Staging::new(target, options.force, &listing::EXPORT)?;
    let mut files = match server {
        Server::Triton { platform, max_batch, queue } => triton::files(&tails, platform, max_batch, queue),
        Server::MlServer { max_batch } => mlserver::files(&tails, max_batch),
        Server::KServe => kserve::files(&tails),
    };
    files.push(listing::file(bundle, &tails, server, &files));
    for file in &files {
        file.write(bundle.dir(), staging.path()).map_err(|error| staging.tell(error))?;
    }
    staging.publish()?;
    Ok(tails)
}

impl Server {
    /// The name that the command line and the list of an export use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Triton { .. } => "triton",
            Self::MlServer { .. } => "mlserver",
            Self::KServe => "kserve",
        }
    }
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    /// Path inside the export.
    path: String,
    content: Content,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    /// The same as a file of the bundle, by its path there.
    Copy(String),
}

impl File {
    fn text(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), content: Content::Text(text.into()) }
    }

    /// A file of indented JSON.
    fn json(path: impl Into<String>, value: &serde_json::Value) -> Self {
        Self::text(path, format!("{value:#}\n"))
    }

    /// A tail's graph as `model.onnx` in `folder`, and its weights where they lie outside, under the name that the graph
    /// knows them by.
    fn graph(folder: &str, tail: &Tail) -> impl Iterator<Item = Self> {
        let copy = |name: &str, from: &str| Self {
            path: format!("{folder}/{name}"),
            content: Content::Copy(from.to_owned()),
        };
        let data = tail.data.as_ref().map(|data| {
            let name = data.file.rsplit('/').next().unwrap_or(&data.file);
            copy(name, &data.file)
        });
        std::iter::once(copy("model.onnx", &tail.file)).chain(data)
    }

    fn write(&self, bundle: &Path, export: &Path) -> Result<(), ExportError> {
        let path = export.join(&self.path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| match &self.content {
            Content::Text(text) => fs::write(&path, text),
            Content::Copy(file) => fs::copy(bundle.join(file), &path).map(|_| ()),
        });
        written.map_err(|source| ExportError::Write { path, source })
    }
}

#[cfg(test)]
mod tests {
    use offramp_models::manifest::DataFile;
    use offramp_models::{DType, Sha256, TensorSpec};

    use super::*;

    pub(super) fn spec(name: &str, dtype: DType, extents: &[usize]) -> TensorSpec {
        let shape = std::iter::once(None).chain(extents.iter().copied().map(Some)).collect();
        TensorSpec { name: name.to_owned(), dtype, shape }
    }

    /// A tail with logits of ten classes.
    pub(super) fn tail(cut: usize, wire: Wire, inputs: Vec<TensorSpec>) -> Tail {
        let file = |file| DataFile { file, sha256: Sha256::from_bytes([0xcd; 32]) };
        Tail {
            cut,
            wire,
            name: format!("net.0123456789ab.tail{cut}.{wire}"),
            file: Tail::file_of(cut, wire),
            sha256: Sha256::from_bytes([0xab; 32]),
            data: None,
            inputs,
            outputs: vec![spec("logits", DType::Float32, &[10])],
            canary: file(Tail::canary_file_of(cut, wire)),
            encoder: None,
        }
    }

    #[test]
    fn weights_outside_a_graph_keep_the_name_that_it_knows_them_by() {
        let mut tail = tail(1, Wire::F32, vec![spec("x", DType::Float32, &[4])]);
        let sha256 = tail.sha256;
        tail.data = Some(DataFile { file: "tails/1.f32.onnx.data".to_owned(), sha256 });
        let files: Vec<_> = File::graph("model/1", &tail).map(|file| (file.path, file.content)).collect();
        let copy = |path: &str, from: &str| (format!("model/1/{path}"), Content::Copy(from.to_owned()));
        assert_eq!(
            files,
            [copy("model.onnx", "tails/1.f32.onnx"), copy("1.f32.onnx.data", "tails/1.f32.onnx.data")]
        );
    }
}
