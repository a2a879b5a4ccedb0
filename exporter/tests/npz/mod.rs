//! Arrays of the conformance suite: uncompressed npz, float32 or uint8, row-major.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use offramp_runtime::backend::HostTensor;

/// One array, its first axis the images.
pub struct Array {
    images: usize,
    data: Data,
}

enum Data {
    Float32(Vec<f32>),
    Uint8(Vec<u8>),
}

/// All arrays by name.
pub fn read(path: &Path) -> HashMap<String, Array> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let mut array = |file: &String| {
        let mut bytes = Vec::new();
        archive.by_name(file).unwrap().read_to_end(&mut bytes).unwrap();
        (file.trim_end_matches(".npy").to_owned(), Array::parse(&bytes))
    };
    names.iter().map(&mut array).collect()
}

impl Array {
    fn parse(bytes: &[u8]) -> Self {
        assert_eq!(&bytes[..6], b"\x93NUMPY");
        let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let (header, data) = (std::str::from_utf8(&bytes[10..end]).unwrap(), &bytes[end..]);
        let shape = header.split_once("'shape': (").unwrap().1;
        let images = shape.split(&[',', ')'][..]).next().unwrap().parse().unwrap();
        let data = if header.contains("'<f4'") {
            Data::Float32(data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        } else {
            assert!(header.contains("'|u1'"), "{header}");
            Data::Uint8(data.to_vec())
        };
        Self { images, data }
    }

    /// Images `first..first + count`.
    pub fn rows(&self, first: usize, count: usize) -> Self {
        let rows = |elements: usize| {
            let each = elements / self.images;
            first * each..(first + count) * each
        };
        let data = match &self.data {
            Data::Float32(values) => Data::Float32(values[rows(values.len())].to_vec()),
            Data::Uint8(values) => Data::Uint8(values[rows(values.len())].to_vec()),
        };
        Self { images: count, data }
    }

    /// As a backend takes it.
    pub fn view(&self) -> HostTensor<'_> {
        match &self.data {
            Data::Float32(values) => HostTensor::Float32(values),
            Data::Uint8(values) => HostTensor::Uint8(values),
        }
    }

    /// The elements of a float32 array.
    pub fn floats(&self) -> Vec<f32> {
        match &self.data {
            Data::Float32(values) => values.clone(),
            Data::Uint8(_) => panic!("expected float32"),
        }
    }
}
