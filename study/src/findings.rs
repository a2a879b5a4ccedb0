//! What a study found, in a form that can be written, plotted and shown: tables, figures and rows of pictures by topic.
//!
//! Who computes findings knows nothing of files and drawing; who draws knows nothing of networks.

mod write;

use serde::{Deserialize, Serialize};

pub use write::TABLE_SCHEMA_VERSION;

/// Numbers in rows, each column with its unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// File name without its ending: lower-case letters, digits and `-`.
    pub name: String,
    /// What it shows, one line.
    pub title: String,
    /// How to read it: definitions, what was excluded, where a definition is from.
    pub caption: String,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Rows, as many cells as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, `snake_case`, with its unit as suffix where it has one.
    pub name: String,
    /// Its head for people.
    pub head: String,
    /// How its numbers are shown.
    pub format: Format,
    /// Whether it was measured: another run gives other numbers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub measured: bool,
}

/// How numbers are shown to people; files keep them whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Words.
    Text,
    /// Whole numbers.
    Count,
    /// A fraction in [0, 1], shown in percent.
    Percent,
    /// A plain number, this many digits after the point.
    Decimals(u8),
    /// Seconds, shown in milliseconds.
    Seconds,
    /// Joules, shown in millijoules.
    Joules,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number in base units.
    Number(f64),
    /// A number with its 95 % confidence interval.
    Interval {
        /// The estimate.
        value: f64,
        /// The interval's ends.
        ends: [f64; 2],
    },
    /// Nothing, and why; never zero.
    NotMeasured(String),
}

/// A drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// File name without its ending: lower-case letters, digits and `-`.
    pub name: String,
    /// What it shows, one line.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, in the order of the legend; at most [`MOST_SERIES`].
    pub series: Vec<Series>,
}

/// Series that a reader can tell apart in one figure.
pub const MOST_SERIES: usize = 8;

/// One axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// Ends, where not those of the data.
    pub ends: Option<[f64; 2]>,
    /// Names of the whole numbers from 0 on, for axes of categories.
    pub categories: Option<Vec<String>>,
    /// Whether it is logarithmic.
    #[serde(default)]
    pub logarithmic: bool,
}

/// One line, cloud or row of bars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is drawn.
    pub mark: Mark,
    /// Points, `[x, y]`.
    pub points: Vec<[f64; 2]>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// A line through the points.
    Line,
    /// A line with the area below it lightly filled: densities.
    Area,
    /// Single points.
    Point,
    /// Bars; several series stand side by side.
    Bar,
}

/// Pictures of one image: as it was, as it is stored, what changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Specimen {
    /// The set it is from.
    pub set: String,
    /// Index in the data.
    pub index: usize,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Samples of the benign image, plane by plane.
    pub benign: Vec<u8>,
    /// Samples of the stored image.
    pub stored: Vec<u8>,
    /// The exits where both stop.
    pub exits: [usize; 2],
    /// The labels that both get, by name where names are known.
    pub predicted: [String; 2],
    /// The true label, where known.
    pub label: Option<String>,
}

/// One question of a study with all that answers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// The question in few words.
    pub title: String,
    /// Figures that answer it at a glance.
    pub figures: Vec<Figure>,
    /// Figures for who wants to know more: other policies, other origins.
    pub further: Vec<Figure>,
    /// Tables, the shortest answer first.
    pub tables: Vec<Table>,
}

/// All that a study found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// What stands above everything else.
    pub summary: Option<Table>,
    /// Questions in the order of the report.
    pub topics: Vec<Topic>,
    /// Pictures.
    pub specimens: Vec<Specimen>,
}

impl Findings {
    /// Every table, the summary first.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.summary.iter().chain(self.topics.iter().flat_map(|topic| &topic.tables))
    }

    /// Every figure.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.topics.iter().flat_map(|topic| topic.figures.iter().chain(&topic.further))
    }
}

impl Topic {
    /// A topic of `title` with what there is to say: tables without rows are left out.
    pub fn new(title: &str, [figures, further]: [Vec<Figure>; 2], mut tables: Vec<Table>) -> Self {
        tables.retain(|table| !table.rows.is_empty());
        Self { title: title.to_owned(), figures, further, tables }
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.figures.is_empty() && self.further.is_empty() && self.tables.is_empty()
    }
}

/// What a study was made of; with its findings, everything that a report needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Program and version.
    pub producer: String,
    /// Processor, cores, operating system.
    pub machine: String,
    /// What ran the networks.
    pub backend: offramp_runtime::report::BackendName,
    /// Threads inside one operator, where asked for.
    pub threads: Option<usize>,
    /// What the images are from.
    pub data: String,
    /// Digest of the data.
    pub data_sha256: offramp_models::Sha256,
    /// Seed of all that is random.
    pub seed: u64,
    /// Networks, by name and identity.
    pub networks: Vec<offramp_runtime::report::BundleName>,
    /// What was not measured, and why.
    pub not_measured: Vec<offramp_runtime::meter::NotMeasured>,
}
