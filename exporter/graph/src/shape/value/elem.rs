//! One element of a value.

use offramp_models::DType;

use super::Linear;
use crate::shape::Extent;

/// A whole number (truth values are 0 and 1), a float, or nothing that can be told. In float tensors only what varies
/// with the batch is `Whole`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Elem {
    Whole(Linear),
    Real(f64),
    Unknown,
}

/// Whole numbers up to here are exact in f64.
const EXACT: i64 = 1 << f64::MANTISSA_DIGITS;

impl Elem {
    pub const fn int(number: i64) -> Self {
        Self::Whole(Linear::new(number))
    }

    pub const fn truth(truth: bool) -> Self {
        Self::int(truth as i64)
    }

    pub fn of_extent(extent: Extent) -> Self {
        let whole = |number: usize| i64::try_from(number).ok();
        match extent {
            Extent::Known(number) => whole(number).map_or(Self::Unknown, Self::int),
            Extent::Batch(factor) => {
                whole(factor).map_or(Self::Unknown, |batch| Self::Whole(Linear { constant: 0, batch }))
            }
            Extent::Unknown => Self::Unknown,
        }
    }

    /// The extent that this element stands for; `None` if it is negative.
    pub fn extent(self) -> Option<Extent> {
        match self {
            Self::Whole(Linear { constant, batch: 0 }) => usize::try_from(constant).ok().map(Extent::Known),
            Self::Whole(Linear { constant: 0, batch }) => usize::try_from(batch).ok().map(Extent::batches),
            _ => Some(Extent::Unknown),
        }
    }

    /// As [`Elem::extent`], where a float may stand for a whole number.
    pub fn count(self) -> Option<Extent> {
        self.cast(DType::Int64).extent()
    }

    pub fn linear(self) -> Option<Linear> {
        match self {
            Self::Whole(linear) => Some(linear),
            _ => None,
        }
    }

    /// The number, if it is whole and does not vary with the batch.
    pub fn whole(self) -> Option<i64> {
        self.linear()?.known()
    }

    pub fn real(self) -> Option<f64> {
        match self {
            Self::Real(real) => Some(real),
            _ => None,
        }
    }

    /// The element as a tensor of `dtype` holds it: rounded to its precision, unknown if it does not fit.
    pub fn held_by(self, dtype: DType) -> Self {
        match (dtype, self) {
            (DType::Float32, Self::Real(real)) => Self::Real(f64::from(real as f32)),
            (DType::Float64, Self::Real(_)) => self,
            (DType::Float32 | DType::Float64, Self::Whole(linear)) => match linear.known() {
                Some(number) if (-EXACT..=EXACT).contains(&number) => {
                    Self::Real(number as f64).held_by(dtype)
                }
                Some(_) => Self::Unknown,
                None => self,
            },
            (_, Self::Whole(linear)) => match (linear.known(), whole_range(dtype)) {
                (Some(number), Some((low, high))) if (low..=high).contains(&number) => self,
                (None, _) if matches!(dtype, DType::Int64 | DType::Int32) => self,
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// `Cast` to `dtype`.
    pub fn cast(self, dtype: DType) -> Self {
        match (dtype, self) {
            (DType::Bool, Self::Whole(linear)) => {
                linear.equals(Linear::new(0)).map_or(Self::Unknown, |zero| Self::truth(!zero))
            }
            (DType::Bool, Self::Real(real)) if !real.is_nan() => Self::truth(real != 0.0),
            (DType::Float32 | DType::Float64, _) => self.held_by(dtype),
            (_, Self::Real(real)) if real.abs() <= EXACT as f64 => Self::int(real as i64).held_by(dtype),
            (_, Self::Whole(_)) => self.held_by(dtype),
            _ => Self::Unknown,
        }
    }

    pub fn decode(dtype: DType, bytes: &[u8]) -> Option<Self> {
        Some(match dtype {
            DType::Float32 => Self::Real(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
            DType::Float64 => Self::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
            DType::Bool => Self::truth(*bytes.first()? != 0),
            DType::Uint8 => Self::int(i64::from(*bytes.first()?)),
            DType::Int8 => Self::int(i64::from(i8::from_le_bytes(bytes.try_into().ok()?))),
            DType::Uint16 => Self::int(i64::from(u16::from_le_bytes(bytes.try_into().ok()?))),
            DType::Int16 => Self::int(i64::from(i16::from_le_bytes(bytes.try_into().ok()?))),
            DType::Uint32 => Self::int(i64::from(u32::from_le_bytes(bytes.try_into().ok()?))),
            DType::Int32 => Self::int(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
            DType::Int64 => Self::int(i64::from_le_bytes(bytes.try_into().ok()?)),
            DType::Uint64 => {
                i64::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).map_or(Self::Unknown, Self::int)
            }
            _ => return None,
        })
    }

    pub fn encode(self, dtype: DType, into: &mut Vec<u8>) -> Option<()> {
        let number = self.whole()?;
        let (low, high) = whole_range(dtype)?;
        if !(low..=high).contains(&number) {
            return None;
        }
        into.extend_from_slice(number.to_le_bytes().get(..dtype.size())?);
        Some(())
    }
}

fn whole_range(dtype: DType) -> Option<(i64, i64)> {
    Some(match dtype {
        DType::Bool => (0, 1),
        DType::Uint8 => (0, i64::from(u8::MAX)),
        DType::Int8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DType::Uint16 => (0, i64::from(u16::MAX)),
        DType::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DType::Uint32 => (0, i64::from(u32::MAX)),
        DType::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::Int64 => (i64::MIN, i64::MAX),
        DType::Uint64 => (0, i64::MAX),
        _ => return None,
    })
}
