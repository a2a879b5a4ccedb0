//! Finding and loading ONNX Runtime's shared library.

use std::ffi::{CStr, OsStr, c_char};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::logging::LogLevel;

use super::super::{EngineError, LibraryError};
use super::log;

/// Where ONNX Runtime keeps its switch, read when the library starts.
const TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// Proof that ONNX Runtime was told not to report to its vendor.
#[derive(Clone, Copy, Debug)]
pub struct Silence(());

/// Tells ONNX Runtime, before it is loaded, not to report to its vendor.
///
/// The builds on PyPI look a host name up and write a database under the user's cache folder as soon as they start;
/// no call of the API stops that, the variable `ORT_DISABLE_TELEMETRY` does. It has to be in the process's own
/// environment, because the library reads it with C's `getenv`.
///
/// # Safety
/// No other thread may read or write the environment meanwhile, except through `std::env`: call it first in `main`,
/// before any thread exists.
pub unsafe fn silence_telemetry() -> Silence {
    // SAFETY: the caller keeps other threads away from the environment.
    unsafe { std::env::set_var(TELEMETRY, "1") };
    Silence(())
}

/// The threads that all graphs of a process share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Threads inside one operator; `None` leaves it to ONNX Runtime.
    pub threads: Option<usize>,
    /// Whether idle threads spin a while: faster for one image after another, wasteful for one now and then.
    pub spinning: bool,
}

impl Default for Pool {
    fn default() -> Self {
        Self { threads: None, spinning: true }
    }
}

/// The version that [`Library::load`] needs at least.
pub fn needed_version() -> &'static str {
    "1.17"
}

/// The first library among `places`, each a file or a folder to look into.
///
/// In a folder, `libonnxruntime.so` is taken before `libonnxruntime.so.1.31.1`, the `.dylib` and `.dll` names likewise.
///
/// # Errors
/// `NotFound`, listing the places.
pub fn search(places: &[PathBuf]) -> Result<PathBuf, LibraryError> {
    let found = places.iter().find_map(|place| if place.is_dir() { in_folder(place) } else { file(place) });
    found.ok_or_else(|| LibraryError::NotFound { searched: places.to_vec() })
}

fn file(place: &Path) -> Option<PathBuf> {
    place.is_file().then(|| place.to_owned())
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let names = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let mut names: Vec<_> = names.filter(|name| name.to_str().is_some_and(is_library)).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names.iter().find_map(|name| file(&folder.join::<&OsStr>(name)))
}

fn is_library(name: &str) -> bool {
    let versioned = name.strip_prefix("libonnxruntime.so.");
    matches!(name, "libonnxruntime.so" | "libonnxruntime.dylib" | "onnxruntime.dll")
        || versioned.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        || name
            .strip_prefix("libonnxruntime.")
            .and_then(|rest| rest.strip_suffix(".dylib"))
            .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// ONNX Runtime, loaded. A process holds one; copies are handles.
#[derive(Clone, Copy)]
pub struct Library(&'static Loaded);

struct Loaded {
    path: PathBuf,
    version: String,
    pool: Pool,
    environment: Environment,
}

static LOADED: Mutex<Option<Library>> = Mutex::new(None);

impl Library {
    /// Loads the library at `path`, or returns the one that was loaded from there before; `pool` then stays as it was.
    ///
    /// # Errors
    /// `Load` for a file that is not ONNX Runtime, `TooOld`, and `Taken` when this process holds another.
    pub fn load(path: &Path, pool: Pool, _silence: Silence) -> Result<Self, LibraryError> {
        let load = |source: EngineError| LibraryError::Load { path: path.to_owned(), source };
        let path = path.canonicalize().map_err(|source| load(source.into()))?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = *loaded {
            return match library.path() == path {
                true => Ok(library),
                false => Err(LibraryError::Taken { path, loaded: library.path().to_owned() }),
            };
        }
        let version = probe(&path)?;
        let environment = start(&path, pool).map_err(load)?;
        let library = Self(Box::leak(Box::new(Loaded { path, version, pool, environment })));
        *loaded = Some(library);
        Ok(library)
    }

    /// The file it was loaded from, links resolved.
    pub fn path(&self) -> &'static Path {
        &self.0.path
    }

    /// `1.31.1`.
    pub fn version(&self) -> &'static str {
        &self.0.version
    }

    /// The threads its graphs share.
    pub fn pool(&self) -> Pool {
        self.0.pool
    }

    /// Execution providers that were compiled in, by ONNX Runtime's names; whether one works shows when it is used.
    pub fn providers(&self) -> Vec<String> {
        let api = ort::api();
        let (mut names, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: both out-pointers are valid; the call fills them or returns a status.
        let status = unsafe { (api.GetAvailableProviders)(&mut names, &mut count) };
        // SAFETY: the status comes from the call above and is used once.
        if unsafe { ort::Error::result_from_status(status) }.is_err() || names.is_null() {
            return Vec::new();
        }
        let text = |index: usize| {
            // SAFETY: ONNX Runtime filled `count` pointers to strings that end with NUL.
            unsafe { CStr::from_ptr(*names.add(index)) }.to_string_lossy().into_owned()
        };
        let providers = (0..usize::try_from(count).unwrap_or(0)).map(text).collect();
        // SAFETY: the array comes from GetAvailableProviders and is released once.
        let status = unsafe { (api.ReleaseAvailableProviders)(names, count) };
        // SAFETY: the status comes from the call above. Releasing cannot fail; a status would only be freed.
        let _released = unsafe { ort::Error::result_from_status(status) };
        providers
    }

    pub(super) fn environment(&self) -> &'static Environment {
        &self.0.environment
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("path", &self.path()).field("version", &self.version()).finish()
    }
}

