//! `comparison.html`

use super::page;
use crate::comparison::Comparison;
use crate::plot::Plot;

impl Comparison {
    /// The page with `plots` inlined.
    #[must_use]
    pub fn html(&self, plots: &[Plot]) -> String {
        let body = format!(
            "{header}<h2>Results</h2>\n{table}<p class=\"dim\">Mean ± standard deviation over the runs.</p>\n{figures}",
            header = page::header(&self.title, &self.subtitle),
            table = page::table(&self.table()),
            figures = plots.iter().map(page::figure).collect::<String>(),
        );
        page::page(&self.title, &body)
    }
}
