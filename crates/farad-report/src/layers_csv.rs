//! `layers.csv`: one row per layer, every per-layer figure of the report but the histograms.

use crate::report::Report;

impl Report {
    /// The file's text: a header line, then a line per layer. Energies in J, times in s.
    ///
    /// # Errors
    /// Never for a report built by Farad: `csv` fails only when writing fails.
    pub fn layers_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = [
            "name",
            "op",
            "macs",
            "params",
            "bops",
            "bops_uniq",
            "tiles",
            "rows_used",
            "columns_used",
            "utilization",
            "conversions",
            "cycles",
            "latency_s",
            "sqnr_db",
            "clip_rate",
            "skip_rate",
            "lsb_counts",
        ]
        .map(String::from)
        .into();
        header.extend(
            crate::report::ComponentEnergy::default()
                .named()
                .map(|(name, _)| format!("energy_{}_j", name.to_lowercase().replace(' ', "_"))),
        );
        header.push("energy_j".into());
        out.write_record(&header)?;
        for l in &self.layers {
            let mut row = vec![
                l.name.clone(),
                l.op.clone(),
                l.macs.to_string(),
                l.params.to_string(),
                l.bops.to_string(),
                l.bops_uniq.to_string(),
                l.tiles.to_string(),
                l.rows_used.to_string(),
                l.columns_used.to_string(),
                l.utilization.to_string(),
                l.conversions.to_string(),
                l.cycles.to_string(),
                format!("{:e}", l.latency_s),
                l.sqnr_db.map(|db| db.to_string()).unwrap_or_default(),
                l.clip_rate.to_string(),
                l.skip_rate.to_string(),
                l.lsb_counts.to_string(),
            ];
            row.extend(l.energy_j.named().map(|(_, joules)| format!("{joules:e}")));
            row.push(format!("{:e}", l.energy_j.total()));
            out.write_record(&row)?;
        }
        out.into_inner().map_err(|e| e.into_error().into())
    }
}