/// Reads the version without `ort`, which panics on libraries that it cannot use.
fn probe(path: &Path) -> Result<String, LibraryError> {
    let load = |source: EngineError| LibraryError::Load { path: path.to_owned(), source };
    // SAFETY: loading runs the library's initialisers; the caller chose the file as ONNX Runtime.
    let library = unsafe { libloading::Library::new(path) }.map_err(|source| load(source.into()))?;
    type Base = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: the exported function has had this signature since ONNX Runtime 1.0.
    let base = unsafe { library.get::<Base>(b"OrtGetApiBase\0") }.map_err(|source| load(source.into()))?;
    // SAFETY: the function takes nothing and returns a static table or null.
    let base = unsafe { base().as_ref() }.ok_or_else(|| load("OrtGetApiBase gave nothing".into()))?;
    // SAFETY: the table's function takes nothing and returns a static string.
    let version: *const c_char = unsafe { (base.GetVersionString)() };
    // SAFETY: the string ends with NUL and lives as long as the library, which is still open.
    let version = unsafe { CStr::from_ptr(version) }.to_string_lossy().into_owned();
    // SAFETY: the table's function returns a static table, or null when the version is unknown to it.
    let api = unsafe { (base.GetApi)(ort::sys::ORT_API_VERSION) };
    if api.is_null() || !serves(&version) {
        let path = path.to_owned();
        return Err(LibraryError::TooOld { path, found: version, needed: needed_version() });
    }
    Ok(version)
}

fn serves(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (1, ort::sys::ORT_API_VERSION)
}

fn start(path: &Path, pool: Pool) -> Result<Environment, EngineError> {
    let builder = ort::init_from(path)?;
    let mut threads = GlobalThreadPoolOptions::default().with_inter_threads(1)?;
    threads = threads.with_intra_threads(pool.threads.unwrap_or(0))?.with_spin_control(pool.spinning)?;
    let environment = builder
        .with_name("offramp")
        .with_telemetry(false)
        .with_logger(log::logger())
        .with_global_thread_pool(threads)
        .build()?;
    environment.set_log_level(LogLevel::Error);
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_1_17_do_not_serve() {
        assert!(!serves("1.16.3"));
        assert!(!serves("0.99.0"));
        assert!(!serves("nonsense"));
        assert!(serves("1.17.0"));
        assert!(serves("1.31.1"));
        assert!(serves("2.0.0"));
    }

    #[test]
    fn libraries_are_known_by_name() {
        for name in ["libonnxruntime.so", "libonnxruntime.so.1.31.1", "libonnxruntime.1.31.1.dylib"] {
            assert!(is_library(name), "{name}");
        }
        for name in ["libonnxruntime_providers_cuda.so", "libonnxruntime.so.txt", "libonnxruntime.a"] {
            assert!(!is_library(name), "{name}");
        }
    }

    #[test]
    fn the_unversioned_name_is_taken_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime.so.1.31.1", "libonnxruntime.so", "libonnxruntime_providers_shared.so"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let nowhere = folder.path().join("nowhere");
        let found = search(&[nowhere.clone(), folder.path().to_owned()]).unwrap();
        assert_eq!(found, folder.path().join("libonnxruntime.so"));
        let error = search(std::slice::from_ref(&nowhere)).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
