//! Where the columns of a table go: above it, into heads of groups, side by side, or into a note.

use super::number::Shown;
use crate::findings::{Cell, Column, Format, Table};

/// Letters of a word that a cell holds in one piece.
const WORD: usize = 24;
/// Letters of a cell that stand in one line.
const BRIEF: usize = 16;
/// In tables of more rows, what all rows share is said once.
const FEW: usize = 8;
/// Rows on average that a word names before it becomes the head of a group.
const GROUP: usize = 8;

/// A table's columns by what becomes of them.
pub struct Layout<'a> {
    /// Columns that are heads of groups.
    pub heads: Vec<usize>,
    /// Columns side by side.
    pub plans: Vec<Plan<'a>>,
    /// How many of those name rows.
    pub leading: usize,
    /// What all rows share, by the column's head.
    pub shared: Vec<String>,
    /// Columns that nothing was measured of, by reasons.
    pub absent: Vec<(Vec<&'a str>, Vec<&'a str>)>,
    /// Why single cells have nothing, as numbered.
    pub reasons: Vec<&'a str>,
}

/// A column with how its cells are shown.
pub struct Plan<'a> {
    /// Its place in the table.
    pub index: usize,
    /// The column.
    pub column: &'a Column,
    /// How its numbers are shown.
    pub shown: Shown,
    /// Whether it holds words.
    pub words: bool,
    /// Whether any cell has an interval: those get a column of their own, so that numbers stay aligned.
    pub intervals: bool,
    /// The class of its cells, where they hold words.
    pub class: &'static str,
}

impl<'a> Layout<'a> {
    /// The layout of `table`.
    pub fn new(table: &'a Table) -> Self {
        let many = table.rows.len() > FEW;
        let (mut shared, mut beside) = (Vec::new(), Vec::new());
        let mut absent: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        for (index, column) in table.columns.iter().enumerate() {
            let why = reasons(table, &[index]);
            if !why.is_empty() && cells(table, index).all(|cell| matches!(cell, Cell::NotMeasured(_))) {
                match absent.iter_mut().find(|(_, reasons)| *reasons == why) {
                    Some((heads, _)) => heads.push(&column.head),
                    None => absent.push((vec![&column.head], why)),
                }
                continue;
            }
            match only(table, index) {
                Some(Cell::Text(text)) if many => shared.push(format!("{} {text}", column.head)),
                Some(Cell::Number(value)) if many && column.format == Format::Count => {
                    let value = Shown::new(column.format, *value).text(*value);
                    shared.push(format!("{} {value}", column.head));
                }
                _ => beside.push(plan(table, index, column)),
            }
        }
        let leading = beside.iter().take_while(|plan| plan.words).count();
        let named: Vec<usize> = beside.iter().take(leading).map(|plan| plan.index).collect();
        // The longest runs first: each is within the one before it.
        let runs = runs(&table.rows, &named);
        let heads = runs.iter().take_while(|spans| {
            let runs = spans.iter().filter(|span| **span > 0).count();
            runs * GROUP <= table.rows.len() && many
        });
        let heads = heads.count().min(beside.len().saturating_sub(1));
        let plans = beside.split_off(heads);
        let kept: Vec<usize> = plans.iter().map(|plan| plan.index).collect();
        let reasons = reasons(table, &kept);
        let heads: Vec<usize> = beside.iter().map(|plan| plan.index).collect();
        Self { leading: leading - heads.len().min(leading), heads, plans, shared, absent, reasons }
    }

    /// Whether nothing was measured of `column`.
    pub fn is_absent(&self, column: &Column) -> bool {
        self.absent
            .iter()
            .any(|(heads, _)| heads.iter().any(|head| std::ptr::eq(*head, column.head.as_str())))
    }
}

fn cells(table: &Table, index: usize) -> impl Iterator<Item = &Cell> {
    table.rows.iter().filter_map(move |row| row.get(index))
}

/// The cell of a column that has the same in every row.
fn only(table: &Table, index: usize) -> Option<&Cell> {
    let mut cells = cells(table, index);
    let first = cells.next()?;
    cells.all(|cell| cell == first).then_some(first)
}

/// Why cells of some columns have nothing, each reason once, row by row.
fn reasons<'a>(table: &'a Table, columns: &[usize]) -> Vec<&'a str> {
    let mut reasons: Vec<&str> = Vec::new();
    for cell in table.rows.iter().flat_map(|row| columns.iter().filter_map(|index| row.get(*index))) {
        if let Cell::NotMeasured(why) = cell
            && !reasons.contains(&why.as_str())
        {
            reasons.push(why);
        }
    }
    reasons
}

