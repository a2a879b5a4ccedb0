//! Files of tails, and what the manifest lists of them.

use std::fs;
use std::path::{Path, PathBuf};

use offramp_graph::Model;
use offramp_models::manifest::Extra;
use offramp_models::{Canary, Sha256, Tail, TensorSpec, Wire};

use crate::ExportError;

/// A bundle's folder that tails are written into.
pub(super) struct Writer<'b> {
    dir: &'b Path,
    /// What was written.
    pub extras: Vec<Extra>,
}

impl<'b> Writer<'b> {
    pub(super) fn new(dir: &'b Path) -> Self {
        Self { dir, extras: Vec::new() }
    }

    /// Makes a folder of the bundle.
    pub(super) fn folder(&self, name: &str) -> Result<(), ExportError> {
        let path = self.dir.join(name);
        fs::create_dir(&path).map_err(|source| ExportError::Write { path, source })
    }

    /// Where a tail lies.
    pub(super) fn tail_path(&self, cut: usize, wire: Wire) -> PathBuf {
        self.dir.join(Tail::file_of(cut, wire))
    }

    /// Writes a tail; its weights are an extra of their own where they lie outside.
    pub(super) fn tail(&mut self, model: &Model, cut: usize, wire: Wire) -> Result<PathBuf, ExportError> {
        self.model(model, Tail::file_of(cut, wire), Extra::TAIL)
    }

    /// Writes the device's end of a cut.
    pub(super) fn encoder(&mut self, model: &Model, cut: usize, wire: Wire) -> Result<PathBuf, ExportError> {
        self.model(model, Tail::encoder_file_of(cut, wire), Extra::WIRE)
    }

    fn model(&mut self, model: &Model, file: String, kind: &str) -> Result<PathBuf, ExportError> {
        let written = model.write(self.dir.join(&file))?;
        if let Some(data) = written.data {
            self.list(format!("{file}.data"), data.sha256, Extra::TAIL_DATA);
        }
        self.list(file, written.sha256, kind);
        Ok(written.path)
    }

    /// Writes what a tail is asked and answers.
    pub(super) fn canary(
        &mut self,
        canary: &Canary,
        cut: usize,
        wire: Wire,
        [inputs, outputs]: [&[TensorSpec]; 2],
    ) -> Result<(), ExportError> {
        let file = Tail::canary_file_of(cut, wire);
        let path = self.dir.join(&file);
        let written = canary.write(&path, inputs, outputs).and_then(|()| Sha256::of_file(&path));
        let sha256 = written.map_err(|source| ExportError::Write { path, source })?;
        self.list(file, sha256, Extra::CANARY);
        Ok(())
    }

    fn list(&mut self, file: String, sha256: Sha256, kind: &str) {
        self.extras.push(Extra { file, sha256, kind: kind.to_owned() });
    }
}
