//! What is refused for its form, where, and with which advice.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use tidelock_model::document::{Format, Node, read};

/// The findings of a document, or the tree.
fn check(format: Format, text: impl AsRef<[u8]>, expected: Expect) {
    let mut out = String::new();
    match read(text.as_ref(), None, format) {
        Ok(document) => {
            for diagnostic in &document.diagnostics {
                writeln!(out, "{diagnostic}").unwrap();
            }
            document.objects.iter().for_each(|object| show(object, 0, &mut out));
        }
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                writeln!(out, "{diagnostic}").unwrap();
                writeln!(out, "  help: {}", diagnostic.help.unwrap()).unwrap();
            }
        }
    }
    expected.assert_eq(&out);
}

fn show(node: &Node, depth: usize, out: &mut String) {
    write!(out, "{}{}", "  ".repeat(depth), node.name).unwrap();
    for attribute in &node.attributes {
        write!(out, " {}={:?}", attribute.name, attribute.value).unwrap();
    }
    if let Some(text) = &node.text {
        write!(out, " {text:?}").unwrap();
    }
    writeln!(out, " @{}:{}", node.place.line, node.place.column).unwrap();
    node.children.iter().for_each(|child| show(child, depth + 1, out));
}

fn refused(format: Format, text: impl AsRef<[u8]>) -> String {
    let diagnostics = read(text.as_ref(), None, format).expect_err("it must be refused");
    assert_eq!(diagnostics.len(), 1);
    assert!(diagnostics[0].help.is_some(), "no cure: {}", diagnostics[0]);
    diagnostics[0].to_string()
}

