//! Filters in documents.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tidelock_model::document::{Format, Node, read, write};
use tidelock_model::filter::{ExistsClause, Filter, ItemPath, Operand, Operator, PathStep, ValueClause, WrittenAt};

use super::{filter, generate, line, text};
use crate::filter::{from_node, parse::lexical::is_number, print, to_node, to_xml};

fn node(content: &str, format: Format) -> Node {
    let mut document = read(content.as_bytes(), Some("f"), format).unwrap_or_else(|errors| panic!("{content}: {errors:?}"));
    document.objects.remove(0)
}

/// Reads the content of a `filter` element.
fn check(content: &str, expected: &Expect) {
    let xml = format!(
        "<filter xmlns='http://prism.evolveum.com/xml/ns/public/query-3' \
         xmlns:c='http://midpoint.evolveum.com/xml/ns/public/common/common-3' \
         xmlns:ri='http://midpoint.evolveum.com/xml/ns/public/resource/instance-3' \
         xmlns:xsd='http://www.w3.org/2001/XMLSchema' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>\n{content}</filter>"
    );
    expected.assert_eq(&said(&node(&xml, Format::Xml)));
}

fn said(node: &Node) -> String {
    match from_node(node) {
        Ok(read) => print(&read),
        Err(error) => line(&error).trim_end().to_owned(),
    }
}

