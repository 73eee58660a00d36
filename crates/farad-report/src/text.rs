//! Tables for a terminal and for a pipe.

use comfy_table::{Attribute, Cell, CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};

/// How a table looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// Aligned columns two spaces apart and nothing else: for pipes, files and tests.
    #[default]
    Plain,
    /// A rule under the header.
    Ruled {
        /// Bold header.
        color: bool,
    },
}

/// Side to which a column's cells are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// A table of text cells under one header.
#[derive(Debug, Clone)]
pub struct TextTable {
    pub(crate) columns: Vec<(String, Align)>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl TextTable {
    /// An empty table with these column titles.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        Self {
            columns: columns
                .into_iter()
                .map(|(title, align)| (title.into(), align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells stay empty.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The text, without a newline at the end. Nothing is wrapped: a long name makes a wide table.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let mut table = Table::new();
        let color = matches!(look, Look::Ruled { color: true });
        table.load_style(style(look)).force_no_tty();
        if color {
            table.enforce_styling();
        }
        table.set_header(self.columns.iter().map(|(title, align)| {
            let cell = cell(title, *align);
            if color {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        for row in &self.rows {
            table.add_row(
                row.iter()
                    .zip(&self.columns)
                    .map(|(text, (_, align))| cell(text, *align)),
            );
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.trim_fmt()
    }
}

fn cell(text: &str, align: Align) -> Cell {
    Cell::new(text).set_alignment(match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    })
}

fn style(look: Look) -> TableStyle {
    let bare = TableStyle::new()
        .header_lines(ContentLineStyle::none())
        .content_lines(ContentLineStyle::none());
    match look {
        Look::Plain => bare,
        Look::Ruled { .. } => bare.header_separator(LineStyle::none().fill('─').junction('─')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TextTable {
        let mut table = TextTable::new([("layer", Align::Left), ("MACs", Align::Right)]);
        table.row(["conv1", "12"]);
        table.row(["a longer name", "3456"]);
        table
    }

    #[test]
    fn plain_columns_line_up() {
        assert_eq!(
            sample().render(Look::Plain),
            "layer          MACs\nconv1            12\na longer name  3456"
        );
    }

    #[test]
    fn a_rule_parts_header_and_rows() {
        let text = sample().render(Look::Ruled { color: false });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].chars().all(|c| c == '─'), "{:?}", lines[1]);
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn colour_only_when_asked_for() {
        assert!(sample().render(Look::Ruled { color: true }).contains("\u{1b}[1m"));
    }
}
