#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};

use super::*;

/// Lines of `name=value`; a `!` before the name puts the property into a foreign namespace.
fn check(text: &str, expected: Expect) {
    let lines: Vec<(QName, Place, &str)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            let (name, value) = line.split_once('=').unwrap();
            let place = Place { file: None, line: index as u32 + 1, column: 1 };
            match name.strip_prefix('!') {
                Some(name) => (QName::new("urn:other", name), place, value),
                None => (QName::new(BUNDLE_NAMESPACE, name), place, value),
            }
        })
        .collect();
    let properties: Vec<_> =
        lines.iter().map(|(name, place, value)| Property { name, values: vec![(*value, place)], place }).collect();
    let (config, diagnostics) = read(&properties, &Place::default(), Path::new("/base"));
    let mut shown = String::new();
    for diagnostic in diagnostics {
        shown += &format!("{diagnostic}\n");
        shown += &diagnostic.help.map(|help| format!("  help: {help}\n")).unwrap_or_default();
    }
    if let Some(config) = config {
        shown += &format!("{} {} {:?}\n", config.path.display(), config.encoding.name(), config.multi_value);
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_path_is_relative_to_the_definition_and_defaults_apply() {
    check(
        "filePath=hr.csv\nuniqueAttribute=uid",
        expect![[r#"
        /base/hr.csv UTF-8 None
    "#]],
    );
}

#[test]
fn every_fault_is_reported_with_its_place_and_cure() {
    check(
        "fielPath=x\n!filePath=y\nencoding=utf-9\nfieldDelimiter=||\nquote=;;\ntrim=yes\nuniqueAttribute=uid\nuniqueAttribute=uid\nquoteMode=SOME\nxyzzy=1",
        expect![[r#"
            -:1:1: error[unknown-property]: the CSV connector has no configuration property 'fielPath'
              help: did you mean 'filePath'?
            -:2:1: warning[ignored-item]: the property 'filePath' is of another namespace than the CSV connector's, and is ignored
              help: put it into the namespace http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/bundle/com.evolveum.polygon.connector-csv/com.evolveum.polygon.connector.csv.CsvConnector
            -:8:1: error[several-values]: the property 'uniqueAttribute' is given twice
              help: keep one of them
            -:10:1: error[unknown-property]: the CSV connector has no configuration property 'xyzzy'
              help: its properties are allowEmpty, auxiliary, commentMarker, container, encoding, escape, fieldDelimiter, filePath, headerExists, ignoreEmptyLines, ignoreIdentifierCase, ignoreSurroundingSpaces, lastLoginDateAttribute, lastLoginDateFormat, multivalueAttributes, multivalueDelimiter, nameAttribute, objectClassDefinition, passwordAttribute, preserveOldSyncFiles, quote, quoteMode, readOnly, recordSeparator, tmpFolder, trailingDelimiter, trim, uniqueAttribute
            -:0:0: error[missing-property]: the CSV connector needs the property 'filePath'
              help: name the CSV file, relative to the definition's folder or absolute
            -:3:1: error[bad-value]: 'utf-9' is not an encoding
              help: encodings are named as on the web: utf-8, windows-1252, iso-8859-2, utf-16le
            -:4:1: error[bad-value]: 'fieldDelimiter' has more than one character
              help: give one ASCII character; write \t for a tab
            -:5:1: error[bad-value]: 'quote' has more than one character
              help: give one ASCII character; write \t for a tab
            -:9:1: error[bad-value]: 'SOME' is not a quote mode
              help: quote modes are ALL, MINIMAL, NON_NUMERIC, NONE, ALL_NON_NULL
            -:6:1: error[bad-value]: 'yes' is not a value of 'trim'
              help: write true or false
        "#]],
    );
}

#[test]
fn what_is_not_honoured_is_said() {
    check(
        "filePath=/abs/hr.csv\nuniqueAttribute=uid\ntmpFolder=/tmp\nobjectClassDefinition=x\ncontainer=false\nauxiliary=true\nreadOnly=true\nencoding=Cp1252",
        expect![[r#"
            -:3:1: warning[not-supported]: the property 'tmpFolder' is not used: snapshots for live synchronization are kept with the repository
              help: remove 'tmpFolder': a snapshot is kept as long as a synchronization token needs it, and no longer
            -:4:1: warning[not-supported]: the property 'objectClassDefinition' has no effect yet
              help: remove 'objectClassDefinition' if reading the file does not depend on it
            -:6:1: warning[not-supported]: the property 'auxiliary' has no effect yet
              help: remove 'auxiliary' if reading the file does not depend on it
            /abs/hr.csv windows-1252 None
        "#]],
    );
}

#[test]
fn two_characters_with_two_meanings_are_different_ones() {
    check(
        "filePath=a\nuniqueAttribute=uid\nquote=;\ncommentMarker=\\\nescape=\\",
        expect![[r#"
        -:3:1: error[bad-value]: 'quote' and 'fieldDelimiter' are the same character
          help: choose different ones; an empty value switches quote, escape or comments off
        -:4:1: error[bad-value]: 'commentMarker' and 'escape' are the same character
          help: choose different ones; an empty value switches quote, escape or comments off
    "#]],
    );
}

#[test]
fn a_multi_value_delimiter_is_a_regular_expression() {
    check(
        "filePath=a\nuniqueAttribute=uid\nmultivalueDelimiter=;\nmultivalueAttributes=groups;roles",
        expect![[r#"
        /base/a UTF-8 Some(MultiValue { splitter: ';', columns: Some(["groups", "roles"]) })
    "#]],
    );
    check(
        "filePath=a\nuniqueAttribute=uid\nmultivalueDelimiter=\\|",
        expect![[r#"
        /base/a UTF-8 Some(MultiValue { splitter: '|', columns: None })
    "#]],
    );
    check(
        "filePath=a\nuniqueAttribute=uid\nmultivalueDelimiter=\\s*,\\s*\nmultivalueAttributes=a , b",
        expect![[r#"
        /base/a UTF-8 Some(MultiValue { splitter: /\s*,\s*/, columns: Some(["a", "b"]) })
    "#]],
    );
    check(
        "filePath=a\nuniqueAttribute=uid\nmultivalueDelimiter=|",
        expect![[r#"
        -:3:1: error[bad-value]: the multi-value delimiter matches an empty text
          help: write '\|' for the character itself
    "#]],
    );
    check(
        "filePath=a\nuniqueAttribute=uid\nmultivalueDelimiter=(?<=a);",
        expect![[r#"
        -:3:1: error[bad-value]: the multi-value delimiter is not a regular expression we can use: look-around, including look-ahead and look-behind, is not supported
          help: the delimiter is a regular expression without look-around and back-references; a special character stands for itself behind a backslash, as in '\|'
    "#]],
    );
    check(
        "filePath=a\nuniqueAttribute=uid\nmultivalueAttributes=groups",
        expect![[r#"
        -:3:1: error[bad-value]: 'multivalueAttributes' needs a 'multivalueDelimiter'
          help: say what stands between two values of a cell
    "#]],
    );
    check(
        "filePath=a\nuniqueAttribute=uid\nmultivalueDelimiter=,\nmultivalueAttributes=groups,uid",
        expect![[r#"
        -:4:1: error[bad-value]: the unique attribute cannot have several values
          help: take it off the list
    "#]],
    );
}

#[test]
fn the_password_column_is_not_an_identifier() {
    check(
        "filePath=a\nuniqueAttribute=uid\npasswordAttribute=uid",
        expect![[r#"
        -:3:1: error[bad-value]: the password column is the identifier column as well
          help: name another column
    "#]],
    );
}

#[test]
fn encodings_have_the_names_of_the_web_and_of_java() {
    for (name, expected) in [
        ("UTF-8", "UTF-8"),
        ("ISO8859_2", "ISO-8859-2"),
        ("Cp1250", "windows-1250"),
        ("utf-16", "UTF-16BE"),
        ("latin2", "ISO-8859-2"),
    ] {
        assert_eq!(encoding(name).unwrap().name(), expected, "{name}");
    }
    assert!(encoding("iso-2022-kr").is_none());
}
