//! Labelled pictures: what `--input DATA` names.
