//! Results as a Parquet file (<https://github.com/apache/parquet-format>), for data frames.
//!
//! Of the format only what a table of numbers needs: one row group, one page for each column, `PLAIN`, not compressed. The `parquet` crate does all of
//! it and costs a minute of compilation; any reader reads this.

use crate::results::Results;
use crate::value::Value;
use farad_report::metric::METRICS;

const MAGIC: &[u8; 4] = b"PAR1";

/// Values of one column.
#[derive(Debug)]
enum Values {
    Integers(Vec<i64>),
    Reals(Vec<f64>),
    Texts(Vec<String>),
    /// A list in each row.
    Lists(Vec<Vec<f64>>),
}

impl Results {
    /// Parquet: the columns of [`csv`](Self::csv), then `key`, `images` and `chips`, a list with the top-1 of each. An axis is of integers, of
    /// numbers, or else of texts.
    #[must_use]
    pub fn parquet(&self) -> Vec<u8> {
        let rows = || self.rows.iter();
        let mut columns = vec![("point", Values::Integers(rows().map(|row| row.index as i64).collect()))];
        for (i, axis) in self.axes.iter().enumerate() {
            columns.push((axis, axis_values(&rows().map(|row| &row.values[i]).collect::<Vec<_>>())));
        }
        for (i, metric) in METRICS.iter().enumerate() {
            columns.push((metric.name, Values::Reals(rows().map(|row| row.metrics[i]).collect())));
        }
        columns.extend([
            ("key", Values::Texts(rows().map(|row| row.key.clone()).collect())),
            (
                "images",
                Values::Integers(rows().map(|row| row.images as i64).collect()),
            ),
            ("chips", Values::Lists(rows().map(|row| row.chips.clone()).collect())),
        ]);
        file(&columns, self.rows.len())
    }
}

fn axis_values(values: &[&Value]) -> Values {
    let integer = |value: &&Value| match value {
        Value::Integer(i) => Some(*i),
        _ => None,
    };
    if let Some(integers) = values.iter().map(integer).collect() {
        return Values::Integers(integers);
    }
    match values.iter().map(|value| value.number()).collect() {
        Some(reals) => Values::Reals(reals),
        None => Values::Texts(values.iter().map(ToString::to_string).collect()),
    }
}

fn file(columns: &[(&str, Values)], rows: usize) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let mut schema = vec![Thrift::new().text(4, "schema").i32(5, columns.len() as i32)];
    let mut chunks = Vec::new();
    let mut total = 0;
    for (name, values) in columns {
        let begin = out.len() as i64;
        out.extend(values.page());
        let size = out.len() as i64 - begin;
        total += size;
        schema.extend(values.schema(name));
        let path = values.path(name);
        let meta = Thrift::new()
            .i32(1, values.physical())
            .list(
                2,
                I32,
                [PLAIN, RLE].map(|encoding| zigzag(i64::from(encoding))).to_vec(),
            )
            .list(3, BINARY, path.iter().map(|part| binary(part)).collect())
            .i32(4, 0)
            .i64(5, values.count() as i64)
            .i64(6, size)
            .i64(7, size)
            .i64(9, begin);
        chunks.push(Thrift::new().i64(2, begin).record(3, meta).end());
    }
    let group = Thrift::new().list(1, STRUCT, chunks).i64(2, total).i64(3, rows as i64);
    let footer = Thrift::new()
        .i32(1, 1)
        .list(2, STRUCT, schema.into_iter().map(Thrift::end).collect())
        .i64(3, rows as i64)
        .list(4, STRUCT, vec![group.end()])
        .text(6, concat!("farad ", env!("CARGO_PKG_VERSION")))
        .end();
    out.extend(&footer);
    out.extend((footer.len() as u32).to_le_bytes());
    out.extend(MAGIC);
    out
}

/// Encodings, and repetition, by their numbers in the format.
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const REQUIRED: i32 = 0;
const REPEATED: i32 = 2;

impl Values {
    /// The physical type's number.
    fn physical(&self) -> i32 {
        match self {
            Self::Integers(_) => 2,
            Self::Reals(_) | Self::Lists(_) => 5,
            Self::Texts(_) => 6,
        }
    }

    /// Values in the page; an empty list counts as one.
    fn count(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Reals(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Lists(lists) => lists.iter().map(|list| list.len().max(1)).sum(),
        }
    }

    fn path(&self, name: &str) -> Vec<String> {
        match self {
            Self::Lists(_) => [name, "list", "element"].map(str::to_owned).to_vec(),
            _ => vec![name.to_owned()],
        }
    }

    fn schema(&self, name: &str) -> Vec<Thrift> {
        let leaf = |name| Thrift::new().i32(1, self.physical()).i32(3, REQUIRED).text(4, name);
        match self {
            // Converted type 0 is UTF8, and 3 a list.
            Self::Texts(_) => vec![leaf(name).i32(6, 0)],
            Self::Lists(_) => vec![
                Thrift::new().i32(3, REQUIRED).text(4, name).i32(5, 1).i32(6, 3),
                Thrift::new().i32(3, REPEATED).text(4, "list").i32(5, 1),
                leaf("element"),
            ],
            _ => vec![leaf(name)],
        }
    }