#[test]
fn xml_becomes_a_tree_with_places() {
    check(
        Format::Xml,
        r#"<task xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" oid="x"
      xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3">
  <name>žluťoučký &amp; <![CDATA[<kůň>]]></name><q:filter a="1&#10;2
3"/>
</task>"#,
        expect![[r#"
            task oid="x" @1:1
              name "žluťoučký & <kůň>" @3:3
              q:filter a="1\n2 3" @3:49
        "#]],
    );
}

#[test]
fn what_is_not_well_formed_is_refused_with_its_place() {
    let cases = [
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a/>",
        "<a>&x;</a>",
        "<a>&#0;</a>",
        "<a>&#x+41;</a>",
        "<a b='&'/>",
        "<a>\u{1}</a>",
        "<a>]]></a>",
        "<a b='<'/>",
        "<a b='1' b='2'/>",
        "<a xmlns:x='urn:a' xmlns:y='urn:a' x:b='1' y:b='2'/>",
        "<a xmlns:x='' />",
        "<a/><b/>",
        "<a/>text",
        "text<a/>",
        "<1a/>",
        "<a:b:c/>",
        "<a b='1'c='2'/>",
        "<a b=1/>",
        "<a b/>",
        "<a>",
        "<a></b>",
        "</a>",
        "<a",
        "<a><!-- -- --></a>",
        "<a/><?xml version='1.0'?>",
        "<?xml version='1.0' encoding='ISO-8859-2'?><a/>",
        "<?xml encoding='UTF-8'?><a/>",
        "<x:a/>",
        "<a x:b='1'/>",
        "",
        "  ",
    ];
    let mut out = String::new();
    for case in cases {
        writeln!(out, "{:<55} {}", case.replace('\u{1}', "\\1"), refused(Format::Xml, case)).unwrap();
    }
    expect![[r#"
        <!DOCTYPE a [<!ENTITY x 'y'>]><a/>                      -:1:1: error[syntax]: document types are not allowed
        <a>&x;</a>                                              -:1:4: error[syntax]: '&x;' stands for nothing here
        <a>&#0;</a>                                             -:1:4: error[syntax]: '&#0;' is no character that XML allows
        <a>&#x+41;</a>                                          -:1:4: error[syntax]: '&#x+41;' is no character that XML allows
        <a b='&'/>                                              -:1:7: error[syntax]: '&' without ';'
        <a>\1</a>                                               -:1:4: error[syntax]: a control character, which XML does not allow
        <a>]]></a>                                              -:1:4: error[syntax]: ']]>' in text
        <a b='<'/>                                              -:1:4: error[syntax]: '<' in the value of 'b'
        <a b='1' b='2'/>                                        -:1:10: error[syntax]: the attribute 'b' is given twice
        <a xmlns:x='urn:a' xmlns:y='urn:a' x:b='1' y:b='2'/>    -:1:44: error[syntax]: the attribute 'urn:a#b' is given twice
        <a xmlns:x='' />                                        -:1:4: error[syntax]: a prefix cannot stand for no namespace
        <a/><b/>                                                -:1:5: error[syntax]: a second root element
        <a/>text                                                -:1:5: error[syntax]: text after the root element
        text<a/>                                                -:1:1: error[syntax]: text before the root element
        <1a/>                                                   -:1:2: error[syntax]: '1a' is not a name
        <a:b:c/>                                                -:1:2: error[syntax]: 'a:b:c' is not a name
        <a b='1'c='2'/>                                         -:1:9: error[syntax]: space is missing before an attribute
        <a b=1/>                                                -:1:4: error[syntax]: the attribute 'b' has no value in quotes
        <a b/>                                                  -:1:4: error[syntax]: the attribute 'b' has no value in quotes
        <a>                                                     -:1:1: error[syntax]: the element 'a' is never closed
        <a></b>                                                 -:1:4: error[syntax]: ill-formed document: expected `</a>`, but `</b>` was found
        </a>                                                    -:1:1: error[syntax]: ill-formed document: close tag `</a>` does not match any open tag
        <a                                                      -:1:1: error[syntax]: syntax error: tag not closed: `>` not found before end of input
        <a><!-- -- --></a>                                      -:1:9: error[syntax]: ill-formed document: forbidden string `--` was found in a comment
        <a/><?xml version='1.0'?>                               -:1:5: error[syntax]: an XML declaration that is not at the very beginning
        <?xml version='1.0' encoding='ISO-8859-2'?><a/>         -:1:21: error[syntax]: the encoding 'ISO-8859-2' is not supported
        <?xml encoding='UTF-8'?><a/>                            -:1:1: error[syntax]: an XML declaration without a version
        <x:a/>                                                  -:1:1: error[undeclared-prefix]: the prefix 'x' of 'x:a' is not declared here
        <a x:b='1'/>                                            -:1:4: error[undeclared-prefix]: the prefix 'x' of 'b' is not declared here
                                                                -:1:1: error[syntax]: the document has no element
                                                                -:1:3: error[syntax]: the document has no element
    "#]].assert_eq(&out);
}

#[test]
fn what_is_no_text_is_refused() {
    assert!(refused(Format::Xml, b"<a>\xFF</a>").contains("-:1:4: error[syntax]: the document is not UTF-8"));
    assert!(refused(Format::Yaml, b"a:\n  \xC3(").contains("-:2:3: error[syntax]"));
    assert!(refused(Format::Xml, b"\xFF\xFE<\0a\0/\0>\0").contains("UTF-16"));
    assert!(refused(Format::Xml, b"\0<\0a\0/\0>").contains("UTF-16"));
}

#[test]
fn a_byte_order_mark_is_no_character() {
    for (format, text) in [(Format::Xml, "\u{FEFF}<?xml version='1.0'?><a/>"), (Format::Json, "\u{FEFF}{\"a\": {}}")] {
        assert_eq!(Format::guess(text.as_bytes()), format);
        assert_eq!(read(text.as_bytes(), None, format).unwrap().objects.len(), 1);
    }
}

#[test]
fn bounds_hold() {
    let nested = |depth| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(read(nested(128).as_bytes(), None, Format::Xml).is_ok());
    assert!(refused(Format::Xml, nested(129)).contains("nested deeper"));
    assert!(refused(Format::Xml, nested(100_000)).contains("nested deeper"));

    let attributes = |count| format!("<a {}/>", (0..count).map(|n| format!("a{n}='' ")).collect::<String>());
    assert!(read(attributes(256).as_bytes(), None, Format::Xml).is_ok());
    assert!(refused(Format::Xml, attributes(257)).contains("more than 256 attributes"));

    let lists = |depth| format!("{{\"a\": {}1{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(refused(Format::Json, lists(1000)).contains("nested deeper"));
    assert!(refused(Format::Yaml, lists(1000)).contains("nested deeper"));
    let block: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(refused(Format::Yaml, block).contains("nested deeper"));

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let last = level - 1;
        writeln!(bomb, "a{level}: &a{level} {{ k: [{}] }}", vec![format!("*a{last}"); 10].join(", ")).unwrap();
    }
    assert!(refused(Format::Yaml, bomb).contains("aliases of this document stand for more"));
    assert!(refused(Format::Yaml, "a: &a { b: *a }").contains("syntax"));
    assert!(refused(Format::Xml, vec![b' '; (64 << 20) + 1]).contains("64 MiB is the most"));
}

#[test]
fn json_is_read_strictly() {
    let mut out = String::new();
    let cases = [
        r#"{"a": 1,}"#,
        r#"{"a": {"b": 1, "b": 2}}"#,
        "{'a': 1}",
        "{\"ž\": 1 // c\n}",
        "{\"a\": [[1]]}",
        "[1]",
        "null",
        "",
        "{\"a\": \"\\u0001\"}",
    ];
    for case in cases {
        writeln!(out, "{:<30} {}", case.replace('\n', "\\n"), refused(Format::Json, case)).unwrap();
    }
    expect![[r#"
        {"a": 1,}                      -:1:9: error[syntax]: a comma with nothing after it
        {"a": {"b": 1, "b": 2}}        -:1:16: error[syntax]: the key 'b' is given twice
        {'a': 1}                       -:1:2: error[syntax]: key must be a string
        {"ž": 1 // c\n}                -:1:9: error[syntax]: expected `,` or `}`
        {"a": [[1]]}                   -:1:8: error[syntax]: a list within the list of 'a'
        [1]                            -:1:2: error[syntax]: an object is expected here
        null                           -:1:1: error[syntax]: the document is empty
                                       -:1:1: error[syntax]: EOF while parsing a value
        {"a": "\u0001"}                -:1:7: error[syntax]: a text with a control character
    "#]]
    .assert_eq(&out);
}

#[test]
fn json_becomes_the_same_tree() {
    check(
        Format::Json,
        "{ \"@ns\": \"http://midpoint.evolveum.com/xml/ns/public/common/common-3\",\n\t\"task\": { \"oid\": \"x\", \"name\": \"demo\",
  \"ownerRef\": { \"oid\": \"o\", \"type\": \"UserType\" },
  \"ri:uid\": [1, true, null, \"zwei\"], \"query\": { \"filter\": { \"text\": \"\\u017e\\/\\ud83d\\ude00\" } },
  \"xx:Name\": {}, \"value\": { \"@type\": \"xsd:string\", \"@id\": 7, \"@value\": \"v\" }, \"gone\": null, \"urn:x#y\": \"\" } }",
        expect![[r#"
            -:5:3: warning[undeclared-prefix]: the prefix 'xx' of 'xx:Name' is not declared here, so 'xx:Name' is taken as a name without namespace
            task oid="x" @2:2
              name "demo" @2:24
              ownerRef oid="o" type="UserType" @3:3
              ri:uid "1" @4:14
              ri:uid "true" @4:17
              ri:uid "zwei" @4:29
              query @4:38
                q:filter @4:49
                  q:text "ž/😀" @4:61
              xx:Name @5:3
              value xsi:type="http://www.w3.org/2001/XMLSchema#string" id="7" "v" @5:18
              urn:x#y @5:93
        "#]],
    );
}

#[test]
fn yaml_becomes_the_same_tree() {
    check(
        Format::Yaml,
        "---
'@context': { my: urn:my }
task:
  name: demo
  description: |
    two
    lines
  my:item: [1, 'a b']
  other: &a !<http://www.w3.org/2001/XMLSchema/int> 5
  again: *a
  bytes: !!binary Zm9v
  nothing: ~
---
objects:
  - user: { name: ann }
  - user: { name: bob }
---
- role: { name: r }
",
        expect![[r#"
            task @3:1
              name "demo" @4:3
              description "two\nlines\n" @5:3
              urn:my#item "1" @8:13
              urn:my#item "a b" @8:16
              other xsi:type="http://www.w3.org/2001/XMLSchema#int" "5" @9:3
              again xsi:type="http://www.w3.org/2001/XMLSchema#int" "5" @10:3
              bytes xsi:type="http://www.w3.org/2001/XMLSchema#base64Binary" "Zm9v" @11:3
            user @15:5
              name "ann" @15:13
            user @16:5
              name "bob" @16:13
            role @18:3
              name "r" @18:11
        "#]],
    );
}

#[test]
fn yaml_s_own_mistakes_have_places() {
    let mut out = String::new();
    for case in ["a: b: c", "a: *x", "? [a]\n: b", "a: 1\na: 2", "<<: {a: 1}", "a: \"unclosed", "", "---\n", "text", "\t- a"] {
        writeln!(out, "{:<20} {}", case.replace('\n', "\\n").replace('\t', "\\t"), refused(Format::Yaml, case)).unwrap();
    }
    expect![[r#"
        a: b: c              -:1:5: error[syntax]: mapping values are not allowed in this context
        a: *x                -:1:4: error[syntax]: while parsing node, found unknown anchor
        ? [a]\n: b           -:1:3: error[syntax]: a key that is itself a list or a map
        a: 1\na: 2           -:2:1: error[syntax]: the key 'a' is given twice
        <<: {a: 1}           -:1:1: error[syntax]: merged maps ('<<') are not supported
        a: "unclosed         -:1:4: error[syntax]: unclosed quote
                             -:1:1: error[syntax]: the document is empty
        ---\n                -:1:1: error[syntax]: the document is empty
        text                 -:1:1: error[syntax]: an object is expected here
        \t- a                -:1:4: error[syntax]: an object is expected here
    "#]]
    .assert_eq(&out);
}

#[test]
fn the_ending_or_the_content_tells_the_format() {
    assert_eq!(Format::of(Some("a/b.YML"), b"<a/>"), Format::Yaml);
    assert_eq!(Format::of(Some("task"), b" \n<a/>"), Format::Xml);
    assert_eq!(Format::of(None, b"{}"), Format::Json);
    assert_eq!(Format::of(None, b"task: {}"), Format::Yaml);
}

#[test]
fn a_list_of_objects_in_a_list_of_objects_is_a_part_of_it() {
    let text = "objects:\n  objects:\n  - task: {name: a}\n  - user: {name: b}\n";
    let document = read(text.as_bytes(), None, Format::Yaml).unwrap();
    assert_eq!(document.objects.iter().map(|object| object.local()).collect::<Vec<_>>(), ["task", "user"]);
}
