//! Tensors of the protocol: named types, shapes with the batch filled in, little-endian bytes.

use offramp_models::TensorSpec;
use offramp_models::tensor::Shape;

/// A tensor of a message that is not the one expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// Another tensor, or none.
    #[error("expected tensor \"{expected}\", got {found}")]
    Name {
        /// The tensor's name.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Another element type.
    #[error("tensor \"{tensor}\" is of {expected}, got {found:?}")]
    Datatype {
        /// The tensor.
        tensor: String,
        /// Its type in the protocol's words.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Another shape.
    #[error("tensor \"{tensor}\" has shape {expected}, got {found:?}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape, `batch` for the free extent.
        expected: String,
        /// What is there.
        found: Vec<i64>,
    },
    /// Another number of images than its fellows, or none at all.
    #[error("tensor \"{tensor}\" holds {found} images, {expected} were expected")]
    Batch {
        /// The tensor.
        tensor: String,
        /// Images expected.
        expected: usize,
        /// Images there.
        found: usize,
    },
    /// Too few bytes for its shape, or too many.
    #[error("tensor \"{tensor}\" of {expected} bytes came with {found}")]
    Bytes {
        /// The tensor.
        tensor: String,
        /// Elements times their size.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// A number that is none.
    #[error("tensor \"{tensor}\" holds {found} at element {element}")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Its place, row-major.
        element: usize,
        /// NaN or an infinity.
        found: f32,
    },
}

/// A tensor as a message describes it.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type in the protocol's words.
    pub datatype: &'a str,
    /// Its shape.
    pub shape: &'a [i64],
    /// Its elements, little-endian and row-major.
    pub bytes: &'a [u8],
}

/// How many images `found` holds, if it is the tensor that `spec` says, whole.
///
/// # Errors
/// [`TensorError`] says what differs first.
pub fn images(spec: &TensorSpec, found: Described<'_>) -> Result<usize, TensorError> {
    let tensor = || spec.name.clone();
    if found.name != spec.name {
        return Err(TensorError::Name { expected: tensor(), found: format!("{:?}", found.name) });
    }
    let expected = spec.dtype.datatype();
    if found.datatype != expected {
        return Err(TensorError::Datatype { tensor: tensor(), expected, found: found.datatype.to_owned() });
    }
    let mut images = 1;
    let mut elements = Some(1_usize);
    let fits = spec.shape.len() == found.shape.len()
        && spec.shape.iter().zip(found.shape).all(|(extent, found)| {
            let Ok(found) = usize::try_from(*found) else { return false };
            elements = elements.and_then(|elements| elements.checked_mul(found));
            match extent {
                Some(extent) => *extent == found,
                None => {
                    images = found;
                    true
                }
            }
        });
    let bytes = elements.and_then(|elements| elements.checked_mul(spec.dtype.size()));
    let (true, Some(expected)) = (fits, bytes) else {
        return Err(TensorError::Shape {
            tensor: tensor(),
            expected: Shape(&spec.shape).to_string(),
            found: found.shape.to_vec(),
        });
    };
    if images == 0 {
        return Err(TensorError::Batch { tensor: tensor(), expected: 1, found: 0 });
    }
    if found.bytes.len() != expected {
        return Err(TensorError::Bytes { tensor: tensor(), expected, found: found.bytes.len() });
    }
    Ok(images)
}

/// The shape of `spec` for `images`.
pub fn filled(spec: &TensorSpec, images: usize) -> Vec<i64> {
    spec.shape_at(images).into_iter().map(|extent| i64::try_from(extent).unwrap_or(i64::MAX)).collect()
}

/// float32 elements out of little-endian bytes.
///
/// # Errors
/// `NotFinite` for the first that is NaN or infinite.
pub fn finite(tensor: &str, bytes: &[u8], into: &mut Vec<f32>) -> Result<(), TensorError> {
    into.reserve(bytes.len() / 4);
    for (element, four) in bytes.as_chunks::<4>().0.iter().enumerate() {
        let found = f32::from_le_bytes(*four);
        if !found.is_finite() {
            return Err(TensorError::NotFinite { tensor: tensor.to_owned(), element, found });
        }
        into.push(found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use offramp_models::DType;
    use proptest::prelude::*;

    fn spec() -> TensorSpec {
        TensorSpec { name: "cut".to_owned(), dtype: DType::Float32, shape: vec![None, Some(2), Some(3)] }
    }

    #[test]
    fn a_whole_tensor_says_how_many_images_it_holds() {
        let found = Described { name: "cut", datatype: "FP32", shape: &[4, 2, 3], bytes: &[0; 96] };
        assert_eq!(images(&spec(), found), Ok(4));
        assert_eq!(filled(&spec(), 4), [4, 2, 3]);
    }

    #[test]
    fn whatever_differs_is_named() {
        let whole = Described { name: "cut", datatype: "FP32", shape: &[1, 2, 3], bytes: &[0; 24] };
        let cases = [
            (Described { name: "out", ..whole }, "expected tensor \"cut\", got \"out\""),
            (Described { datatype: "UINT8", ..whole }, "tensor \"cut\" is of FP32, got \"UINT8\""),
            (
                Described { shape: &[1, 3, 2], ..whole },
                "tensor \"cut\" has shape [batch, 2, 3], got [1, 3, 2]",
            ),
            (Described { shape: &[1, 6], ..whole }, "tensor \"cut\" has shape [batch, 2, 3], got [1, 6]"),
            (
                Described { shape: &[-1, 2, 3], ..whole },
                "tensor \"cut\" has shape [batch, 2, 3], got [-1, 2, 3]",
            ),
            (Described { shape: &[0, 2, 3], ..whole }, "tensor \"cut\" holds 0 images, 1 were expected"),
            (Described { bytes: &[0; 20], ..whole }, "tensor \"cut\" of 24 bytes came with 20"),
            (Described { bytes: &[], ..whole }, "tensor \"cut\" of 24 bytes came with 0"),
        ];
        for (found, message) in cases {
            assert_eq!(images(&spec(), found).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let bytes: Vec<u8> = [1.0, f32::NAN].iter().flat_map(|x| x.to_le_bytes()).collect();
        let error = finite("exit0", &bytes, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "tensor \"exit0\" holds NaN at element 1");
    }

    proptest! {
        #[test]
        fn no_shape_stops_the_process(shape in prop::collection::vec(any::<i64>(), 0..5), bytes in 0..64_usize) {
            let bytes = vec![0; bytes];
            let found = Described { name: "cut", datatype: "FP32", shape: &shape, bytes: &bytes };
            let _ = images(&spec(), found);
        }
    }
}
