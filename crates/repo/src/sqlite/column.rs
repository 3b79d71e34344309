//! How values are stored in columns.

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use tidelock_model::object::{FocusType, Kind, MatchingRule, Situation};
use tidelock_model::{Items, Oid, Timestamp, Value};
use uuid::Uuid;

use super::failure::{Attempt, corrupt};
use crate::{Error, ErrorKind, OperationStatus};

/// An OID as a column: 16 bytes or text.
pub(super) enum OidColumn {
    Uuid(Uuid),
    Text(String),
}

impl From<&Oid> for OidColumn {
    fn from(oid: &Oid) -> Self {
        oid.as_uuid().map_or_else(|| Self::Text(oid.to_string()), Self::Uuid)
    }
}

impl ToSql for OidColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Uuid(uuid) => ValueRef::Blob(uuid.as_bytes()),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// An OID from a column.
pub(super) struct StoredOid(pub(super) Oid);

impl FromSql for StoredOid {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => Uuid::from_slice(bytes)
                .map(|uuid| Self(Oid::from_uuid(uuid)))
                .map_err(|_| FromSqlError::InvalidBlobSize { expected_size: 16, blob_size: bytes.len() }),
            ValueRef::Text(_) => Ok(Self(Oid::new(value.as_str()?))),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// Text from a column, without a detour.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Attempt<&'a str> {
    Ok(row.get_ref(column)?.as_str().map_err(|err| corrupt("a text").with_source(err))?)
}

/// A point in time from a column.
pub(super) fn timestamp(row: &Row<'_>, column: usize) -> Attempt<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// Items from a column.
pub(super) fn items(row: &Row<'_>, column: usize) -> Attempt<Items> {
    // The cause is kept out: it might quote a value.
    Ok(serde_json::from_str(text(row, column)?).map_err(|_| corrupt("the content of an object"))?)
}

/// What the JSON reader goes down to, lists and objects alike. What is deeper could be written and never read.
const DEEPEST: usize = 120;

/// Items as a column.
pub(super) fn items_text(items: &Items) -> Attempt<String> {
    if !shallow(items, DEEPEST) {
        return Err(Error::new(ErrorKind::Corrupt, "the content of an object is nested too deeply to be stored").into());
    }
    Ok(serde_json::to_string(items).map_err(|err| corrupt("the content of an object").with_source(err))?)
}

fn shallow(items: &Items, levels: usize) -> bool {
    // A value may stand in a list, which is a level as well.
    levels >= 2
        && items.iter().flat_map(|(_, values)| values).all(|value| match value {
            Value::Container(inner) => shallow(inner, levels - 2),
            _ => true,
        })
}

/// A code that stands for a value of a small, closed type.
pub(super) trait Code: Sized + Copy {
    /// The number in the column. Numbers are for ever: a value that goes leaves a gap.
    fn code(self) -> i64;

    /// The value with a number.
    fn from_code(code: i64) -> Option<Self>;

    /// The value in a column.
    fn of_column(row: &Row<'_>, column: usize) -> Attempt<Self> {
        Ok(Self::from_code(row.get(column)?).ok_or_else(|| corrupt("a code"))?)
    }
}

macro_rules! codes {
    ($type:ty: $($value:ident = $code:literal),+ $(,)?) => {
        impl Code for $type {
            fn code(self) -> i64 {
                match self { $(Self::$value => $code),+ }
            }

            fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$value),)+ _ => None }
            }
        }
    };
}

codes!(FocusType: User = 1, Role = 2, Org = 3, Service = 4);
codes!(Kind: Account = 1, Entitlement = 2, Generic = 3, Association = 4, Work = 5, Unknown = 6);
codes!(Situation: Linked = 1, Unlinked = 2, Unmatched = 3, Disputed = 4, Deleted = 5);
codes!(OperationStatus: Success = 1, Warning = 2, PartialError = 3, FatalError = 4);

/// The rule with a stored name.
pub(super) fn matching_rule(name: &str) -> Option<MatchingRule> {
    use MatchingRule::{DistinguishedName, Exact, PolyStringNorm, StringIgnoreCase, Uuid};
    [Exact, StringIgnoreCase, DistinguishedName, Uuid, PolyStringNorm].into_iter().find(|rule| rule.as_str() == name)
}
