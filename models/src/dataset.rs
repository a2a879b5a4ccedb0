//! Labelled pictures: what `--input DATA` names.

pub mod shapes;
