//! Whole numbers of the form `constant + batch * factor`.

/// Claims hold for batches from one to here: far more images than fit, far less than the ends that exporters write
/// where they mean "all of it".
const LARGEST_BATCH: i128 = 1 << 20;

/// `constant + batch * (the batch)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Linear {
    pub constant: i64,
    pub batch: i64,
}

impl Linear {
    pub const fn new(constant: i64) -> Self {
        Self { constant, batch: 0 }
    }

    pub const fn known(self) -> Option<i64> {
        if self.batch == 0 { Some(self.constant) } else { None }
    }

    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            constant: self.constant.checked_add(other.constant)?,
            batch: self.batch.checked_add(other.batch)?,
        })
    }

    pub fn minus(self, other: Self) -> Option<Self> {
        Some(Self {
            constant: self.constant.checked_sub(other.constant)?,
            batch: self.batch.checked_sub(other.batch)?,
        })
    }

    pub fn times(self, other: Self) -> Option<Self> {
        match (self.known(), other.known()) {
            (Some(factor), _) => other.scaled(factor),
            (_, Some(factor)) => self.scaled(factor),
            _ => None,
        }
    }

    fn scaled(self, factor: i64) -> Option<Self> {
        Some(Self { constant: self.constant.checked_mul(factor)?, batch: self.batch.checked_mul(factor)? })
    }

    /// Division that rounds towards zero, where the result is linear again.
    pub fn over(self, by: Self) -> Option<Self> {
        match (self.known(), by.known()) {
            (Some(constant), Some(by)) => Some(Self::new(constant.checked_div(by)?)),
            (Some(0), None) if by.at_least(Self::new(1)) == Some(true) => Some(Self::new(0)),
            (None, Some(by)) => {
                let whole = self.constant.checked_rem(by)? == 0 && self.batch.checked_rem(by)? == 0;
                whole.then_some(Self {
                    constant: self.constant.checked_div(by)?,
                    batch: self.batch.checked_div(by)?,
                })
            }
            // The batch cancels.
            (None, None) if self.constant == 0 && by.constant == 0 => {
                Some(Self::new(self.batch.checked_div(by.batch)?))
            }
            _ => None,
        }
    }

    /// Remainder with the sign of `by`, as in Python.
    pub fn modulo(self, by: i64) -> Option<Self> {
        if by == 0 || self.batch.checked_rem(by)? != 0 {
            return None;
        }
        let remainder = self.constant.checked_rem(by)?;
        let crosses = remainder != 0 && (remainder < 0) != (by < 0);
        Some(Self::new(if crosses { remainder.checked_add(by)? } else { remainder }))
    }

    /// Whether this is at least `other` for every batch, for none, or neither.
    pub fn at_least(self, other: Self) -> Option<bool> {
        // A line is on one side of zero if both its ends are.
        let [least, most] = [1, LARGEST_BATCH].map(|batch| self.at(batch) >= other.at(batch));
        (least == most).then_some(least)
    }

    fn at(self, batch: i128) -> i128 {
        i128::from(self.constant) + i128::from(self.batch) * batch
    }

    /// Whether both are equal for every batch, for none, or neither.
    pub fn equals(self, other: Self) -> Option<bool> {
        let difference = self.minus(other)?;
        if difference.batch == 0 {
            return Some(difference.constant == 0);
        }
        let (constant, batch) = (i128::from(difference.constant), i128::from(difference.batch));
        let meets = -constant % batch == 0 && -constant / batch >= 1;
        if meets { None } else { Some(false) }
    }

    pub fn larger(self, other: Self) -> Option<Self> {
        self.at_least(other).map(|first| if first { self } else { other })
    }

    pub fn smaller(self, other: Self) -> Option<Self> {
        self.at_least(other).map(|first| if first { other } else { self })
    }
}
