//! Every row of the failure table.
