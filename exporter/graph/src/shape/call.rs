//! One node as a rule sees it: facts of its inputs, attributes, operator set.

use super::{Contradiction, Elem, Extent, Fact, Value};
use crate::ir::{Attribute, ElementType, Graph, Node, Tensor};

/// What a rule gives: facts of the outputs, in order; missing ones are unknown.
pub(crate) type Ruled = Result<Vec<Fact>, Contradiction>;

pub(crate) struct Call<'a> {
    pub node: &'a Node,
    pub opset: i64,
    /// `None` where an optional input is left out.
    pub inputs: Vec<Option<&'a Fact>>,
}

/// Numbers that an operator takes as an attribute in early operator sets and as an input in later ones.
pub(crate) enum Setting {
    Absent,
    Unknown,
    Given(Vec<i64>),
}

impl<'a> Call<'a> {
    pub fn input(&self, at: usize) -> Option<&'a Fact> {
        self.inputs.get(at).copied().flatten()
    }

    pub fn need(&self, at: usize) -> Result<&'a Fact, Contradiction> {
        self.input(at).ok_or(Contradiction::MissingInput { input: at })
    }

    pub fn dtype(&self, at: usize) -> Option<ElementType> {
        self.input(at)?.dtype
    }

    pub fn extents(&self, at: usize) -> Option<&'a [Extent]> {
        self.input(at)?.extents.as_deref()
    }

    pub fn extents_of_rank(&self, at: usize, rank: usize) -> Result<Option<&'a [Extent]>, Contradiction> {
        match self.extents(at) {
            Some(extents) if extents.len() != rank => {
                Err(Contradiction::Rank { input: at, expected: rank, found: extents.len() })
            }
            extents => Ok(extents),
        }
    }

    pub fn value(&self, at: usize) -> Option<&'a Value> {
        self.input(at)?.value.as_deref()
    }

    pub fn elems(&self, at: usize) -> Option<&'a [Elem]> {
        Some(self.value(at)?.elems())
    }

    /// The input's elements where all are whole numbers.
    pub fn ints(&self, at: usize) -> Option<Vec<i64>> {
        self.elems(at)?.iter().map(|elem| elem.whole()).collect()
    }

    pub fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        self.node.attributes.iter().find(|(key, _)| key == name).map(|(_, attribute)| attribute)
    }

    pub fn int(&self, name: &'static str) -> Result<Option<i64>, Contradiction> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Int(int)) => Ok(Some(*int)),
            Some(_) => Err(Contradiction::Attribute { name }),
        }
    }

    pub fn int_or(&self, name: &'static str, default: i64) -> Result<i64, Contradiction> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub fn need_int(&self, name: &'static str) -> Result<i64, Contradiction> {
        self.int(name)?.ok_or(Contradiction::MissingAttribute { name })
    }

    pub fn int_list(&self, name: &'static str) -> Result<Option<&'a [i64]>, Contradiction> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Ints(ints)) => Ok(Some(ints)),
            Some(_) => Err(Contradiction::Attribute { name }),
        }
    }

    /// Non-negative numbers, one per spatial axis.
    pub fn sizes(&self, name: &'static str, length: usize) -> Result<Option<Vec<usize>>, Contradiction> {
        let Some(ints) = self.int_list(name)? else { return Ok(None) };
        let sizes: Option<Vec<usize>> = ints.iter().map(|int| usize::try_from(*int).ok()).collect();
        match sizes {
            Some(sizes) if sizes.len() == length => Ok(Some(sizes)),
            _ => Err(Contradiction::Attribute { name }),
        }
    }

    pub fn float_list(&self, name: &'static str) -> Result<Option<&'a [f32]>, Contradiction> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Floats(floats)) => Ok(Some(floats)),
            Some(_) => Err(Contradiction::Attribute { name }),
        }
    }

    pub fn text(&self, name: &'static str) -> Result<Option<&'a [u8]>, Contradiction> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::String(text)) => Ok(Some(text)),
            Some(_) => Err(Contradiction::Attribute { name }),
        }
    }

    pub fn tensor(&self, name: &'static str) -> Result<Option<&'a Tensor>, Contradiction> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Tensor(tensor)) => Ok(Some(tensor)),
            Some(_) => Err(Contradiction::Attribute { name }),
        }
    }

    pub fn graph(&self, name: &'static str) -> Result<&'a Graph, Contradiction> {
        match self.attribute(name) {
            None => Err(Contradiction::MissingAttribute { name }),
            Some(Attribute::Graph(graph)) => Ok(graph),
            Some(_) => Err(Contradiction::Attribute { name }),
        }
    }

    /// The element type that attribute `name` holds by number, `default` if it is absent or 0.
    pub fn element_type(
        &self,
        name: &'static str,
        default: Option<ElementType>,
    ) -> Result<Option<ElementType>, Contradiction> {
        Ok(match self.int(name)? {
            None | Some(0) => default,
            Some(number) => {
                let number = i32::try_from(number).map_err(|_| Contradiction::Attribute { name })?;
                Some(ElementType::from_number(number))
            }
        })
    }

    /// Attribute `name`, else what input `at` holds.
    pub fn setting(&self, name: &'static str, at: usize) -> Result<Setting, Contradiction> {
        if let Some(ints) = self.int_list(name)? {
            return Ok(Setting::Given(ints.to_vec()));
        }
        Ok(match (self.input(at), self.ints(at)) {
            (None, _) => Setting::Absent,
            (Some(_), Some(ints)) => Setting::Given(ints),
            (Some(_), None) => Setting::Unknown,
        })
    }
}

/// Counts a negative axis from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, Contradiction> {
    let signed = i64::try_from(rank).map_err(|_| Contradiction::Overflow)?;
    let positive = if axis < 0 { axis.checked_add(signed) } else { Some(axis) };
    match positive.map(usize::try_from) {
        Some(Ok(positive)) if positive < rank => Ok(positive),
        _ => Err(Contradiction::Axis { axis, rank }),
    }
}

/// Counts negative axes from the end; sorted, each once.
pub(crate) fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>, Contradiction> {
    let mut axes = given.iter().map(|one| axis(*one, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}
