//! Rows into objects.

use std::fmt::Write as _;
use std::sync::Arc;

use tidelock_connector_api::{Found, Result};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::ResourceObject;
use tidelock_model::value::{Items, Value, Values};

use crate::config::CsvConfig;
use crate::reader::{Cursor, Entry, Page};
use crate::schema::{Columns, OBJECT_CLASS};

/// Makes objects of the rows of page after page.
pub(crate) struct Objects {
    config: Arc<CsvConfig>,
    filter: BoundFilter,
    class: Arc<str>,
    page: Option<(Page, Cursor)>,
    origin: String,
}

impl Objects {
    pub(crate) fn new(config: Arc<CsvConfig>, filter: BoundFilter) -> Self {
        Self { config, filter, class: OBJECT_CLASS.into(), page: None, origin: String::new() }
    }

    /// Goes on with the next page.
    pub(crate) fn turn(&mut self, page: Page) {
        self.page = Some((page, Cursor::default()));
    }

    /// The next object that meets the filter, or what stands for one; none at the end of the page.
    pub(crate) fn next(&mut self) -> Option<Result<Found>> {
        let (page, cursor) = self.page.as_mut()?;
        let columns = Arc::clone(&page.columns);
        while let Some((entry, fields)) = page.take(cursor) {
            match entry {
                Entry::Item(item) => return Some(item),
                Entry::Row(row) => {
                    let object = object(&self.config, &columns, &self.class, fields.iter());
                    if self.filter.matches(&object.attributes) {
                        self.origin.clear();
                        // Writing to a string cannot fail.
                        let _ = write!(self.origin, "row {row}");
                        return Some(Ok(Found::Object(object.with_origin(self.origin.as_str()))));
                    }
                }
            }
        }
        self.page = None;
        None
    }
}

/// The object of a row.
pub(crate) fn object<'a>(
    config: &CsvConfig,
    columns: &Columns,
    class: &Arc<str>,
    fields: impl Iterator<Item = &'a str>,
) -> ResourceObject {
    let mut attributes = Items::with_capacity(columns.names.len());
    let mut identifier = "";
    for (index, (name, cell)) in columns.names.iter().zip(fields).enumerate() {
        if Some(index) == columns.password {
            continue;
        }
        let cell = config.value(cell);
        if index == columns.unique {
            identifier = cell;
        }
        let mut values = Values::new();
        match config.multi_value.as_ref().filter(|_| columns.split[index]) {
            Some(multi) => multi.splitter.split(cell, |part| {
                let part = config.value(part);
                if !part.is_empty() {
                    values.push(Value::string(part));
                }
            }),
            None if cell.is_empty() => {}
            None => values.push(Value::string(cell)),
        }
        attributes.push(Arc::clone(name), values);
    }
    ResourceObject::new(Arc::clone(class), identifier, attributes)
}
