//! Tensors in ONNX Runtime's memory.

use std::any::Any;
use std::ops::Range;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};

use offramp_models::DType;
use ort::AsPointer;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::DynTensor;

use super::super::{Buffer, HostTensor, RunError, Value, refuse_odd_truth};
use super::{Engine, Provider, element, gather};

/// Where a tensor lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where the host reads and writes.
    Host,
    /// On the provider's device.
    Device,
}

impl Place {
    /// Where `provider` computes.
    pub(super) fn of(provider: &Provider) -> Self {
        match provider {
            Provider::Cpu => Self::Host,
            Provider::Cuda | Provider::TensorRt { .. } => Self::Device,
        }
    }

    pub(super) fn memory(self) -> ort::Result<MemoryInfo<'static>> {
        let device = match self {
            Self::Host => AllocationDevice::CPU,
            Self::Device => AllocationDevice::CUDA,
        };
        MemoryInfo::new(device, 0, AllocatorType::Device, MemoryType::Default)
    }
}

/// How images lie in a tensor: `outer` times, one run of `bytes` per image.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rows {
    axis: usize,
    outer: usize,
    images: usize,
    bytes: usize,
}

impl Rows {
    fn of(shape: &[usize], axis: usize, images: usize, element: usize) -> Option<Self> {
        let extent = *shape.get(axis)?;
        if images == 0 || extent % images != 0 {
            return None;
        }
        let outer = shape.iter().take(axis).product();
        let inner: usize = shape.iter().skip(axis + 1).product();
        Some(Self { axis, outer, images, bytes: extent / images * inner * element })
    }

    fn range(&self, outer: usize, image: usize) -> Range<usize> {
        let start = (outer * self.images + image) * self.bytes;
        start..start + self.bytes
    }
}

/// A tensor that one graph fills and others read.
pub(super) struct OrtBuffer {
    graph: Arc<str>,
    tensor: DynTensor,
    data: NonNull<u8>,
    dtype: DType,
    shape: Vec<usize>,
    rows: Option<Rows>,
    place: Place,
    engine: Arc<Engine>,
    /// What chooses among several images on the device, made with the tensor: choosing is timed, making this is not.
    gather: Option<gather::Shared>,
}

/// What a tensor is to be.
pub(super) struct Layout<'a> {
    pub(super) dtype: DType,
    pub(super) shape: &'a [usize],
    /// The axis along which images lie, `None` for a tensor that is the same for all.
    pub(super) axis: Option<usize>,
    pub(super) batch: usize,
}

impl Layout<'_> {
    /// The axis to gather along; a tensor that is the same for all images is taken whole.
    fn gathered(&self) -> usize {
        self.axis.unwrap_or(0)
    }
}

impl OrtBuffer {
    /// A tensor with room for `layout`, zero where the host can see it. `session` owns the device's memory.
    pub(super) fn new(
        engine: &Arc<Engine>,
        graph: &Arc<str>,
        place: Place,
        session: Option<&Session>,
        layout: &Layout<'_>,
    ) -> Result<Self, RunError> {
        let fail = |source: ort::Error| RunError::Engine { graph: graph.to_string(), source: source.into() };
        let element = element::engine(layout.dtype).ok_or_else(|| RunError::Form {
            graph: graph.to_string(),
            expected: "a known element type".to_owned(),
            found: layout.dtype.to_string(),
        })?;
        let allocator = match (place, session) {
            (Place::Device, Some(session)) => Allocator::new(session, place.memory().map_err(fail)?),
            _ => Ok(Allocator::default()),
        };
        let tensor =
            DynTensor::new(&allocator.map_err(fail)?, element, layout.shape.to_vec()).map_err(fail)?;
        let data = NonNull::new(tensor.data_ptr().cast_mut().cast::<u8>()).unwrap_or(NonNull::dangling());
        let gather = match place {
            Place::Device if layout.batch > 1 => {
                Some(engine.gathers.session(engine, layout.dtype, layout.gathered())?)
            }
            Place::Host | Place::Device => None,
        };
        let rows =
            layout.axis.and_then(|axis| Rows::of(layout.shape, axis, layout.batch, layout.dtype.size()));
        Ok(Self {
            graph: Arc::clone(graph),
            tensor,
            data,
            dtype: layout.dtype,
            shape: layout.shape.to_vec(),
            rows,
            place,
            engine: Arc::clone(engine),
            gather,
        })
    }

    pub(super) fn tensor(&self) -> &DynTensor {
        &self.tensor
    }

    pub(super) fn tensor_mut(&mut self) -> &mut DynTensor {
        &mut self.tensor
    }

    /// ONNX Runtime's handle, valid as long as the buffer.
    pub(super) fn handle(&self) -> *const ort::sys::OrtValue {
        self.tensor.ptr()
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }

    fn refuse(&self, expected: String, found: String) -> RunError {
        RunError::Form { graph: format!("a value of {}", self.graph), expected, found }
    }

    /// Refuses unless the host may touch elements of `dtype`, `len` of them.
    fn check(&self, dtype: DType, len: usize) -> Result<(), RunError> {
        let expected = self.shape.iter().product::<usize>();
        if self.place != Place::Host || self.dtype != dtype || expected != len {
            let place = if self.place == Place::Host { "" } else { " on the device" };
            return Err(self.refuse(
                format!("{expected} elements of {}{place}", self.dtype),
                format!("{len} elements of {dtype}"),
            ));
        }
        Ok(())
    }
}