/// By column and row: how many rows the word there names, 0 where it is named above already. A run of one column lies
/// within a run of the one before it.
pub fn runs(rows: &[Vec<Cell>], columns: &[usize]) -> Vec<Vec<usize>> {
    let mut apart = vec![false; rows.len()];
    let each = columns.iter().map(|column| {
        let mut spans = vec![0; rows.len()];
        let mut start = 0;
        for number in 0..rows.len() {
            let new = number == 0 || rows[number - 1].get(*column) != rows[number].get(*column);
            apart[number] |= new;
            if apart[number] {
                start = number;
            }
            spans[start] += 1;
        }
        spans
    });
    each.collect()
}

fn plan<'a>(table: &Table, index: usize, column: &'a Column) -> Plan<'a> {
    let cells = || cells(table, index);
    let largest = cells().filter_map(value).map(f64::abs).fold(0.0, f64::max);
    let intervals = cells().any(|cell| matches!(cell, Cell::Interval { .. }));
    // A column of words with an odd cell in it is laid out cell by cell.
    let words = column.format == Format::Text && cells().all(|cell| matches!(cell, Cell::Text(_)));
    let longest = |measure: fn(&str) -> usize| {
        let texts = cells().filter_map(|cell| if let Cell::Text(text) = cell { Some(text) } else { None });
        texts.map(|text| measure(text)).max().unwrap_or(0)
    };
    let word = |text: &str| text.split([' ', '-']).map(|word| word.chars().count()).max().unwrap_or(0);
    let class = if longest(|text| text.chars().count()) <= BRIEF {
        "brief"
    } else if longest(word) > WORD {
        "long"
    } else {
        "t"
    };
    Plan { index, column, shown: Shown::new(column.format, largest), words, intervals, class }
}

fn value(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(value) | Cell::Interval { value, .. } => Some(*value),
        Cell::Text(_) | Cell::NotMeasured(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    fn table(rows: Vec<Vec<Cell>>) -> Table {
        let column = |name: &str, format| Column {
            name: name.to_owned(),
            head: name.to_owned(),
            format,
            measured: false,
        };
        Table {
            name: "t".into(),
            title: String::new(),
            caption: String::new(),
            columns: vec![
                column("network", Format::Text),
                column("set", Format::Text),
                column("policy", Format::Text),
                column("images", Format::Count),
                column("accuracy", Format::Percent),
                column("energy", Format::Joules),
            ],
            rows,
        }
    }

    fn rows(count: usize) -> Vec<Vec<Cell>> {
        let row = |at: usize| {
            vec![
                word(if at < count / 2 { "a" } else { "b" }),
                word(&format!("set {}", at / 2)),
                word(&format!("policy {}", at % 2)),
                Cell::Number(100.0),
                Cell::Number(at as f64 / count as f64),
                Cell::NotMeasured("no meter".into()),
            ]
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn a_run_of_a_word_lies_within_the_run_of_the_word_before_it() {
        let rows = [["a", "x"], ["a", "x"], ["b", "x"], ["b", "y"]].map(|row| row.map(word).to_vec());
        assert_eq!(runs(&rows, &[0, 1]), [[2, 0, 2, 0], [2, 0, 1, 1]]);
    }

    #[test]
    fn what_all_rows_of_a_long_table_share_stands_above_it_and_long_runs_are_heads() {
        let table = table(rows(20));
        let layout = Layout::new(&table);
        assert_eq!(layout.shared, ["images 100"]);
        assert_eq!(layout.absent, [(vec!["energy"], vec!["no meter"])]);
        let beside: Vec<_> = layout.plans.iter().map(|plan| plan.column.name.as_str()).collect();
        assert_eq!((layout.heads.as_slice(), beside), ([0].as_slice(), vec!["set", "policy", "accuracy"]));
        assert_eq!((layout.leading, layout.reasons.len()), (2, 0));
    }

    #[test]
    fn a_short_table_keeps_its_columns_and_an_empty_one_all() {
        for (rows, columns) in [(rows(4), 5), (Vec::new(), 6)] {
            let table = table(rows);
            let layout = Layout::new(&table);
            assert_eq!((layout.heads.len(), layout.plans.len()), (0, columns));
        }
    }
}
