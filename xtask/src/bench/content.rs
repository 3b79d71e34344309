//! Whether both sides ended with the same content: accounts with their situations, owners and memberships, and people.
//!
//! It reads the engine's tables directly, which nobody else may: they are private to `tidelock-repo` and change without notice. The
//! comparison runs in the `sqlite3` shell, so that a million rows never pass through this process.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// Columns of an account, in the baseline's tables and in ours.
const ACCOUNT: &[(&str, &str, &str)] = &[
    ("uid", "s.uid", "s.identifier"),
    ("employeeNumber", "s.attrs ->> '$.employeeNumber'", "s.attributes ->> '$.employeeNumber'"),
    ("givenName", "s.attrs ->> '$.givenName'", "s.attributes ->> '$.givenName'"),
    ("familyName", "s.attrs ->> '$.familyName'", "s.attributes ->> '$.familyName'"),
    ("mail", "s.attrs ->> '$.mail'", "s.attributes ->> '$.mail'"),
    ("department", "s.attrs ->> '$.department'", "s.attributes ->> '$.department'"),
    ("status", "s.attrs ->> '$.status'", "s.attributes ->> '$.status'"),
    (
        "groups",
        "(SELECT group_concat(grp, ';') FROM (SELECT grp FROM b.memberships WHERE shadow_id = s.id ORDER BY grp))",
        "(SELECT group_concat(value, ';') FROM (SELECT value FROM json_each(s.attributes, '$.groups') ORDER BY value))",
    ),
    (
        "situation",
        "s.situation",
        "CASE s.situation WHEN 1 THEN 'linked' WHEN 4 THEN 'disputed' WHEN 5 THEN 'deleted' ELSE s.situation END",
    ),
    ("dead", "s.dead", "s.dead"),
    ("owner", "u.name", "u.name"),
];

/// Columns of a person.
const PERSON: &[(&str, &str, &str)] = &[
    ("name", "u.name", "u.name"),
    ("employeeNumber", "u.employee_number", "u.content ->> '$.employeeNumber'"),
    ("givenName", "u.given_name", "u.content ->> '$.givenName'"),
    ("familyName", "u.family_name", "u.content ->> '$.familyName'"),
    ("emailAddress", "u.mail", "u.content ->> '$.emailAddress'"),
    ("organizationalUnit", "u.department", "u.content ->> '$.organizationalUnit'"),
    ("status", "u.status", "u.content ->> '$.extension.status'"),
];

/// Fails if the two differ, naming the first rows and columns that do.
pub(super) fn agree(baseline: &Path, ours: &Path) -> Result<()> {
    let mut sql = format!(
        ".bail on\nATTACH {} AS b;\nATTACH {} AS o;\nPRAGMA temp_store = FILE;\n",
        quoted(&baseline.display().to_string()),
        quoted(&ours.display().to_string())
    );
    sql += &comparison(
        "account",
        ACCOUNT,
        "b.shadows s LEFT JOIN b.users u ON u.id = s.user_id",
        "o.shadow s LEFT JOIN o.focus u ON u.id = s.focus",
    );
    sql += &comparison("person", PERSON, "b.users u", "o.focus u");
    let differences = shell::output(Command::new("sqlite3").args(["-batch", ":memory:", &sql]))?;
    if !differences.trim().is_empty() {
        bail!(
            "the engine and the baseline did different work (what, which, column, baseline, engine):\n{}",
            differences.trim_end()
        );
    }
    Ok(())
}

/// Statements that print the differences between two sets of rows, told apart by their first column.
fn comparison(what: &str, columns: &[(&str, &str, &str)], from_baseline: &str, from_ours: &str) -> String {
    use std::fmt::Write as _;

    let mut sql = String::new();
    for (table, from, ours) in [("base", from_baseline, false), ("engine", from_ours, true)] {
        let selected: Vec<String> = columns
            .iter()
            .map(|(name, theirs, our)| format!("coalesce({}, '') AS {}", if ours { our } else { theirs }, identifier(name)))
            .collect();
        let key = identifier(columns[0].0);
        // Writing to a String cannot fail.
        let _ = writeln!(sql, "CREATE TEMP TABLE {what}_{table} AS SELECT {} FROM {from};", selected.join(", "));
        let _ = writeln!(sql, "CREATE INDEX {what}_{table}_key ON {what}_{table}({key});");
    }
    let key = identifier(columns[0].0);
    for (one, other, missing) in [("base", "engine", "the engine has none"), ("engine", "base", "the baseline has none")] {
        let _ = writeln!(
            sql,
            "SELECT '{what}', {key}, '{missing}' FROM {what}_{one} WHERE {key} NOT IN (SELECT {key} FROM {what}_{other}) LIMIT 3;"
        );
    }
    let _ = writeln!(
        sql,
        "SELECT '{what}', 'count', a.n, b.n FROM (SELECT count(*) n FROM {what}_base) a, (SELECT count(*) n FROM {what}_engine) b WHERE a.n <> b.n;"
    );
    for (name, _, _) in &columns[1..] {
        let column = identifier(name);
        let _ = writeln!(
            sql,
            "SELECT '{what}', {key}, '{name}', a.{column}, b.{column} FROM {what}_base a JOIN {what}_engine b USING ({key}) WHERE a.{column} <> b.{column} LIMIT 3;"
        );
    }
    sql
}

fn identifier(name: &str) -> String {
    format!("\"{name}\"")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
