//! The functions of NVIDIA's management library that are needed, loaded when the program runs.
//!
//! Bound by hand: eight functions, of an interface that NVIDIA keeps stable, against a crate that brings a second loader
//! and a stack of macros. Source: `nvml.h`.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_uint, c_ulonglong, c_void};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::probe::Lost;

/// What graphics processors tell.
pub(super) trait Gpus: Send {
    fn count(&self) -> Result<u32, Code>;
    fn name(&self, gpu: u32) -> Result<String, Code>;
    /// Millijoules since the driver was loaded.
    fn energy_mj(&self, gpu: u32) -> Result<u64, Code>;
    /// Milliwatts at this moment.
    fn instant_mw(&self, gpu: u32) -> Result<u32, Code>;
    /// Milliwatts, at this moment or averaged, as the generation does.
    fn usage_mw(&self, gpu: u32) -> Result<u32, Code>;
}

/// What a function of the library returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Code(c_int);

impl Code {
    const SUCCESS: Self = Self(0);
    pub const NOT_SUPPORTED: Self = Self(3);
    const GPU_IS_LOST: Self = Self(15);

    fn check(self) -> Result<(), Self> {
        if self == Self::SUCCESS { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("not initialised"),
            2 => f.write_str("invalid argument"),
            3 => f.write_str("not supported"),
            4 => f.write_str("no permission"),
            9 => f.write_str("the driver is not loaded"),
            12 => f.write_str("the driver's library is not there"),
            15 => f.write_str("the processor is lost"),
            other => write!(f, "NVML error {other}"),
        }
    }
}

impl From<Code> for Lost {
    fn from(code: Code) -> Self {
        if code == Code::GPU_IS_LOST { Self::Vanished } else { Self::Failed }
    }
}

/// Why the library is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    #[error("{} cannot be loaded: no NVIDIA driver, or not this one's library", path.display())]
    Load { path: PathBuf, source: libloading::Error },
    #[error("{} lacks a function", path.display())]
    Symbol { path: PathBuf, source: libloading::Error },
    #[error("{} does not start: {code}", path.display())]
    Init { path: PathBuf, code: Code },
}

type Device = *mut c_void;

/// `nvmlFieldValue_t`.
#[repr(C)]
struct FieldValue {
    field: c_uint,
    scope: c_uint,
    timestamp: c_longlong,
    latency_us: c_longlong,
    value_type: c_uint,
    code: Code,
    /// A union of eight bytes; an unsigned int lies in its first four.
    value: [u8; 8],
}

const FIELD_POWER_INSTANT: c_uint = 186;
const VALUE_UNSIGNED_INT: c_uint = 1;

pub(super) struct Library {
    shutdown: unsafe extern "C" fn() -> Code,
    count: unsafe extern "C" fn(*mut c_uint) -> Code,
    handle: unsafe extern "C" fn(c_uint, *mut Device) -> Code,
    name: unsafe extern "C" fn(Device, *mut c_char, c_uint) -> Code,
    energy: unsafe extern "C" fn(Device, *mut c_ulonglong) -> Code,
    usage: unsafe extern "C" fn(Device, *mut c_uint) -> Code,
    /// Libraries before 2018 have no fields.
    fields: Option<unsafe extern "C" fn(Device, c_int, *mut FieldValue) -> Code>,
    /// Keeps the functions above where they are; dropped after `drop` has called `shutdown`.
    _library: libloading::Library,
}