    /// Header and data of the only page.
    fn page(&self) -> Vec<u8> {
        let mut data = Vec::new();
        match self {
            Self::Integers(values) => data.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Reals(values) => data.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Texts(values) => {
                for text in values {
                    data.extend((text.len() as u32).to_le_bytes());
                    data.extend(text.as_bytes());
                }
            }
            Self::Lists(lists) => {
                // Whether a value goes on with the list before it, and whether there is a value at all.
                let repetition = lists
                    .iter()
                    .flat_map(|list| (0..list.len().max(1)).map(|i| u8::from(i > 0)));
                let definition = lists
                    .iter()
                    .flat_map(|list| (0..list.len().max(1)).map(|_| u8::from(!list.is_empty())));
                data.extend(levels(repetition));
                data.extend(levels(definition));
                data.extend(lists.iter().flatten().flat_map(|v| v.to_le_bytes()));
            }
        }
        let values = Thrift::new()
            .i32(1, self.count() as i32)
            .i32(2, PLAIN)
            .i32(3, RLE)
            .i32(4, RLE);
        let size = data.len() as i32;
        let mut page = Thrift::new()
            .i32(1, 0)
            .i32(2, size)
            .i32(3, size)
            .record(5, values)
            .end();
        page.extend(data);
        page
    }
}

/// Levels of one bit as runs, with their length before them.
fn levels(levels: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut runs: Vec<(u64, u8)> = Vec::new();
    for level in levels {
        match runs.last_mut() {
            Some((count, last)) if *last == level => *count += 1,
            _ => runs.push((1, level)),
        }
    }
    let mut bytes = Vec::new();
    for (count, level) in runs {
        bytes.extend(varint(count << 1));
        bytes.push(level);
    }
    let mut out = (bytes.len() as u32).to_le_bytes().to_vec();
    out.extend(bytes);
    out
}

/// Types of Thrift's compact protocol (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct that is being written; fields come in the order of their numbers.
struct Thrift {
    bytes: Vec<u8>,
    last: u8,
}

impl Thrift {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            last: 0,
        }
    }

    fn field(mut self, id: u8, kind: u8, value: Vec<u8>) -> Self {
        self.bytes.push((id - self.last) << 4 | kind);
        self.last = id;
        self.bytes.extend(value);
        self
    }

    fn i32(self, id: u8, value: i32) -> Self {
        self.field(id, I32, zigzag(value.into()))
    }

    fn i64(self, id: u8, value: i64) -> Self {
        self.field(id, I64, zigzag(value))
    }

    fn text(self, id: u8, text: &str) -> Self {
        self.field(id, BINARY, binary(text))
    }

    fn record(self, id: u8, record: Self) -> Self {
        self.field(id, STRUCT, record.end())
    }

    fn list(self, id: u8, kind: u8, items: Vec<Vec<u8>>) -> Self {
        let mut value = match items.len() {
            n @ 0..15 => vec![(n as u8) << 4 | kind],
            n => [vec![0xF0 | kind], varint(n as u64)].concat(),
        };
        value.extend(items.concat());
        self.field(id, LIST, value)
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn zigzag(value: i64) -> Vec<u8> {
    varint(((value << 1) ^ (value >> 63)) as u64)
}

fn binary(text: &str) -> Vec<u8> {
    let mut out = varint(text.len() as u64);
    out.extend(text.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_as_thrift_has_them() {
        assert_eq!(varint(300), [0xAC, 0x02]);
        assert_eq!([zigzag(0), zigzag(-1), zigzag(1), zigzag(-2)].concat(), [0, 1, 2, 3]);
        assert_eq!(zigzag(i64::MIN).len(), 10);
    }

    #[test]
    fn lists_have_a_level_for_each_value_and_one_for_none() {
        let lists = Values::Lists(vec![vec![0.5, 0.25], vec![], vec![1.0]]);
        assert_eq!(lists.count(), 4);
        let page = lists.page();
        let data = &page[page.len() - (4 + 6 + 4 + 6 + 24)..];
        // Repetition 0 1 0 0, definition 1 1 0 1.
        assert_eq!(&data[..10], [6, 0, 0, 0, 2, 0, 2, 1, 4, 0]);
        assert_eq!(&data[10..20], [6, 0, 0, 0, 4, 1, 2, 0, 2, 1]);
        assert_eq!(&data[20..28], 0.5_f64.to_le_bytes());
    }

    #[test]
    fn a_file_ends_with_its_footer() {
        let bytes = file(
            &[
                ("a", Values::Integers(vec![1, 2])),
                ("b", Values::Texts(vec!["x".into(), "yz".into()])),
            ],
            2,
        );
        let end = bytes.len();
        assert!(bytes.starts_with(MAGIC) && bytes.ends_with(MAGIC));
        let footer = u32::from_le_bytes(bytes[end - 8..end - 4].try_into().unwrap()) as usize;
        // Version 1, then a list of three schema elements.
        assert_eq!(bytes[end - 8 - footer..][..4], [0x15, 0x02, 0x19, 0x3C]);
    }
}
