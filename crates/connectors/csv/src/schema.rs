//! Columns: what the header says, and the schema that follows from it.

use std::sync::Arc;

use tidelock_connector_api::{Error, Result};
use tidelock_model::object::{AttributeDefinition, MatchingRule, ObjectClass, Schema};

use crate::config::{CsvConfig, nearest};

/// The name of the only object class.
pub const OBJECT_CLASS: &str = "AccountObjectClass";

/// The columns of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) unique: usize,
    naming: usize,
    pub(crate) password: Option<usize>,
    /// Which columns are split into several values.
    pub(crate) split: Vec<bool>,
}

impl Columns {
    /// The columns of a header, or of the first record where there is no header.
    ///
    /// # Errors
    /// [`tidelock_connector_api::ErrorKind::Config`] where a column that the configuration names is missing.
    pub(crate) fn new<'a>(config: &CsvConfig, first: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut taken = std::collections::HashSet::new();
        for (index, cell) in first.enumerate() {
            let name = match cell {
                _ if !config.header => format!("col{index}"),
                "" => "col0".to_owned(),
                name => name.to_owned(),
            };
            let mut free = name.clone();
            let mut number = 0;
            while taken.contains(&free) {
                number += 1;
                free = format!("{name}{number}");
            }
            taken.insert(free.clone());
            names.push(free.into());
        }
        let find = |wanted: &str, property: &str| {
            names.iter().position(|name| **name == *wanted).ok_or_else(|| missing(config, &names, wanted, property))
        };
        let unique = find(&config.unique_attribute, "uniqueAttribute")?;
        let naming = config.name_attribute.as_ref().map_or(Ok(unique), |name| find(name, "nameAttribute"))?;
        let password = config.password_attribute.as_ref().map(|name| find(name, "passwordAttribute")).transpose()?;
        let mut split = vec![false; names.len()];
        match config.multi_value.as_ref().map(|multi| &multi.columns) {
            None => {}
            Some(None) => split.fill(true),
            Some(Some(columns)) => {
                for column in columns {
                    split[find(column, "multivalueAttributes")?] = true;
                }
            }
        }
        split[unique] = false;
        split[naming] = false;
        Ok(Self { names, unique, naming, password, split })
    }

    pub(crate) fn schema(&self, config: &CsvConfig) -> Schema {
        let mut class = ObjectClass::new(OBJECT_CLASS, &self.names[self.unique]);
        class.naming_attribute = Arc::clone(&self.names[self.naming]);
        class.default_account = true;
        class.attributes = self
            .names
            .iter()
            .enumerate()
            .filter(|(index, _)| Some(*index) != self.password)
            .map(|(index, name)| {
                let mut attribute = AttributeDefinition::text(Arc::clone(name));
                attribute.multi_valued = self.split[index];
                attribute.required = index == self.unique;
                if index == self.unique {
                    attribute.matching_rule = identifier_rule(config);
                }
                attribute
            })
            .collect();
        Schema { classes: vec![Arc::new(class)] }
    }
}

/// When two identifiers are the same.
pub(crate) fn identifier_rule(config: &CsvConfig) -> MatchingRule {
    if config.ignore_identifier_case { MatchingRule::StringIgnoreCase } else { MatchingRule::Exact }
}

fn missing(config: &CsvConfig, names: &[Arc<str>], wanted: &str, property: &str) -> Error {
    let path = config.path.display();
    let all = || names.iter().take(20).map(|name| &**name).collect::<Vec<_>>().join(", ");
    let cure = match nearest(wanted, names.iter().map(|name| &**name)) {
        Some(name) => format!("did you mean '{name}'?"),
        None if names.len() == 1 => format!("the only column is '{}'; is 'fieldDelimiter' right?", shorten(&names[0])),
        None => format!("the columns are {}", shorten(&all())),
    };
    Error::config(format!("{path} has no column '{wanted}', which '{property}' names; {cure}"))
}

/// A file without a header may have data where the names should be: not all of it belongs into a message.
fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(200).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
