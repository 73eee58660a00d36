//! A metric at every combination of two columns.

use super::lines::{MOST_PANELS, about, capital, file_name};
use super::{Cell, Column, PlotRequest, Sweep};
use crate::error::ReportError;
use crate::plot::Plot;
use crate::plot::grid::{Grid, GridPanel};
use farad_sim::statistics::mean;

pub(super) fn draw(sweep: &Sweep, request: &PlotRequest) -> Result<Option<Plot>, ReportError> {
    let columns = (sweep.column(&request.x), sweep.column(&request.y));
    let (Some(x), Some(y)) = columns else { return Ok(None) };
    let color = request.color.as_ref().and_then(|name| sweep.column(name));
    let Some(color) = color else { return Ok(None) };
    let facets: Vec<Column> = request.facet.iter().filter_map(|name| sweep.column(name)).collect();
    let panels = Column::joined(&facets, sweep.points.len());
    let (columns, rows, names) = (x.distinct(), y.distinct(), panels.distinct());
    let mut several = false;
    let mut value = |panel: &Cell, row: &Cell, column: &Cell| {
        let here = |i: &usize| x.cells[*i] == *column && y.cells[*i] == *row && panels.cells[*i] == *panel;
        let numbers: Vec<f64> = (0..sweep.points.len())
            .filter(here)
            .filter_map(|i| color.cells[i].number)
            .collect();
        several |= numbers.len() > 1;
        (!numbers.is_empty()).then(|| mean(&numbers))
    };
    let drawn: Vec<GridPanel> = names
        .iter()
        .take(MOST_PANELS)
        .map(|panel| GridPanel {
            name: panel.text.clone(),
            cells: rows
                .iter()
                .map(|row| columns.iter().map(|column| value(panel, row, column)).collect())
                .collect(),
        })
        .collect();
    if drawn
        .iter()
        .all(|panel| panel.cells.iter().flatten().all(Option::is_none))
    {
        return Ok(None);
    }
    let mut notes = Vec::new();
    if several {
        notes.push("Each cell is the mean over what is not named here.".to_owned());
    }
    if names.len() > MOST_PANELS {
        notes.push(format!("{MOST_PANELS} of {} combinations are shown.", names.len()));
    }
    let title = format!("{} by {} and {}", capital(&about(&color)), about(&x), about(&y));
    let texts = |cells: Vec<Cell>| cells.into_iter().map(|cell| cell.text).collect();
    let svg = Grid {
        title: &title,
        notes: &notes,
        x: &x.title,
        y: &y.title,
        quantity: &color.title,
        columns: texts(columns),
        rows: texts(rows),
        panels: drawn,
    }
    .draw()?;
    Ok(Some(Plot {
        name: file_name(&["heat", &color.name, &x.name, &y.name]).into(),
        title: title.into(),
        svg,
    }))
}
