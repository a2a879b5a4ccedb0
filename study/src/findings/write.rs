//! A table in the forms that other programs read.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Cell, Column, Table};

/// Version of [`Table::json`]'s form.
pub const TABLE_SCHEMA_VERSION: u32 = 1;

impl Table {
    /// The table as CSV (RFC 4180, lines end in LF), numbers in base units and to the last bit.
    ///
    /// The header has the columns' names. A column with intervals is followed by `<name>_low` and `<name>_high`. What
    /// was not measured is an empty cell; if there is any, a last column `not_measured` names it: `name: why; name: why`.
    pub fn csv(&self) -> String {
        let intervals: Vec<bool> = (0..self.columns.len())
            .map(|at| self.column(at).any(|cell| matches!(cell, Cell::Interval { .. })))
            .collect();
        let incomplete = self.rows.iter().flatten().any(|cell| why(cell).is_some());
        let mut lines = vec![self.header(&intervals, incomplete)];
        for row in &self.rows {
            let mut fields = Vec::new();
            let mut missing = Vec::new();
            for ((column, cell), interval) in self.columns.iter().zip(row).zip(&intervals) {
                let (value, ends) = written(cell);
                fields.push(value);
                if *interval {
                    fields.extend(ends.map(Cow::from));
                }
                missing.extend(why(cell).map(|why| format!("{}: {why}", column.name)));
            }
            if incomplete {
                fields.push(missing.join("; ").into());
            }
            lines.push(fields);
        }
        let lines = lines.iter().map(|fields| {
            let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
            fields.join(",") + "\n"
        });
        lines.collect()
    }

    /// The table as JSON: `{schema_version, name, title, caption, columns, rows, not_measured}`.
    ///
    /// A row is an object by the columns' names: words, numbers in base units, `{value, low, high}` for an interval,
    /// null for what was not measured, which `not_measured` explains: `{row, what, why}`.
    pub fn json(&self) -> Value {
        let mut missing = Vec::new();
        let mut rows = Vec::with_capacity(self.rows.len());
        for (at, row) in self.rows.iter().enumerate() {
            let mut object = Map::new();
            for (Column { name, .. }, cell) in self.columns.iter().zip(row) {
                missing.extend(why(cell).map(|why| json!({ "row": at, "what": name, "why": why })));
                object.insert(name.clone(), value(cell));
            }
            rows.push(Value::Object(object));
        }
        json!({
            "schema_version": TABLE_SCHEMA_VERSION,
            "name": self.name,
            "title": self.title,
            "caption": self.caption,
            "columns": self.columns,
            "rows": rows,
            "not_measured": missing,
        })
    }

    fn column(&self, at: usize) -> impl Iterator<Item = &Cell> {
        self.rows.iter().filter_map(move |row| row.get(at))
    }

    fn header(&self, intervals: &[bool], incomplete: bool) -> Vec<Cow<'_, str>> {
        let mut names = Vec::new();
        for (Column { name, .. }, interval) in self.columns.iter().zip(intervals) {
            names.push(Cow::from(name));
            if *interval {
                names.extend(["low", "high"].map(|end| Cow::from(format!("{name}_{end}"))));
            }
        }
        names.extend(incomplete.then_some(Cow::from("not_measured")));
        names
    }
}

/// Why a cell has nothing; a number that is none was not measured either.
fn why(cell: &Cell) -> Option<&str> {
    const NOT_FINITE: &str = "not a finite number";
    match cell {
        Cell::NotMeasured(why) => Some(why),
        Cell::Number(number) if !number.is_finite() => Some(NOT_FINITE),
        Cell::Interval { value, .. } if !value.is_finite() => Some(NOT_FINITE),
        _ => None,
    }
}

fn written(cell: &Cell) -> (Cow<'_, str>, [String; 2]) {
    let number = |number: f64| if number.is_finite() { number.to_string() } else { String::new() };
    match cell {
        Cell::Text(text) => (text.into(), Default::default()),
        Cell::Number(value) => (number(*value).into(), Default::default()),
        Cell::Interval { value, ends } => (number(*value).into(), ends.map(number)),
        Cell::NotMeasured(_) => Default::default(),
    }
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => json!(text),
        Cell::Number(number) => json_number(*number),
        Cell::Interval { value, ends: [low, high] } if value.is_finite() => {
            json!({ "value": value, "low": json_number(*low), "high": json_number(*high) })
        }
        Cell::Interval { .. } | Cell::NotMeasured(_) => Value::Null,
    }
}

/// Whole numbers are written whole.
fn json_number(number: f64) -> Value {
    // Up to here every whole number is its own f64.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT { json!(number as i64) } else { json!(number) }
}

fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\"")).into()
    } else {
        field.into()
    }
}
