//! The text language.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tidelock_model::Place;
use tidelock_model::document::Scope;
use tidelock_model::filter::{Filter, Literal, Operand};

use super::{filter, generate, line, try_filter};
use crate::filter::{MAX_DEPTH, MAX_LENGTH, parse, print, to_xml};

/// Every kind of filter there is.
pub(super) const EXAMPLES: &str = r#"
name = 'ann'
name =[stringIgnoreCase] 'ANN' and fullName contains "Lee"
nickName != title
nickName not equal title
locality startsWith 'Os' or locality endsWith[stringIgnoreCase] 'gen'
emailAddress not contains "@old."
telephoneNumber not exists
assignment exists
assignment matches (description = 'seasonal')
assignment/description = 'seasonal'
familyName = ('Ruiz', 'Roy')
familyName != ('Ruiz', 'Roy')
(a = '1' or b = '2') and not (c = '3')
extension/floor > 3
activation/validTo < "2027-01-01"
name matches (orig = 'Ann')
name matches (norm = 'ann')
name >[polyStringNorm] 'k'
linkRef matches (oid = '11111111-2222-3333-4444-555555555555')
linkRef matches (oid = ('r1', 'r2'))
assignment/targetRef matches (targetType = RoleType and relation = manager)
assignment/targetRef matches (targetType = OrgType and @ matches (name = "Sales"))
assignment/targetRef/@/name = "Sales"
. type UserType and familyName = 'Roy'
. inOid ('u1', 'u2')
. inOrg "o1"
. inOrg[ONE_LEVEL] "o1"
. isRoot
. fullText 'north'
. ownedByOid 'u1'
. ownedBy (@type = UserType and @path = assignment)
. referencedBy (@type = UserType and @path = linkRef and name = 'ann')
familyName levenshtein ('ruis', 1, true)
familyName similarity ('ruiz', 0.8, true)
attributes/ri:uid startsWith 'x'
attributes/uid startsWith 'x'
attributes/icfs:name endsWith "ou=Guests,dc=example,dc=org"
attributes/ri:room = ""
attributes/ri:room = null
resourceRef matches (oid = "r1") and kind = "account" and intent = "default"
objectClass = ri:inetOrgPerson
metadata/createTimestamp > `basic.fromNow("-P30D")`
name = groovy`1 + 1`
name = $projection/attributes/ri:uid
extension/tag = @favourite
name = ? or name = :who
flag = true and not (level <= -2.5)
a = '1' and b = '2' or c = '3' AND d anyIn ('4', 5, false)
title = 'O\'Neil "x" \d'
note = /* all of it */ 'a' // and no more
"#;

