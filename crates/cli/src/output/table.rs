//! Aligned tables. Rows may be many: widths are those of the first rows, and everything after is streamed.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use crate::output::text::clean;
use crate::output::{Paint, STRONG};

/// How many rows decide on the widths.
const DECIDING: usize = 1000;
/// No column is made wider than this; longer cells stick out.
const WIDEST: usize = 48;
/// Spaces between columns.
const GAP: usize = 2;

/// A row that waits for the widths, and the style of its first cell.
type Row = (Option<Style>, Vec<String>);

/// A table that is being written.
pub(crate) struct Table<W> {
    out: W,
    paint: Paint,
    header: Vec<String>,
    waiting: Vec<Row>,
    widths: Option<Vec<usize>>,
    rows: u64,
}

impl<W: Write> Table<W> {
    /// A table with these columns.
    pub(crate) fn new(out: W, paint: Paint, header: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let header = header.into_iter().map(|title| clean(title.as_ref()).into_owned()).collect();
        Self { out, paint, header, waiting: Vec::new(), widths: None, rows: 0 }
    }

    /// Adds a row, with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) -> io::Result<()> {
        self.painted_row(None, cells)
    }

    /// Adds a row whose first cell has a style.
    pub(crate) fn painted_row(
        &mut self,
        style: Option<Style>,
        cells: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> io::Result<()> {
        let cells: Vec<String> = cells.into_iter().map(|cell| clean(cell.as_ref()).into_owned()).collect();
        self.rows += 1;
        match &self.widths {
            Some(widths) => write_row(&mut self.out, self.paint, widths, &cells, [style, None]),
            None => {
                self.waiting.push((style, cells));
                if self.waiting.len() >= DECIDING { self.decide(false) } else { Ok(()) }
            }
        }
    }

    /// Writes what is left. Gives the number of rows; a table without rows prints nothing.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        if self.widths.is_none() && !self.waiting.is_empty() {
            self.decide(true)?;
        }
        self.out.flush()?;
        Ok(self.rows)
    }

    /// Settles the widths. Of a table that is complete, columns without any content are left out.
    fn decide(&mut self, complete: bool) -> io::Result<()> {
        for column in (0..self.header.len()).rev() {
            if complete && self.waiting.iter().all(|(_, row)| row.get(column).is_none_or(String::is_empty)) {
                self.header.remove(column);
                for (_, row) in self.waiting.iter_mut().filter(|(_, row)| row.len() > column) {
                    row.remove(column);
                }
            }
        }
        let mut widths: Vec<usize> = self.header.iter().map(|title| title.width()).collect();
        for (_, row) in &self.waiting {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width().min(WIDEST));
            }
        }
        write_row(&mut self.out, self.paint, &widths, &self.header, [Some(STRONG); 2])?;
        for (style, row) in self.waiting.drain(..) {
            write_row(&mut self.out, self.paint, &widths, &row, [style, None])?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

/// Writes a row; the styles are those of its first cell and of the others.
fn write_row(
    out: &mut impl Write,
    paint: Paint,
    widths: &[usize],
    cells: &[String],
    [first, others]: [Option<Style>; 2],
) -> io::Result<()> {
    let mut line = String::new();
    // Spaces are owed until something follows, so that no line ends with them.
    let mut owed = 0;
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if !cell.is_empty() {
            line.extend(std::iter::repeat_n(' ', owed));
            match if at == 0 { first } else { others } {
                Some(style) => line.push_str(&paint.text(style, cell)),
                None => line.push_str(cell),
            }
            owed = 0;
        }
        owed += width.saturating_sub(cell.width()) + GAP;
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use expect_test::expect;

    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, Paint::PLAIN, ["NAME", "TYPE", "NOTE"]);
        table.row(["ann", "", "x"]).unwrap();
        table.row(["江口 恵", "account/default", ""]).unwrap();
        table.row(["evil\u{1b}[2J", "account/default", "y"]).unwrap();
        assert_eq!(table.finish().unwrap(), 3);
        expect![[r#"
            NAME      TYPE             NOTE
            ann                        x
            江口 恵   account/default
            evil␛[2J  account/default  y
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn columns_without_content_are_left_out() {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, Paint::PLAIN, ["NAME", "NOTE", "OID"]);
        table.row(["ann", "", "1"]).unwrap();
        table.row(["bob", "", "2"]).unwrap();
        table.finish().unwrap();
        expect![[r#"
            NAME  OID
            ann   1
            bob   2
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn rows_beyond_the_first_ones_are_streamed() {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, Paint::PLAIN, ["N"]);
        for n in 0..=DECIDING {
            table.row([n.to_string()]).unwrap();
        }
        assert!(table.waiting.is_empty());
        assert_eq!(table.finish().unwrap(), 1001);
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 1002);
    }
}
