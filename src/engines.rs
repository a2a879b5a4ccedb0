//! `--backend` to an engine, and where ONNX Runtime is looked for.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use clap::Args;
use offramp_runtime::backend::ort::{self, Library, OrtBackend, Pool, Provider, Silence};
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend, BackendError, Description, LibraryError};

/// Set once by `main`; without it ONNX Runtime is not loaded.
static SILENCE: OnceLock<Silence> = OnceLock::new();

/// Lets ONNX Runtime be loaded.
pub fn permit(silence: Silence) {
    SILENCE.get_or_init(|| silence);
}

/// What runs the segments.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engine")]
pub struct EngineFlags {
    /// auto, ort, ort:cuda, ort:tensorrt, ort:tensorrt-fp16 or tract
    #[arg(long, value_name = "B", default_value = "auto")]
    pub backend: BackendChoice,
    /// Threads inside one operator [default: the engine's own choice]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub threads: Option<u16>,
    /// Let idle ONNX Runtime threads sleep at once instead of spinning for the next image
    #[arg(long)]
    pub no_spinning: bool,
}

/// A backend by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendChoice {
    /// The fastest that works: ONNX Runtime on CUDA, ONNX Runtime on the CPU, tract.
    Auto,
    /// ONNX Runtime on the CPU.
    OrtCpu,
    /// ONNX Runtime on CUDA.
    OrtCuda,
    /// ONNX Runtime on TensorRT.
    OrtTensorRt {
        /// In half precision.
        fp16: bool,
    },
    /// tract.
    Tract,
}

impl FromStr for BackendChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "ort" | "ort:cpu" => Self::OrtCpu,
            "ort:cuda" => Self::OrtCuda,
            "ort:tensorrt" => Self::OrtTensorRt { fp16: false },
            "ort:tensorrt-fp16" => Self::OrtTensorRt { fp16: true },
            "tract" => Self::Tract,
            _ => {
                return Err(
                    "expected auto, ort, ort:cuda, ort:tensorrt, ort:tensorrt-fp16 or tract".to_owned()
                );
            }
        })
    }
}

/// An engine that may serve, and why it comes at its place.
pub struct Candidate {
    /// The engine.
    pub backend: Box<dyn Backend>,
    /// Why this one.
    pub why: String,
}

impl Candidate {
    /// Backend and provider: `ort cuda`.
    pub fn name(&self) -> String {
        let Description { name, provider, .. } = self.backend.describe();
        format!("{name} {provider}")
    }
}

impl EngineFlags {
    /// The engines to try, best first; one unless the choice is `auto`.
    ///
    /// # Errors
    /// When ONNX Runtime was asked for and cannot be loaded.
    pub fn candidates(&self) -> anyhow::Result<Vec<Candidate>> {
        self.candidates_with_cache(None)
    }

    /// As [`EngineFlags::candidates`]; TensorRT keeps its engines under `cache`.
    ///
    /// # Errors
    /// As [`EngineFlags::candidates`].
    pub fn candidates_with_cache(&self, cache: Option<&Path>) -> anyhow::Result<Vec<Candidate>> {
        let asked = || "asked for".to_owned();
        let ort = |provider| -> anyhow::Result<Vec<Candidate>> {
            let library = self.library().map_err(BackendError::Library)?;
            Ok(vec![Candidate { backend: Box::new(OrtBackend::new(library, provider)), why: asked() }])
        };
        match self.backend {
            BackendChoice::Tract => {
                Ok(vec![Candidate { backend: Box::new(TractBackend::new()), why: asked() }])
            }
            BackendChoice::OrtCpu => ort(Provider::Cpu),
            BackendChoice::OrtCuda => ort(Provider::Cuda),
            BackendChoice::OrtTensorRt { fp16 } => {
                ort(Provider::TensorRt { fp16, cache: cache.map(|folder| folder.join("tensorrt")) })
            }
            BackendChoice::Auto => Ok(self.automatic()),
        }
    }

    fn automatic(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let why_tract = match self.library() {
            Ok(library) => {
                let at = library.path().display();
                if library.providers().iter().any(|name| name == Provider::Cuda.engine_name()) {
                    let backend = Box::new(OrtBackend::new(library, Provider::Cuda));
                    candidates.push(Candidate { backend, why: format!("{at} offers CUDA") });
                }
                let backend = Box::new(OrtBackend::new(library, Provider::Cpu));
                candidates.push(Candidate { backend, why: format!("found {at}") });
                "ONNX Runtime cannot run this network".to_owned()
            }
            Err(error) => chain(&error),
        };
        candidates.push(Candidate { backend: Box::new(TractBackend::new()), why: why_tract });
        candidates
    }

    /// Finds and loads ONNX Runtime.
    ///
    /// # Errors
    /// When it is not found, cannot be loaded or is too old.
    pub fn library(&self) -> Result<Library, LibraryError> {
        let path = ort::search(&places())?;
        let pool = Pool { threads: self.threads.map(usize::from), spinning: !self.no_spinning };
        let Some(silence) = SILENCE.get() else {
            return Err(LibraryError::NotFound { searched: Vec::new() });
        };
        Library::load(&path, pool, *silence)
    }

    /// Threads inside one operator, `None` for the engine's own choice.
    pub fn thread_count(&self) -> Option<usize> {
        self.threads.map(usize::from)
    }
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

/// Where ONNX Runtime is looked for, in order: `ORT_DYLIB_PATH`, the set-up folder `.ort` here and beside the build,
/// the system's library folders, Python's packages (where JetPack's wheel puts it).
pub fn places() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return vec![path.into()];
    }
    let mut places = vec![PathBuf::from(".ort")];
    if let Ok(program) = std::env::current_exe() {
        places.extend(program.ancestors().skip(1).take(4).map(|folder| folder.join(".ort")));
        places.extend(program.parent().map(Path::to_owned));
    }
    let system = ["/usr/local/lib", "/usr/lib", "/usr/lib/aarch64-linux-gnu", "/usr/lib/x86_64-linux-gnu"];
    places.extend(system.map(PathBuf::from));
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/lib"));
    for root in
        [Some(PathBuf::from("/usr/local/lib")), Some(PathBuf::from("/usr/lib")), home].into_iter().flatten()
    {
        places.extend(python_packages(&root));
    }
    places
}

fn python_packages(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let pythons = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<PathBuf> = pythons
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3")))
        .flat_map(|python| {
            ["dist-packages", "site-packages"].map(|kind| python.join(kind).join("onnxruntime/capi"))
        })
        .filter(|folder| folder.is_dir())
        .collect();
    folders.sort();
    folders
}