#[test]
fn every_example_is_read_and_written() {
    let mut all = String::new();
    for example in EXAMPLES.trim().lines() {
        let read = filter(example);
        let text = print(&read);
        assert_eq!(filter(&text), read, "{example}");
        let xml = to_xml(&read).replace('\n', "\n   ");
        // The declarations are the same nearly everywhere.
        let xml = xml.replacen(r#" xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3""#, "", 1);
        let xml = xml.replacen(r#" xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3""#, "", 1);
        all += &format!("{example}\n-> {text}\n   {xml}\n");
    }
    expect_test::expect_file!["examples.txt"].assert_eq(&all);
}

#[test]
fn and_joins_more_tightly_than_or() {
    assert_eq!(filter("a = 1 or b = 2 and c = 3"), filter("a = 1 or (b = 2 and c = 3)"));
    assert_eq!(filter("a=1 and b=2 and c=3"), Filter::And(vec![filter("a = 1"), filter("b=2"), filter("c =3")]));
    assert_ne!(filter("(a = 1 and b = 2) and c = 3"), filter("a = 1 and b = 2 and c = 3"));
}

fn text_of(query: &str) -> String {
    match filter(query) {
        Filter::Value(clause) => match clause.operand {
            Operand::Values(values) => match values.as_slice() {
                [Literal::String(text)] => text.to_string(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_own_quote_is_escaped() {
    assert_eq!(text_of(r#"a = 'it\'s'"#), "it's");
    assert_eq!(text_of(r#"a = "it\'s \"so\" \n""#), r#"it\'s "so" \n"#);
    assert_eq!(text_of(r"a = 'x\\'y'"), r"x\'y");
}

#[test]
fn three_quotes_hold_several_lines_as_they_are() {
    assert_eq!(text_of("a = \"\"\"\none\ntwo \\\"\"\""), "one\ntwo \\");
    assert_eq!(text_of("a = \"\"\"\r\nquoted \"x\"\"\"\""), "quoted \"x\"");
    assert_eq!(text_of("a = \"\"\"\"\n\"\"\"\"\"\"\""), "\"\"\"");
}

#[test]
fn a_clause_knows_where_it_stands() {
    let start = Place { file: Some("f.xml".into()), line: 7, column: 10 };
    let read = parse("a = 1 and\n é = 2 and b = 3", &start, &Scope::well_known()).unwrap();
    let Filter::And(parts) = read else { panic!() };
    let places: Vec<_> = parts.iter().map(|part| part.place().unwrap().to_string()).collect();
    assert_eq!(places, ["f.xml:7:10", "f.xml:8:2", "f.xml:8:12"]);
    let error = parse("a = 1 and\n é ~ 2", &start, &Scope::well_known()).unwrap_err();
    assert_eq!(error.place.to_string(), "f.xml:8:4");
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_cure() {
    let mut all = String::new();
    for query in [
        "",
        "  // nothing",
        "name",
        "name and a = 1",
        "name =",
        "name = ",
        "name = and a = 1",
        "(name = 'a'",
        "name = 'a')",
        "name = 'a' nad a = 1",
        "name = 'a' And a = 1",
        "name = 'a' && a = 1",
        "name == 'a'",
        "name <> 'a'",
        "name like 'a'",
        "name is null",
        "name contians 'a'",
        "name = 'a",
        "name = 'a\nb'",
        "name = \"\"\"\nab",
        "name = `ab",
        "name = 'a' /* b",
        "not name = 'a'",
        "name =[stringIgnorecase] 'a'",
        "name =[stringIgnoreCase 'a'",
        "name exists[uuid]",
        "name exists 'a'",
        "validTo < 2027-01-01",
        "a = 12abc",
        "a = - 1",
        "a = ()",
        "a = ('x', b)",
        "a = ('x' 'y')",
        "a = ('x', 'y'",
        "a > ('x', 'y')",
        "a > null",
        "a anyIn b",
        "a contains b",
        ". fullText b",
        "a levenshtein 'x'",
        "a levenshtein ('x', 0.5)",
        "a similarity ('x', 1.5)",
        "a similarity ('x', 0.5, 1)",
        "name inOid 'a'",
        ". inOrg[CHILDREN] 'a'",
        ". inOrg ('a', 'b')",
        ". inOid 5",
        ". type 'a' 'b'",
        ". type 5",
        "linkRef matches (name = 'a')",
        "linkRef matches (oid = 'a' and oid = 'b')",
        "linkRef matches (oid = 'a' or oid = 'b')",
        "linkRef matches (oid = 5)",
        "linkRef matches (oid = ' ')",
        ". inOid ('a', '')",
        "linkRef matches 'a'",
        "@type = UserType",
        ". referencedBy (@type = UserType or name = 'a')",
        ". referencedBy (@typ = UserType)",
        ". ownedBy (@relation = manager)",
        ". ownedBy (@type = UserType and @type = RoleType)",
        ". referencedBy (@path = 'linkRef')",
        "xx:name = 'a'",
        "attributes/xx:name = 'a'",
        "a//b = 1",
        "a/ = 1",
        "5 = a",
        ". type '\t \t'",
        ". type 'User Type'",
        ". type ''",
        "'a' = b",
        "a = 1 ž",
    ] {
        match try_filter(query) {
            Ok(read) => panic!("{query} was read as {read:?}"),
            Err(error) => all += &format!("{}\n    {}", query.escape_debug(), line(&error)),
        }
    }
    expect_test::expect_file!["errors.txt"].assert_eq(&all);
}

#[test]
fn nesting_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(filter(&nested(MAX_DEPTH)), filter("a = 1"));
    check_error(
        &nested(MAX_DEPTH + 1),
        &expect![
            "1:65 [query-syntax] brackets are nested more than 64 deep | take away brackets that change nothing: 'and' binds tighter than 'or'"
        ],
    );
    check_error(
        &"(".repeat(100_000),
        &expect![
            "1:65 [query-syntax] brackets are nested more than 64 deep | take away brackets that change nothing: 'and' binds tighter than 'or'"
        ],
    );
    check_error(
        &"not (".repeat(100_000),
        &expect![
            "1:325 [query-syntax] brackets are nested more than 64 deep | take away brackets that change nothing: 'and' binds tighter than 'or'"
        ],
    );
    check_error(
        &"a matches (".repeat(100_000),
        &expect![
            "0:0 [query-syntax] a query has at most 1048576 bytes, and this one has more | split the set of objects, or move long lists of values into a condition on an item"
        ],
    );
    check_error(&"a not ".repeat(100_000), &expect![[r#"1:7 [query-syntax] there is no filter 'a'"#]]);
    check_error(
        &" ".repeat(MAX_LENGTH + 1),
        &expect![[r#"
            0:0 [query-syntax] a query has at most 1048576 bytes, and this one has more | split the set of objects, or move long lists of values into a condition on an item"#]],
    );
    // Long is fine, as long as it is flat.
    assert!(try_filter(&vec!["a = 1"; 50_000].join(" and ")).is_ok());
}

fn check_error(query: &str, expected: &Expect) {
    expected.assert_eq(line(&try_filter(query).unwrap_err()).trim_end());
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(filter in generate::filter()) {
        let text = print(&filter);
        let read = try_filter(&text).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
        prop_assert_eq!(read, filter, "{}", text);
    }

    #[test]
    fn any_text_can_be_compared_with(content in any::<String>()) {
        let query = print(&Filter::equal(tidelock_model::filter::ItemPath::of(&["a"]), content.as_str()));
        prop_assert_eq!(text_of(&query), content);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = try_filter(&text);
    }

    #[test]
    fn no_text_like_a_query_makes_the_reader_panic(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "and", "or", "not", "(", ")", "[", "]", "=", "<", "!=", "a", "ri:b", "/", "@", "#", ".", "..", "$", ":", "?", ",", "'", "\"",
            "\"\"\"\n", "`", "\\", "5", "-", "e", "true", "null", "matches", "contains", "type", "inOid", "levenshtein", "ownedBy",
            "@type", "oid", "Ref", "orig", " ", "\n", "//", "/*", "*/", "{", "}", "é",
        ]), 0..24), spaced in any::<bool>()) {
        let text = words.join(if spaced { " " } else { "" });
        if let Err(error) = try_filter(&text) {
            prop_assert!(error.place.line >= 1 && error.place.column >= 1);
            prop_assert!(usize::try_from(error.place.column).unwrap() <= text.chars().count() + 1);
        }
    }
}
