//! `report.html` of a sweep.

use super::table::{MOST_ROWS, table};
use super::{RELATIVE, Sweep};
use crate::html::page::{self, escape, push};
use crate::plot::Plot;
use crate::units::{count, digits};

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

impl Sweep {
    /// The page with `plots` inlined.
    #[must_use]
    pub fn html(&self, plots: &[Plot]) -> String {
        let missing = match self.planned - self.points.len().min(self.planned) {
            0 => String::new(),
            n => page::warning(&format!(
                "{} of {} points have no result yet.",
                count(n as u64),
                count(self.planned as u64)
            )),
        };
        let body = format!(
            "<style>\n{STYLE}</style>\n{missing}{header}{cards}{contents}{figures}<h2 id=\"table\">Points</h2>\n{controls}{table}\
             <h2>How to read this</h2>\n{details}<script>\n{SCRIPT}</script>\n",
            header = page::header(&self.name, &self.description),
            cards = page::cards(&self.cards()),
            contents = contents(plots),
            figures = plots.iter().map(figure).collect::<String>(),
            controls = self.controls(),
            table = table(self),
            details = page::details(&self.details()),
        );
        page::page(&self.name, &body)
    }

    fn cards(&self) -> Vec<(String, String)> {
        let mut cards = vec![(
            count(self.points.len() as u64),
            format!(
                "points, {} chips of {} images each",
                self.chips_in_words().trim_end_matches(" chips"),
                self.images_in_words()
            ),
        )];
        for (metric, up) in &self.objectives {
            let column = self.metric(metric);
            let values = column
                .cells
                .iter()
                .enumerate()
                .filter_map(|(i, cell)| Some((i, cell.number?)));
            let best = if *up {
                values.max_by(|a, b| a.1.total_cmp(&b.1))
            } else {
                values.min_by(|a, b| a.1.total_cmp(&b.1))
            };
            let Some((i, value)) = best else { continue };
            let unit = column
                .title
                .rsplit_once(" (")
                .map_or("", |(_, unit)| unit.trim_end_matches(')'));
            let word = if *up { "highest" } else { "lowest" };
            let text = if metric.is_share {
                format!("{value:.2}")
            } else {
                digits(value)
            };
            cards.push((
                format!("{text} {unit}"),
                format!("{word} {}, point {}", metric.about, self.points[i].index),
            ));
        }
        let front = self.front().into_iter().filter(|on| *on).count();
        if front > 0 {
            cards.push((count(front as u64), "points on the Pareto front".into()));
        }
        cards
    }

    fn controls(&self) -> String {
        let front = if self.front().contains(&true) {
            "<label><input type=\"checkbox\" id=\"front-only\"> only the Pareto front</label> "
        } else {
            ""
        };
        let cut = if self.points.len() > MOST_ROWS {
            format!(
                "<p class=\"dim\">{MOST_ROWS} of {} points are here; all are in results.csv.</p>\n",
                self.points.len()
            )
        } else {
            String::new()
        };
        format!(
            "<p>{front}<button id=\"clear\">clear filters</button> <span id=\"shown\" class=\"dim\" aria-live=\"polite\"></span></p>\n\
             <p class=\"dim\">Click a title to sort. A filter is a text, or <code>6</code>, <code>&gt;= 6</code>, <code>4..8</code>; it also \
             dims lines of the parallel coordinates. Points with a link have a report of their own.</p>\n{cut}"
        )
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut details = vec![
            (
                "over chips",
                "5th to 95th percentile of the chips' accuracies: how much chips of one design differ. More chips show it more exactly, and do not make it smaller.".to_owned(),
            ),
            (
                "over images",
                "95 % interval of the accuracy on all images of that kind, from the number of images that were run (Wilson): how far the mean may be \
                 from that of many more images. All chips run the same images, so more chips do not make it smaller."
                    .to_owned(),
            ),
            (
                "differences",
                "Points have the same images, chips and noise, so a difference between two points is known better than either.".to_owned(),
            ),
        ];
        if self
            .column("macs_left")
            .is_some_and(|column| column.distinct().len() > 1)
        {
            let names: Vec<&str> = RELATIVE.iter().map(|relative| relative.0).collect();
            details.push((
                "left, saved",
                format!(
                    "{}: relative to the network with the most bit operations among the points that are otherwise the same.",
                    names.join(", ")
                ),
            ));
        }
        details
    }
}

fn contents(plots: &[Plot]) -> String {
    let mut out = String::from("<nav>\n");
    for plot in plots {
        push(
            &mut out,
            format_args!("<a href=\"#{}\">{}</a>\n", escape(&plot.name), escape(&plot.title)),
        );
    }
    out + "<a href=\"#table\">Table of points</a>\n</nav>\n"
}

fn figure(plot: &Plot) -> String {
    page::figure(plot).replacen("<figure", &format!("<figure id=\"{}\"", escape(&plot.name)), 1)
}
