//! `--backend` to backends that may serve, and where ONNX Runtime is looked for.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use clap::Args;
use offramp_models::Causes;
use offramp_runtime::backend::ort::{self, Library, OrtBackend, Pool, Provider, Silence};
use offramp_runtime::backend::slowed::{Scale, Slowed};
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend, BackendError, Description, LibraryError};
use offramp_runtime::pipeline::Pipeline;

use crate::output;

/// Set once by `main`; without it ONNX Runtime is not loaded.
static SILENCE: OnceLock<Silence> = OnceLock::new();

/// Lets ONNX Runtime be loaded.
pub fn permit(silence: Silence) {
    SILENCE.get_or_init(|| silence);
}

/// What runs the segments.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Backend")]
pub struct BackendFlags {
    /// auto, ort, ort:cuda, ort:tensorrt, ort:tensorrt-fp16 or tract; auto takes the fastest that works of ONNX Runtime on
    /// CUDA, ONNX Runtime on the CPU, and tract
    #[arg(long, value_name = "B", default_value = "auto")]
    pub backend: BackendChoice,
    /// Threads inside one operator, 1 to 512 [default: the backend's own choice]; tract always takes one
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

/// A backend that may serve, and why it comes at its place.
pub struct Candidate {
    /// The backend.
    pub backend: Box<dyn Backend>,
    /// Why this one.
    pub why: String,
}

/// Backends to try, best first; one unless the choice is `auto`.
pub struct Candidates {
    preferred: Vec<Candidate>,
    last: Candidate,
}

impl Candidates {
    /// No choice.
    pub fn one(backend: Box<dyn Backend>, why: impl Into<String>) -> Self {
        Self { preferred: Vec::new(), last: Candidate { backend, why: why.into() } }
    }

    /// The same on a device that is emulated so much slower.
    pub fn slowed(self, scale: Scale) -> Self {
        let slow =
            |Candidate { backend, why }| Candidate { backend: Box::new(Slowed::new(backend, scale)), why };
        Self { preferred: self.preferred.into_iter().map(slow).collect(), last: slow(self.last) }
    }

    /// Whether there is a choice.
    #[cfg(feature = "full")]
    pub fn are_several(&self) -> bool {
        !self.preferred.is_empty()
    }

    /// The backends, best first.
    #[cfg(feature = "full")]
    pub fn backends(&self) -> Vec<&dyn Backend> {
        self.preferred.iter().chain([&self.last]).map(|candidate| candidate.backend.as_ref()).collect()
    }

    /// What `attempt` gives on the first backend that does not refuse, and that backend. `refused` tells whether an error
    /// is a backend's refusal; those are told on stderr.
    ///
    /// # Errors
    /// The first error that is no refusal, or the last backend's.
    pub fn first_that_runs<T, E>(
        self,
        refused: impl Fn(&E) -> Option<&BackendError>,
        mut attempt: impl FnMut(&dyn Backend) -> Result<T, E>,
    ) -> Result<(T, Candidate), E> {
        for candidate in self.preferred {
            match attempt(candidate.backend.as_ref()) {
                Ok(made) => return Ok((made, candidate)),
                Err(error) => {
                    let Some(refusal) = refused(&error) else { return Err(error) };
                    let Description { name, provider, .. } = candidate.backend.describe();
                    output::note(format!("note: not on {name} {provider}: {}", Causes(refusal)));
                }
            }
        }
        Ok((attempt(self.last.backend.as_ref())?, self.last))
    }
}

/// Threads inside one operator as they are, not as they were asked for.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Threads {
    /// How many; `None` where the backend does not tell.
    pub threads: Option<usize>,
    /// Why so many.
    pub threads_why: &'static str,
    /// Whether idle threads spin; `None` where there are none.
    pub spinning: Option<bool>,
}

impl std::fmt::Display for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.threads {
            Some(threads) => write!(f, "{threads} ({})", self.threads_why),
            None => f.write_str(self.threads_why),
        }
    }
}

impl BackendFlags {
    /// The backends to try; TensorRT keeps its engines under `cache`.
    ///
    /// # Errors
    /// When ONNX Runtime was asked for and cannot be loaded.
    pub fn candidates(&self, cache: Option<&Path>) -> anyhow::Result<Candidates> {
        let ort = |provider| -> anyhow::Result<Candidates> {
            let library = self.library().map_err(BackendError::Library)?;
            Ok(Candidates::one(Box::new(OrtBackend::new(library, provider)), "asked for"))
        };
        match self.backend {
            BackendChoice::Tract => Ok(Candidates::one(Box::new(TractBackend::new()), "asked for")),
            BackendChoice::OrtCpu => ort(Provider::Cpu),
            BackendChoice::OrtCuda => ort(Provider::Cuda),
            BackendChoice::OrtTensorRt { fp16 } => {
                ort(Provider::TensorRt { fp16, cache: cache.map(|folder| folder.join("tensorrt")) })
            }
            BackendChoice::Auto => Ok(self.automatic()),
        }
    }

    fn automatic(&self) -> Candidates {
        let mut preferred = Vec::new();
        let why = match self.library() {
            Ok(library) => {
                let at = library.path().display();
                if library.providers().iter().any(|name| name == Provider::Cuda.engine_name()) {
                    let backend = Box::new(OrtBackend::new(library, Provider::Cuda));
                    preferred.push(Candidate { backend, why: format!("{at} offers CUDA") });
                }
                let backend = Box::new(OrtBackend::new(library, Provider::Cpu));
                preferred.push(Candidate { backend, why: format!("found {at}") });
                "ONNX Runtime cannot run this network".to_owned()
            }
            Err(error) => Causes(&error).to_string(),
        };
        Candidates { preferred, last: Candidate { backend: Box::new(TractBackend::new()), why } }
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

    /// Threads inside one operator that were asked for, `None` for the backend's own choice.
    pub fn thread_count(&self) -> Option<usize> {
        self.threads.map(usize::from)
    }

    /// Threads that operators of a pipeline really have.
    pub fn threads_of(&self, pipeline: &Pipeline) -> Threads {
        let ran = pipeline.ran_by().next();
        let threads = ran.as_ref().and_then(|ran| ran.threads);
        if ran.is_some_and(|ran| ran.backend.name == "tract") {
            let threads_why = "tract runs operators on the calling thread, whatever is asked for";
            return Threads { threads, threads_why, spinning: None };
        }
        let threads_why = match threads {
            Some(_) => "asked for",
            None => "the backend's own choice, which it does not tell",
        };
        Threads { threads, threads_why, spinning: Some(!self.no_spinning) }
    }
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