impl OrtBuffer {
    /// Refuses unless the host may touch `len` bytes from `at` on.
    fn check_bytes(&self, at: usize, len: usize) -> Result<(), RunError> {
        let inside = at.checked_add(len).is_some_and(|end| end <= self.bytes());
        if self.place != Place::Host || !inside || cfg!(target_endian = "big") {
            let place = if self.place == Place::Host { "" } else { " on the device" };
            let expected = format!("bytes 0 to {}{place}, little-endian", self.bytes());
            return Err(self.refuse(expected, format!("{len} bytes at {at}")));
        }
        Ok(())
    }

    /// The chosen images, copied by the host.
    fn copy(&self, images: &[usize], layout: &Layout<'_>) -> Result<Self, RunError> {
        let chosen = Self::new(&self.engine, &self.graph, self.place, None, layout)?;
        let (from, to) = (self.data.as_ptr(), chosen.data.as_ptr());
        let Some((rows, target)) = self.rows.as_ref().zip(chosen.rows.as_ref()) else {
            let bytes = self.bytes().min(chosen.bytes());
            // SAFETY: both tensors have this many bytes, and one is new.
            unsafe { to.copy_from_nonoverlapping(from, bytes) };
            return Ok(chosen);
        };
        for outer in 0..rows.outer {
            for (slot, &image) in images.iter().enumerate() {
                let (source, target) = (rows.range(outer, image), target.range(outer, slot));
                // SAFETY: both ranges lie inside their tensors, which do not overlap: one is new.
                unsafe {
                    to.add(target.start).copy_from_nonoverlapping(from.add(source.start), source.len())
                };
            }
        }
        Ok(chosen)
    }

    /// The chosen images, gathered on the device. A tensor that is the same for all images has one index.
    fn gather(&self, images: &[usize], layout: &Layout<'_>) -> Result<Self, RunError> {
        let fail =
            |source: ort::Error| RunError::Engine { graph: self.graph.to_string(), source: source.into() };
        let extent = match layout.axis {
            Some(axis) => layout.shape.get(axis).copied().unwrap_or(0) / images.len().max(1),
            None => layout.shape.first().copied().unwrap_or(1),
        };
        let chosen = if layout.axis.is_some() { images } else { &[0] };
        let indices = chosen.iter().flat_map(|image| image * extent..(image + 1) * extent);
        let indices: Vec<i64> = indices.map(|index| i64::try_from(index).unwrap_or(i64::MAX)).collect();
        let session = match &self.gather {
            Some(session) => Arc::clone(session),
            None => self.engine.gathers.session(&self.engine, self.dtype, layout.gathered())?,
        };
        let owner = session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chosen = Self::new(&self.engine, &self.graph, self.place, Some(&owner), layout)?;
        drop(owner);
        gather::gather(&session, &self.tensor, indices, &mut chosen.tensor).map_err(fail)?;
        Ok(chosen)
    }
}

impl Buffer for OrtBuffer {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn write(&self, from: HostTensor<'_>) -> Result<(), RunError> {
        self.check(from.dtype(), from.len())?;
        let source = match from {
            HostTensor::Float32(elements) => elements.as_ptr().cast::<u8>(),
            HostTensor::Uint8(elements) => elements.as_ptr(),
        };
        // SAFETY: `check` made sure that type and length agree and that the memory is the host's. Nothing else holds
        // a reference into it: buffers stay on one thread, and a running graph blocks that thread.
        unsafe { self.data.as_ptr().copy_from_nonoverlapping(source, self.bytes()) };
        Ok(())
    }

    fn read(&self, into: &mut [f32]) -> Result<(), RunError> {
        self.check(DType::Float32, into.len())?;
        // SAFETY: as in `write`, the other way round.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(self.data.as_ptr().cast::<f32>(), into.len()) };
        Ok(())
    }

    fn write_bytes(&self, at: usize, from: &[u8]) -> Result<(), RunError> {
        self.check_bytes(at, from.len())?;
        refuse_odd_truth(self.dtype, from)
            .map_err(|found| self.refuse("truth values 0 and 1".to_owned(), found))?;
        // SAFETY: `check_bytes` made sure that the range lies inside memory of the host; the rest as in `write`.
        unsafe { self.data.as_ptr().add(at).copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }

    fn read_bytes(&self, at: usize, into: &mut [u8]) -> Result<(), RunError> {
        self.check_bytes(at, into.len())?;
        // SAFETY: as in `write_bytes`, the other way round.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(self.data.as_ptr().add(at), into.len()) };
        Ok(())
    }

    fn select(&self, images: &[usize]) -> Result<Value, RunError> {
        let mut shape = self.shape.clone();
        if let Some(rows) = &self.rows {
            if let Some(image) = images.iter().find(|image| **image >= rows.images) {
                return Err(self.refuse(format!("images below {}", rows.images), format!("image {image}")));
            }
            if let Some(extent) = shape.get_mut(rows.axis) {
                *extent = *extent / rows.images * images.len();
            }
        }
        let axis = self.rows.as_ref().map(|rows| rows.axis);
        let layout = Layout { dtype: self.dtype, shape: &shape, axis, batch: images.len() };
        Ok(Rc::new(match self.place {
            Place::Host => self.copy(images, &layout)?,
            Place::Device => self.gather(images, &layout)?,
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
