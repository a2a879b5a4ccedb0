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

    /// The larger of both, if it is the same one for every batch.
    pub fn larger(self, other: Self) -> Option<Self> {
        match (self.at_least(other), other.at_least(self)) {
            (Some(true), _) => Some(self),
            (_, Some(true)) => Some(other),
            _ => None,
        }
    }

    /// The smaller of both, if it is the same one for every batch.
    pub fn smaller(self, other: Self) -> Option<Self> {
        self.larger(other).map(|larger| if larger == self { other } else { self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: Linear = Linear { constant: 0, batch: 1 };

    fn twice(batch: Linear) -> Linear {
        batch.plus(batch).unwrap()
    }

    #[test]
    fn arithmetic_keeps_the_batch_apart() {
        let three = Linear::new(3);
        assert_eq!(BATCH.times(three).unwrap().over(three), Some(BATCH));
        assert_eq!(twice(BATCH).plus(three), Some(Linear { constant: 3, batch: 2 }));
        assert_eq!(twice(BATCH).minus(BATCH), Some(BATCH));
        assert_eq!(twice(BATCH).over(BATCH), Some(Linear::new(2)));
        assert_eq!(BATCH.over(three), None);
        assert_eq!(BATCH.times(BATCH), None);
        assert_eq!(Linear::new(i64::MAX).plus(BATCH).unwrap().plus(Linear::new(1)), None);
        assert_eq!(Linear::new(i64::MIN).over(Linear::new(-1)), None);
    }

    #[test]
    fn remainders_have_the_sign_of_the_divisor() {
        assert_eq!(Linear::new(-7).modulo(3), Some(Linear::new(2)));
        assert_eq!(Linear::new(7).modulo(-3), Some(Linear::new(-2)));
        assert_eq!(twice(BATCH).modulo(2), Some(Linear::new(0)));
        assert_eq!(BATCH.modulo(0), None);
    }

    #[test]
    fn comparisons_hold_for_every_batch_or_say_nothing() {
        assert_eq!(BATCH.at_least(Linear::new(1)), Some(true));
        assert_eq!(BATCH.at_least(Linear::new(2)), None);
        assert_eq!(BATCH.at_least(Linear::new(i64::from(i32::MAX))), Some(false));
        assert_eq!(BATCH.equals(Linear::new(-1)), Some(false));
        assert_eq!(BATCH.equals(Linear::new(1)), None);
        assert_eq!(BATCH.equals(BATCH), Some(true));
        assert_eq!(Linear::new(0).larger(BATCH.minus(Linear::new(1)).unwrap()), BATCH.minus(Linear::new(1)));
        assert_eq!(BATCH.smaller(Linear::new(i64::MAX)), Some(BATCH));
    }
}