impl Library {
    pub(super) fn open(path: &Path) -> Result<Self, Unavailable> {
        // SAFETY: loading runs the library's initialisers; NVIDIA's has none that need anything of us.
        let library = unsafe { libloading::Library::new(path) }
            .map_err(|source| Unavailable::Load { path: path.to_owned(), source })?;
        let missing = |source| Unavailable::Symbol { path: path.to_owned(), source };
        /// Takes a function out of its library, which must outlive it.
        ///
        /// # Safety
        /// `T` must be the type that `nvml.h` declares for `name`.
        unsafe fn function<T: Copy>(
            library: &libloading::Library,
            name: &CStr,
        ) -> Result<T, libloading::Error> {
            // SAFETY: as the caller promises.
            Ok(*unsafe { library.get::<T>(name.to_bytes_with_nul()) }?)
        }
        // SAFETY: the types are those of nvml.h; the functions are kept beside the library that they lie in.
        let (init, bound) = unsafe {
            let init: unsafe extern "C" fn() -> Code = function(&library, c"nvmlInit_v2").map_err(missing)?;
            let bound = Self {
                shutdown: function(&library, c"nvmlShutdown").map_err(missing)?,
                count: function(&library, c"nvmlDeviceGetCount_v2").map_err(missing)?,
                handle: function(&library, c"nvmlDeviceGetHandleByIndex_v2").map_err(missing)?,
                name: function(&library, c"nvmlDeviceGetName").map_err(missing)?,
                energy: function(&library, c"nvmlDeviceGetTotalEnergyConsumption").map_err(missing)?,
                usage: function(&library, c"nvmlDeviceGetPowerUsage").map_err(missing)?,
                fields: function(&library, c"nvmlDeviceGetFieldValues").ok(),
                _library: library,
            };
            (init, bound)
        };
        // SAFETY: takes nothing; calls are counted by the library and undone by `shutdown`. A shutdown without it is harmless.
        let code = unsafe { init() };
        code.check().map_err(|code| Unavailable::Init { path: path.to_owned(), code })?;
        Ok(bound)
    }

    fn device(&self, gpu: u32) -> Result<Device, Code> {
        let mut device = std::ptr::null_mut();
        // SAFETY: the library is initialised and writes one handle.
        unsafe { (self.handle)(gpu, &mut device) }.check()?;
        Ok(device)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: the functions are still loaded. Nothing can be done about a failure.
        unsafe { (self.shutdown)() };
    }
}

impl Gpus for Library {
    fn count(&self) -> Result<u32, Code> {
        let mut count = 0;
        // SAFETY: the library writes one unsigned int.
        unsafe { (self.count)(&mut count) }.check()?;
        Ok(count)
    }

    fn name(&self, gpu: u32) -> Result<String, Code> {
        let mut name = [0 as c_char; 96];
        // SAFETY: the library writes at most the length that it is told, a zero included.
        unsafe { (self.name)(self.device(gpu)?, name.as_mut_ptr(), name.len() as c_uint) }.check()?;
        let bytes: Vec<u8> = name.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn energy_mj(&self, gpu: u32) -> Result<u64, Code> {
        let mut energy = 0;
        // SAFETY: the library writes one unsigned long long.
        unsafe { (self.energy)(self.device(gpu)?, &mut energy) }.check()?;
        Ok(energy)
    }

    fn instant_mw(&self, gpu: u32) -> Result<u32, Code> {
        let fields = self.fields.ok_or(Code::NOT_SUPPORTED)?;
        let mut value = FieldValue {
            field: FIELD_POWER_INSTANT,
            scope: 0,
            timestamp: 0,
            latency_us: 0,
            value_type: 0,
            code: Code::SUCCESS,
            value: [0; 8],
        };
        // SAFETY: the library fills one entry of the layout of nvmlFieldValue_t.
        unsafe { fields(self.device(gpu)?, 1, &mut value) }.check()?;
        value.code.check()?;
        if value.value_type != VALUE_UNSIGNED_INT {
            return Err(Code::NOT_SUPPORTED);
        }
        let [a, b, c, d, ..] = value.value;
        Ok(u32::from_ne_bytes([a, b, c, d]))
    }

    fn usage_mw(&self, gpu: u32) -> Result<u32, Code> {
        let mut power = 0;
        // SAFETY: the library writes one unsigned int.
        unsafe { (self.usage)(self.device(gpu)?, &mut power) }.check()?;
        Ok(power)
    }
}
