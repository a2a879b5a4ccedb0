//! Whether findings can be shown: names that can be file names, rows as wide as their table, finite numbers.

use std::collections::HashSet;

use crate::findings::{Cell, Figure, Findings, MOST_SERIES, Specimen, Table};

/// The largest magnitude that is drawn and shown: beyond it differences overflow.
const LARGEST: f64 = 1e150;

/// Something that findings must not be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A name that is no file name.
    #[error("{name:?} is not a name of lower-case letters, digits and -")]
    Name {
        /// The name.
        name: String,
    },
    /// Two tables, two figures or two topics of one name.
    #[error("{name:?} is there twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A row of another width.
    #[error("row {row} of table {table:?} has {found} cells, expected {expected}")]
    Width {
        /// The table.
        table: String,
        /// The row.
        row: usize,
        /// Columns of the table.
        expected: usize,
        /// Cells of the row.
        found: usize,
    },
    /// More series than a reader can tell apart.
    #[error("figure {figure:?} has {found} series, expected at most {MOST_SERIES}")]
    Series {
        /// The figure.
        figure: String,
        /// Its series.
        found: usize,
    },
    /// A number that cannot be shown.
    #[error("{place} has the number {found}, expected a magnitude of at most {LARGEST:e}")]
    Number {
        /// The table or the figure.
        place: String,
        /// The number.
        found: f64,
    },
    /// A picture of another size than its shape.
    #[error(
        "picture {index} of set {set:?} has {found} samples, expected {expected:?} for its shape {shape:?}"
    )]
    Samples {
        /// The set.
        set: String,
        /// Index in the data.
        index: usize,
        /// Channels, height and width.
        shape: [usize; 3],
        /// The shape's samples; absent where no picture has that many.
        expected: Option<usize>,
        /// Samples found.
        found: usize,
    },
}

/// Whether `findings` can be shown.
///
/// # Errors
/// The first fault.
pub fn check(findings: &Findings) -> Result<(), Fault> {
    names(findings.tables().map(|table| &table.name))?;
    names(findings.figures().map(|figure| &figure.name))?;
    distinct(findings.topics.iter().map(|topic| &topic.title))?;
    findings.tables().try_for_each(table)?;
    findings.figures().try_for_each(figure)?;
    findings.specimens.iter().try_for_each(specimen)
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let checked = |name: &'a String| {
        let is_name = !name.is_empty() && name.chars().all(legal);
        if is_name { Ok(name) } else { Err(Fault::Name { name: name.clone() }) }
    };
    distinct(names.map(checked).collect::<Result<Vec<_>, _>>()?.into_iter())
}

fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Fault::Twice { name: name.clone() });
        }
    }
    Ok(())
}

fn number(found: f64, place: &str) -> Result<(), Fault> {
    if found.abs() <= LARGEST { Ok(()) } else { Err(Fault::Number { place: place.to_owned(), found }) }
}

fn table(table: &Table) -> Result<(), Fault> {
    let expected = table.columns.len();
    for (row, cells) in table.rows.iter().enumerate() {
        if cells.len() != expected {
            return Err(Fault::Width { table: table.name.clone(), row, expected, found: cells.len() });
        }
        for cell in cells {
            match cell {
                Cell::Number(value) => number(*value, &table.name)?,
                Cell::Interval { value, ends } => {
                    [*value, ends[0], ends[1]]
                        .into_iter()
                        .try_for_each(|value| number(value, &table.name))?;
                }
                Cell::Text(_) | Cell::NotMeasured(_) => {}
            }
        }
    }
    Ok(())
}

fn figure(figure: &Figure) -> Result<(), Fault> {
    let found = figure.series.len();
    if found > MOST_SERIES {
        return Err(Fault::Series { figure: figure.name.clone(), found });
    }
    let ends = [&figure.x, &figure.y].into_iter().filter_map(|axis| axis.ends.as_ref());
    let points = figure.series.iter().flat_map(|series| &series.points);
    ends.chain(points).flatten().try_for_each(|value| number(*value, &figure.name))
}

fn specimen(specimen: &Specimen) -> Result<(), Fault> {
    let [channels, height, width] = specimen.shape;
    let expected = channels.checked_mul(height).and_then(|rows| rows.checked_mul(width)).filter(|n| *n > 0);
    for samples in [&specimen.benign, &specimen.stored] {
        if Some(samples.len()) != expected {
            return Err(Fault::Samples {
                set: specimen.set.clone(),
                index: specimen.index,
                shape: specimen.shape,
                expected,
                found: samples.len(),
            });
        }
    }
    Ok(())
}