#[test]
fn clauses_are_read() {
    check("<equal><path>attributes/ri:uid</path><value>x</value></equal>", &expect![[r#"attributes/ri:uid = "x""#]]);
    check(
        "<equal><matching>polyStringNorm</matching><path>c:name</path><value>a</value><value/></equal>",
        &expect![[r#"c:name =[polyStringNorm] ("a", "")"#]],
    );
    check("<equal><path>name</path></equal>", &expect!["name = null"]);
    check("<equal><path>a</path><rightHandSidePath>b</rightHandSidePath></equal>", &expect!["a = b"]);
    check(
        "<equal><path>a</path><c:expression><c:path>$projection/attributes/ri:uid</c:path></c:expression></equal>",
        &expect!["a = $projection/attributes/ri:uid"],
    );
    check(
        "<equal><path>a</path><c:expression><c:script><c:code>1 + 1</c:code></c:script></c:expression></equal>",
        &expect!["a = `1 + 1`"],
    );
    check("<equal><path>objectClass</path><value>ri:person</value></equal>", &expect!["objectClass = ri:person"]);
    check(
        "<equal><path>a</path><value xsi:type='xsd:int'>5</value><value xsi:type='xsd:boolean'>1</value></equal>",
        &expect!["a = (5, true)"],
    );
    check("<greater><path>a</path><value>5</value></greater>", &expect![[r#"a > "5""#]]);
    check(
        "<substring><path>a</path><value>5</value><anchorStart>true</anchorStart></substring>",
        &expect![[r#"a startsWith "5""#]],
    );
    check(
        "<substring><path>a</path><value>5</value><anchorStart>true</anchorStart><anchorEnd>true</anchorEnd></substring>",
        &expect![[r#"a = "5""#]],
    );
    check(
        "<fuzzyStringMatch><path>a</path><value>x</value><method><levenshtein><threshold>2</threshold></levenshtein></method></fuzzyStringMatch>",
        &expect![[r#"a levenshtein ("x", 2, true)"#]],
    );
    check(
        "<ref><path>linkRef</path><value oid='1' type='c:ShadowType'/><value oid='2'/></ref>",
        &expect![[r#"linkRef matches (oid = "1" and targetType = c:ShadowType) or linkRef matches (oid = "2")"#]],
    );
    check("<ref><path>linkRef</path></ref>", &expect!["linkRef = null"]);
    check(
        "<ref><path>targetRef</path><value><type>c:OrgType</type></value><filter><equal><path>name</path><value>S</value></equal></filter></ref>",
        &expect![[r#"targetRef matches (targetType = c:OrgType and @ matches (name = "S"))"#]],
    );
    check("<org><orgRef oid='1'/><scope>ONE_LEVEL</scope></org>", &expect![[r#". inOrg[ONE_LEVEL] "1""#]]);
    check("<inOid><value>1</value><value>2</value></inOid>", &expect![[r#". inOid ("1", "2")"#]]);
    check("<inOid/>", &expect![". none"]);
    check(
        "<type><type>c:UserType</type><filter><or><all/><none/></or></filter></type>",
        &expect![". type c:UserType and (. all or . none)"],
    );
    check(
        "<exists><path>assignment</path><filter><text>description = 'x'</text></filter></exists>",
        &expect![[r#"assignment matches (description = "x")"#]],
    );
    check(
        "<and><not><text>a = 1 or b = 2</text></not><or><all/><undefined/></or></and>",
        &expect!["not (a = 1 or b = 2) and (. all or . undefined)"],
    );
    check(
        "<description>mine</description><text>attributes/ri:uid startsWith 'x'</text>",
        &expect![[r#"attributes/ri:uid startsWith "x""#]],
    );
    check(
        "<referencedBy><type>c:UserType</type><path>linkRef</path><relation>default</relation><filter><all/></filter></referencedBy>",
        &expect![". referencedBy (@type = c:UserType and @relation = default and @path = linkRef and . all)"],
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_cure() {
    check("", &expect!["1:1 [query-syntax] 'filter' holds no filter | put one clause into it, such as equal, or text"]);
    check("name = 'a'", &expect!["1:1 [query-syntax] 'filter' holds no filter | put the query into an element 'text'"]);
    check(
        "<all/><none/>",
        &expect!["2:7 [query-syntax] 'filter' holds several clauses, and there must be one | join them with 'and' or 'or'"],
    );
    check("<equals><path>a</path></equals>", &expect!["2:1 [query-syntax] there is no clause 'equals' | did you mean 'equal'?"]);
    check("<equal><value>a</value></equal>", &expect!["2:1 [query-syntax] 'equal' needs 'path'"]);
    check(
        "<equal><path>a</path><values>a</values></equal>",
        &expect!["2:22 [query-syntax] the clause 'equal' has no 'values' | did you mean 'value'?"],
    );
    check(
        "<equal><path>xx:a</path></equal>",
        &expect![[r#"2:8 [undeclared-prefix] the prefix 'xx' is not declared here | add xmlns:xx="…""#]],
    );
    check(
        "<equal><path>icfs:name</path></equal>",
        &expect![[
            r#"2:8 [undeclared-prefix] the prefix 'icfs' is not declared here | add xmlns:icfs="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/resource-schema-3""#
        ]],
    );
    check(
        "<equal><path>a = b</path></equal>",
        &expect![
            "2:8 [bad-value] the item path ends before ' ' | write a path such as attributes/ri:uid, without operators or quotes"
        ],
    );
    check(
        "<equal><path>a</path><matching>stringIgnorecase</matching></equal>",
        &expect!["2:22 [unknown-matching-rule] there is no matching rule 'stringIgnorecase' | did you mean 'stringIgnoreCase'?"],
    );
    check(
        "<equal><path>a</path><value><b>c</b></value></equal>",
        &expect![
            "2:22 [bad-value] a filter compares with simple values only | compare the items within, or use 'exists' with a filter"
        ],
    );
    check(
        "<greater><path>a</path><value>a</value><value>b</value></greater>",
        &expect!["2:1 [query-syntax] 'greater' has 2 values, and there must be one"],
    );
    check(
        "<not><all/><none/></not>",
        &expect!["2:1 [query-syntax] 'not' holds several clauses, and there must be one | join them with 'and' or 'or'"],
    );
    check("<and/>", &expect!["2:1 [query-syntax] 'and' holds no clause | put clauses into it"]);
    check(
        "<substring><path>a</path><value>a</value><anchorStart>yes</anchorStart></substring>",
        &expect!["2:42 [bad-value] 'anchorStart' is neither true nor false | write true or false"],
    );
    check(
        "<ref><path>linkRef</path><value/></ref>",
        &expect![[r#"2:26 [bad-value] a reference needs an oid, a type or a relation | write <value oid="…" type="…"/>"#]],
    );
    check("<org/>", &expect!["2:1 [query-syntax] 'org' needs 'orgRef'"]);
    check(
        "<text>name =</text>",
        &expect!["2:1 [query-syntax] '=' needs a value behind it, and there is the end (line 1, column 7 of the query)"],
    );
    check(
        "<text>\n  name =\n   and</text>",
        &expect![
            "4:4 [query-syntax] '=' needs a value behind it, and there is 'and' (line 3, column 4 of the query) | put a text into quotes: 'and'"
        ],
    );
    let deep = format!("{}<all/>{}", "<not>".repeat(80), "</not>".repeat(80));
    check(
        &deep,
        &expect![
            "2:321 [query-syntax] clauses are nested more than 64 deep | say it with fewer levels: an 'and' can hold any number of clauses"
        ],
    );
}

#[test]
fn json_and_yaml_say_the_same() {
    let yaml = "
filter:
  and:
    equal:
    - path: attributes/ri:uid
      value: [x, 5, true]
    - path: b
    not:
      text: c > 3
";
    expect![[r#"attributes/ri:uid = ("x", 5, true) and b = null and c not > 3"#]].assert_eq(&said(&node(yaml, Format::Yaml)));
    expect![[r#"linkRef matches (oid = "1")"#]]
        .assert_eq(&said(&node("{\"filter\": {\"ref\": {\"path\": \"linkRef\", \"value\": {\"oid\": \"1\"}}}}", Format::Json)));
    expect!["1:2 [query-syntax] 'filter' holds no filter | put the query into an element 'text'"]
        .assert_eq(&said(&node("{\"filter\": \"a = 1\"}", Format::Json)));
}

#[test]
fn examples_come_back_through_every_notation() {
    for example in text::EXAMPLES.trim().lines() {
        let read_first = filter(example);
        for format in [Format::Xml, Format::Yaml, Format::Json] {
            let written = write(&[to_node(&read_first)], format);
            let again = from_node(&node(&written, format)).unwrap_or_else(|error| panic!("{written}\n{error}"));
            assert_eq!(again, through_documents(read_first.clone()), "{written}");
        }
    }
}

#[test]
fn a_text_that_is_no_name_stays_a_text_where_names_are_compared() {
    for odd in ["objectClass = ' '", "objectClass = '# a '", "objectClass = ''", "objectClass = ('a', true)"] {
        let read_first = filter(odd);
        assert_eq!(from_node(&to_node(&read_first)), Ok(read_first), "{odd}");
    }
}

#[test]
fn a_name_with_odd_letters_stays_the_same_however_often_it_is_written() {
    for odd in
        ["objectClass = 'a:b=#'", "objectClass = 'a:b/c'", "objectClass = 'a:'", "objectClass = '#a:b'", "objectClass = '##'"]
    {
        let once = from_node(&to_node(&filter(odd))).unwrap();
        assert_eq!(from_node(&to_node(&once)), Ok(once), "{odd}");
    }
}

/// What a filter becomes in a document: some clauses have one form there where the text has two.
fn through_documents(filter: Filter) -> Filter {
    let inner = |filter: Option<Box<Filter>>| filter.map(|filter| Box::new(through_documents(*filter)));
    match filter {
        Filter::And(parts) => Filter::And(parts.into_iter().map(through_documents).collect()),
        Filter::Or(parts) => Filter::Or(parts.into_iter().map(through_documents).collect()),
        Filter::Not(part) => match *part {
            Filter::Exists(ExistsClause { path, filter: None, .. }) if path != ItemPath::of(&["assignment"]) => absent(path),
            part => through_documents(part).negated(),
        },
        Filter::Exists(ExistsClause { path, filter: None, .. }) if path != ItemPath::of(&["assignment"]) => {
            absent(path).negated()
        }
        Filter::Exists(clause) => Filter::Exists(ExistsClause { filter: inner(clause.filter), ..clause }),
        Filter::Ref(mut clause) => {
            clause.target = inner(clause.target);
            Filter::Ref(clause)
        }
        Filter::OwnedBy(mut clause) => {
            clause.filter = inner(clause.filter);
            Filter::OwnedBy(clause)
        }
        Filter::ReferencedBy(mut clause) => {
            clause.filter = inner(clause.filter);
            Filter::ReferencedBy(clause)
        }
        other => other,
    }
}

/// That an item has no value.
fn absent(path: ItemPath) -> Filter {
    let (operator, operand) = (Operator::Equal, Operand::Values(Vec::new()));
    Filter::Value(ValueClause { path, operator, operand, matching: None, place: WrittenAt::default() })
}

/// Whether XML can hold every text of the filter, and the filter has one form in documents.
fn is_plain(filter: &Filter) -> bool {
    let text = print(filter);
    let spelled = text.chars().all(|c| !c.is_control() && c != '\u{FFFE}' && c != '\u{FFFF}');
    spelled && !says_trouble(filter)
}

fn says_trouble(filter: &Filter) -> bool {
    match filter {
        // A conjunction that begins with a type is folded into it.
        Filter::And(parts) => matches!(parts.as_slice(), [Filter::Type(_), ..]) || parts.iter().any(says_trouble),
        Filter::Or(parts) => parts.iter().any(says_trouble),
        Filter::Not(part) => says_trouble(part),
        Filter::Exists(clause) => clause.filter.as_deref().is_some_and(says_trouble),
        Filter::Ref(clause) => clause.target.as_deref().is_some_and(says_trouble),
        Filter::OwnedBy(clause) | Filter::ReferencedBy(clause) => clause.filter.as_deref().is_some_and(says_trouble),
        Filter::Value(clause) => match &clause.operand {
            Operand::Values(_) => false,
            // The path of an expression cannot be told from a value of it.
            Operand::Path(path) => path.steps.iter().any(|step| matches!(step, PathStep::Value(_))),
            Operand::Expression(_) => true,
        },
        Filter::Substring(clause) => matches!(clause.operand, Operand::Expression(_)),
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_written_as_xml_reads_back_the_same(filter in generate::filter().prop_filter("plain", is_plain)) {
        let xml = to_xml(&filter);
        let read = from_node(&node(&xml, Format::Xml)).map_err(|error| TestCaseError::fail(format!("{xml}\n{error}")))?;
        prop_assert_eq!(read, through_documents(filter), "{}", xml);
    }

    #[test]
    fn numbers_are_told_from_words(text in "[-0-9.eE+]{0,6}") {
        if is_number(&text) {
            prop_assert!(text.parse::<f64>().is_ok());
        }
    }
}
