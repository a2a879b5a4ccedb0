//! Elements taken from known places of an axis, put back.

use offramp_graph::ir::Attribute;

use super::GradientError;
use super::step::Step;

/// More copies of one element than this are summed by a matrix product.
const MOST_COPIES: usize = 8;

/// `cotangent`, whose element `i` along `axis` was taken from `places[i]`, summed into an axis of `extent`.
///
/// Runs of places are padded; repeated copies of whole axes summed; else every place gathers what was taken from it,
/// out of the cotangent with one zero more.
pub(super) fn put_back(
    step: &mut Step<'_>,
    cotangent: &str,
    axis: usize,
    places: &[usize],
    extent: usize,
) -> Result<String, GradientError> {
    if places.iter().copied().eq(0..extent) {
        return Ok(cotangent.to_owned());
    }
    let rank = step.extents(0)?.len();
    let along = |count: usize| {
        let mut counts = vec![0; rank];
        if let Some(own) = counts.get_mut(axis) {
            *own = count;
        }
        counts
    };
    let first = places.first().copied().unwrap_or(0);
    if places.iter().copied().eq(first..first + places.len()) {
        let after = extent.saturating_sub(first + places.len());
        return Ok(step.pad(cotangent, &along(first), &along(after), 0.0));
    }
    let mut sources: Vec<Vec<usize>> = vec![Vec::new(); extent];
    for (at, place) in places.iter().enumerate() {
        if let Some(source) = sources.get_mut(*place) {
            source.push(at);
        }
    }
    let copies = sources.iter().map(Vec::len).max().unwrap_or(0);
    if copies > MOST_COPIES {
        return Ok(summed(step, cotangent, axis, rank, &sources, places.len()));
    }
    let more = step.pad(cotangent, &along(0), &along(1), 0.0);
    let mut total: Option<String> = None;
    for copy in 0..copies {
        let from = |source: &Vec<usize>| source.get(copy).map_or(places.len(), |at| *at) as i64;
        let from: Vec<i64> = sources.iter().map(from).collect();
        let from = step.list(&from);
        let gathered = step.emit_with("Gather", &[&more, &from], &[("axis", Attribute::Int(axis as i64))]);
        total = Some(match total {
            Some(total) => step.emit("Add", &[&total, &gathered]),
            None => gathered,
        });
    }
    total.ok_or_else(|| step.unsupported("nothing taken"))
}

/// The sums by a matrix of zeros and ones, with the axis last.
fn summed(
    step: &mut Step<'_>,
    cotangent: &str,
    axis: usize,
    rank: usize,
    sources: &[Vec<usize>],
    count: usize,
) -> String {
    let extent = sources.len();
    let mut matrix = vec![0.0; count * extent];
    for (place, source) in sources.iter().enumerate() {
        for at in source {
            if let Some(element) = matrix.get_mut(at * extent + place) {
                *element = 1.0;
            }
        }
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(axis, rank.saturating_sub(1));
    let matrix = step.floats(&[count, extent], &matrix);
    let turned = step.transpose(cotangent, &order);
    let product = step.emit("MatMul", &[&turned, &matrix]);
    step.transpose(&product, &order)
}
