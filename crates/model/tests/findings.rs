//! Inputs that fuzzing has found: each was once read as something else after it had been written.

use tidelock_model::Diagnostic;
use tidelock_model::definition::{Definition, read_file, write};
use tidelock_model::document::{Format, Node};

/// The objects as trees in which items of different names have one order: formats with keys keep no other.
fn trees(definitions: &[Definition]) -> Vec<Node> {
    fn sort(node: &mut Node) {
        node.children.iter_mut().for_each(sort);
        node.children.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let mut nodes: Vec<Node> = definitions.iter().map(Definition::to_node).collect();
    nodes.iter_mut().for_each(sort);
    nodes
}

fn survives(format: Format, text: &str) {
    let (definitions, found) = read_file(text.as_bytes(), None, format);
    assert!(!definitions.is_empty() && !found.iter().any(Diagnostic::is_error), "{text}: {found:?}");
    for format in [Format::Xml, Format::Yaml, Format::Json] {
        let written = write(&definitions, format);
        let (again, found) = read_file(written.as_bytes(), None, format);
        assert!(!found.iter().any(Diagnostic::is_error), "{text} as {format:?}: {found:?}\n{written}");
        assert!(trees(&again) == trees(&definitions), "{text} as {format:?}:\n{written}\n{again:?}");
    }
}

#[test]
fn keys_that_are_no_names_in_xml_come_back_from_it() {
    survives(Format::Json, r#"{"task": {"name": "T", "{ema": 1, "~": {"a b": 2, "1": 3}}}"#);
    survives(Format::Yaml, "task:\n  _x0041_: plain\n  __x0020_: 1\n  _: 2\n");
    survives(Format::Xml, "<task><_x0041_>A</_x0041_><a_x0020_/><_x0023_/><_x0000_/></task>");
}

#[test]
fn keys_with_slashes_and_colons_keep_their_namespace() {
    survives(Format::Yaml, "task:\n  a/b: 1\n  query: { 'x/y': 1, 'zz:u': 2 }\n");
    survives(Format::Json, r##"{"task": {"#a": 1, "urn:x# b": 2, "c: d": 3, "urn:x##e": 4}}"##);
}

#[test]
fn a_namespace_may_begin_like_a_meta_key() {
    survives(Format::Xml, "<task xmlns:a='@type'><a:b>1</a:b><a:ns c='d'/></task>");
}

#[test]
fn a_prefix_that_means_nothing_in_json_is_none_in_xml() {
    survives(
        Format::Json,
        r#"{"task": {"activity": {"work": {"import": {"resourceObjects": {"objectclass": "res:Account"}}}}}}"#,
    );
    survives(Format::Json, r#"{"task": {"extension": {"@type": "zz:T", "x": {"@type": "c:a/b", "@value": 1}}}}"#);
    survives(Format::Json, r#"{"task": {"objectRef": {"oid": "1", "type": "zz:T", "relation": "zz:r"}}}"#);
}

#[test]
fn a_name_may_go_on_with_anything_behind_its_prefix() {
    survives(Format::Json, r#"{"resource": {"schemaHandling": {"objectType": {"delineation": {"objectClass": "ri:@x y"}}}}}"#);
}

#[test]
fn namespaces_are_taken_to_the_letter() {
    survives(Format::Json, r#"{"task": {"x": {"@ns": " urn:x ", "y": 1}}}"#);
    survives(Format::Xml, "<task xmlns:a=' urn:x '><a:b/></task>");
}

#[test]
fn attributes_of_xml_itself_stay_there() {
    survives(Format::Xml, "<task xml:lang='en'><name xml:space='preserve'> x </name></task>");
}

#[test]
fn keys_without_a_name_are_refused() {
    for text in [r##"{"#": {}}"##, r#"{"task": {"": 1}}"#, r##"{"task": {"urn:x#": 1}}"##] {
        let (_, found) = read_file(text.as_bytes(), None, Format::Json);
        assert_eq!(found.iter().filter(|d| d.is_error()).map(|d| d.code).collect::<Vec<_>>(), ["syntax"], "{text}");
    }
}

#[test]
fn a_message_stays_readable_however_long_a_name_is() {
    use tidelock_model::{Diagnostic, Place};
    let long = "ñ".repeat(1_000_000);
    let diagnostic = Diagnostic::error("bad-value", &Place::default(), format!("'{long}' is long")).with_help(long);
    assert!(diagnostic.message.len() < 1100 && diagnostic.message.ends_with("ñ' is long"));
    assert!(diagnostic.help.is_some_and(|help| help.len() < 110_000));
}
