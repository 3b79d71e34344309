//! Whether both sides ended with the same content: accounts with their situations, owners and memberships, and people.
//!
//! It reads the engine's tables directly, which nobody else may: they are private to `tidelock-repo` and change without notice. The
//! comparison runs in the `sqlite3` shell, so that a million rows never pass through this process.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

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
    // A person may have several departments where the baseline has room for the last one only: in a million accounts, a few of those that
    // revision 1 adds have the employee number of another. So all of them are compared with those of the accounts, and the last with it.
    (
        "organizationalUnit",
        "(SELECT group_concat(d, ';') FROM (SELECT DISTINCT attrs ->> '$.department' AS d FROM b.shadows WHERE user_id = u.id ORDER BY d))",
        "(SELECT group_concat(value, ';') FROM (SELECT value FROM json_each(u.content, '$.organizationalUnit') ORDER BY value))",
    ),
    ("department", "u.department", "coalesce(u.content ->> '$.organizationalUnit[#-1]', u.content ->> '$.organizationalUnit')"),
    ("status", "u.status", "u.content ->> '$.extension.status'"),
];

/// Fails if the two differ, naming the first rows and columns that do.
pub(super) fn agree(baseline: &Path, ours: &Path) -> Result<()> {
    let mut sql = format!(
        "ATTACH {} AS b;\nATTACH {} AS o;\nPRAGMA temp_store = FILE;\n",
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
    let differences = query(&sql)?;
    if !differences.trim().is_empty() {
        bail!(
            "the engine and the baseline did different work (what, which, column, baseline, engine):\n{}",
            differences.trim_end()
        );
    }
    Ok(())
}

/// What the `sqlite3` shell prints for some statements.
fn query(sql: &str) -> Result<String> {
    let mut script = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    script.write_all(sql.as_bytes())?;
    shell::output(Command::new("sqlite3").args(["-batch", "-bail", ":memory:"]).stdin(File::open(script.path())?))
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
    // Two empty tables agree about nothing.
    let _ = writeln!(sql, "SELECT '{what}', 'none at all' WHERE NOT EXISTS (SELECT 1 FROM {what}_base);");
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BASELINE: &str = "
        CREATE TABLE users(id INTEGER PRIMARY KEY, name, employee_number, given_name, family_name, mail, department, status);
        CREATE TABLE shadows(id INTEGER PRIMARY KEY, uid, attrs, user_id, situation, dead);
        CREATE TABLE memberships(shadow_id, grp);
        INSERT INTO users VALUES (1, 'ann', 'E1', 'Ann', 'Ruiz', NULL, 'Sales', 'active');
        INSERT INTO shadows VALUES (1, 'u1', '{\"employeeNumber\":\"E1\",\"givenName\":\"Ann\",\"department\":\"Sales\",\"mail\":\"\"}', 1, 'linked', 0);
        INSERT INTO memberships VALUES (1, 'g2'), (1, 'g1');";
    const OURS: &str = "
        CREATE TABLE focus(id INTEGER PRIMARY KEY, name, content);
        CREATE TABLE shadow(id INTEGER PRIMARY KEY, identifier, attributes, focus, situation, dead);
        INSERT INTO focus VALUES (9, 'ann', '{\"employeeNumber\":\"E1\",\"givenName\":\"Ann\",\"familyName\":\"Ruiz\",
            \"organizationalUnit\":\"Sales\",\"extension\":{\"status\":\"active\"}}');
        INSERT INTO shadow VALUES (7, 'u1', '{\"givenName\":\"Ann\",\"employeeNumber\":\"E1\",\"department\":\"Sales\",\"groups\":[\"g1\",\"g2\"]}', 9, 1, 0);";

    /// Compares the two with something done to ours, and returns the complaint.
    fn complaint(tampering: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let [baseline, ours] = ["baseline.db", "ours.db"].map(|name| folder.path().join(name));
        for (path, sql) in [(&baseline, BASELINE.to_owned()), (&ours, format!("{OURS}{tampering}"))] {
            shell::output(Command::new("sqlite3").arg("-bail").arg(path).arg(sql)).unwrap();
        }
        agree(&baseline, &ours).map_or_else(|err| err.to_string(), |()| String::new())
    }

    #[test]
    fn the_same_content_in_another_form_agrees() {
        assert_eq!(complaint(""), "");
    }

    #[test]
    fn what_differs_is_named() {
        for (tampering, named) in [
            ("DELETE FROM shadow", "account|u1|the engine has none"),
            ("INSERT INTO focus VALUES (2, 'bob', '{}')", "person|bob|the baseline has none"),
            ("UPDATE shadow SET situation = 4", "account|u1|situation|linked|disputed"),
            ("UPDATE shadow SET focus = NULL", "account|u1|owner|ann|"),
            ("UPDATE shadow SET attributes = json_set(attributes, '$.groups', 'g1')", "account|u1|groups|g1;g2|g1"),
            (
                "UPDATE focus SET content = json_set(content, '$.organizationalUnit', json('[\"Sales\",\"IT\"]'))",
                "organizationalUnit|Sales|IT;Sales",
            ),
            ("UPDATE focus SET content = json_remove(content, '$.familyName')", "person|ann|familyName|Ruiz|"),
        ] {
            let complaint = complaint(tampering);
            assert!(complaint.contains(named), "{tampering}: {complaint}");
        }
    }
}
