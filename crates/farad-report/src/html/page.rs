//! What pages have in common: one file with its style and its plots inside.

use crate::plot::Plot;
use crate::text::{Align, TextTable};
use std::fmt::{Display, Write};

const STYLE: &str = include_str!("style.css");

/// A whole page; `body` is HTML.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(title)
    )
}

/// Title and what it is about.
pub(crate) fn header(title: &str, subtitle: &str) -> String {
    format!(
        "<header>\n<h1>{}</h1>\n<p class=\"dim\">{}</p>\n</header>\n",
        escape(title),
        escape(subtitle)
    )
}

/// Something to know before anything else.
pub(crate) fn warning(text: &str) -> String {
    format!("<p class=\"partial\">{}</p>\n", escape(text))
}

/// Values with their captions.
pub(crate) fn cards(cards: &[(String, String)]) -> String {
    let mut out = String::from("<section class=\"cards\">\n");
    for (value, caption) in cards {
        push(
            &mut out,
            format_args!(
                "<div class=\"card\"><b>{}</b><span>{}</span></div>\n",
                escape(value),
                escape(caption)
            ),
        );
    }
    out + "</section>\n"
}

/// Names with their values.
pub(crate) fn details(rows: &[(&str, String)]) -> String {
    let mut out = String::from("<dl>\n");
    for (name, value) in rows {
        push(&mut out, format_args!("<dt>{name}</dt><dd>{}</dd>\n", escape(value)));
    }
    out + "</dl>\n"
}

/// A table of text, as for the terminal.
pub(crate) fn table(table: &TextTable) -> String {
    let class = |align: Align| match align {
        Align::Left => " class=\"name\"",
        Align::Right => "",
    };
    let mut out = String::from("<div class=\"scroll\">\n<table>\n<tr>");
    for (title, align) in &table.columns {
        push(&mut out, format_args!("<th{}>{}</th>", class(*align), escape(title)));
    }
    out += "</tr>\n";
    for row in &table.rows {
        out += "<tr>";
        for (text, (_, align)) in row.iter().zip(&table.columns) {
            push(&mut out, format_args!("<td{}>{}</td>", class(*align), escape(text)));
        }
        out += "</tr>\n";
    }
    out + "</table>\n</div>\n"
}

/// A plot, inlined.
pub(crate) fn figure(plot: &Plot) -> String {
    format!(
        "<figure role=\"img\" aria-label=\"{0}\">\n{1}</figure>\n",
        escape(&plot.title),
        plot.svg
    )
}

/// Appends to a page.
pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

/// Text as HTML text or attribute value: names come from files.
pub(crate) fn escape(text: &(impl Display + ?Sized)) -> String {
    text.to_string()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_write_html() {
        assert_eq!(escape("<b>\"a\" & b"), "&lt;b&gt;&quot;a&quot; &amp; b");
    }
}
