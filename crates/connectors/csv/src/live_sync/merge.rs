//! Making one snapshot of two.

use std::io;

use crate::live_sync::snapshot::{Reader, Record, Standing, Writer, damaged, read_fields, write_fields};

/// The records of a snapshot, with the names of its columns.
pub(crate) struct Records<'a> {
    reader: Reader,
    columns: &'a [String],
    is_there: bool,
}

impl<'a> Records<'a> {
    /// From the first record on that has a key: rows that are no object's are of no use in another snapshot.
    pub(crate) fn of_objects(reader: Reader, columns: &'a [String]) -> io::Result<Self> {
        let mut records = Self::new(reader, columns)?;
        while records.is_there && records.reader.key().is_empty() {
            records.next()?;
        }
        Ok(records)
    }

    /// From the first record on.
    pub(crate) fn new(reader: Reader, columns: &'a [String]) -> io::Result<Self> {
        let mut records = Self { reader, columns, is_there: true };
        records.next()?;
        Ok(records)
    }

    fn next(&mut self) -> io::Result<()> {
        self.is_there = self.reader.next()?;
        Ok(())
    }

    fn key(&self) -> Option<&[u8]> {
        self.is_there.then(|| self.reader.key())
    }

    /// Writes the record at hand for other columns than it has, and goes on.
    fn pass(&mut self, writer: &mut Writer, wanted: &[String], standing: impl Fn(Standing) -> Standing) -> io::Result<()> {
        let record = self.reader.record();
        let standing = standing(record.standing);
        match standing {
            Standing::Good if self.columns != wanted => {
                let fields = read_fields(record.fields, self.columns.len()).ok_or_else(damaged)?;
                let field = |name: &String| self.columns.iter().position(|column| column == name).map_or("", |at| fields[at]);
                let mut recoded = Vec::new();
                write_fields(&mut recoded, wanted.iter().map(field));
                writer.push(Record { fields: &recoded, ..record })?;
            }
            Standing::Lost => writer.push(Record { standing, fields: &[], ..record })?,
            _ => writer.push(record)?,
        }
        self.next()
    }
}

/// All new records, and of the old ones those of objects that are not among them.
pub(crate) fn keep(old: Option<Records<'_>>, mut new: Records<'_>, columns: &[String], writer: &mut Writer) -> io::Result<()> {
    let lost = |standing| if standing == Standing::Good { Standing::Good } else { Standing::Lost };
    if let Some(mut old) = old {
        while let Some(key) = old.key() {
            match new.key() {
                Some(present) if present < key => new.pass(writer, columns, |standing| standing)?,
                Some(present) if present == key => old.next()?,
                _ => old.pass(writer, columns, lost)?,
            }
        }
    }
    while new.is_there {
        new.pass(writer, columns, |standing| standing)?;
    }
    Ok(())
}

/// The new records up to a key, and the old ones beyond it. Whether the key is one of theirs.
pub(crate) fn splice(
    mut old: Records<'_>,
    mut new: Records<'_>,
    up_to: &[u8],
    columns: &[String],
    writer: &mut Writer,
) -> io::Result<bool> {
    let mut is_known = false;
    while let Some(key) = new.key().filter(|key| *key <= up_to) {
        is_known |= key == up_to;
        new.pass(writer, columns, |standing| standing)?;
    }
    while let Some(key) = old.key() {
        if key <= up_to {
            is_known |= key == up_to;
            old.next()?;
        } else {
            old.pass(writer, columns, |standing| standing)?;
        }
    }
    Ok(is_known)
}

/// The first columns, and those of the second that are not among them.
pub(crate) fn union(first: &[String], second: &[String]) -> Vec<String> {
    first.iter().chain(second.iter().filter(|name| !first.contains(name))).cloned().collect()
}
