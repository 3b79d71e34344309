//! The XML reader against a strict parser that shares no code with it.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tidelock_model::document::{Format, Node, read};
use tidelock_model::name::ns;

/// Whether both accept the document; if they do, the trees are the same.
fn agree(text: &str) -> Result<(), TestCaseError> {
    let ours = read(text.as_bytes(), None, Format::Xml);
    let theirs = roxmltree::Document::parse(text);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            let root = &ours.objects;
            let expected = theirs.root_element();
            if expected.tag_name().name() == "objects" && expected.tag_name().namespace().is_none_or(|n| n == ns::COMMON) {
                let children: Vec<_> = expected.children().filter(roxmltree::Node::is_element).collect();
                prop_assert_eq!(root.len(), children.len());
                for (a, b) in root.iter().zip(children) {
                    same(theirs, a, b)?;
                }
                return Ok(());
            }
            same(theirs, &root[0], expected)
        }
        (Err(_), Err(_)) => Ok(()),
        (Err(found), Ok(_)) if oracle_is_lax(&found[0].message) => Ok(()),
        (Err(found), Ok(_)) => Err(TestCaseError::fail(format!("we alone refuse {text:?}: {}", found[0]))),
        (Ok(_), Err(error)) => Err(TestCaseError::fail(format!("we alone accept {text:?}: {error}"))),
    }
}

/// What XML forbids and the oracle lets pass.
fn oracle_is_lax(message: &str) -> bool {
    ["processing instruction with a name", "is no character", "cannot be declared", "is not supported", "':"]
        .iter()
        .any(|part| message.contains(part))
}

fn same(document: &roxmltree::Document<'_>, ours: &Node, theirs: roxmltree::Node<'_, '_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(ours.local(), theirs.tag_name().name());
    prop_assert_eq!(
        ours.name.namespace().unwrap(),
        theirs.tag_name().namespace().filter(|n| !n.is_empty()).unwrap_or(ns::COMMON)
    );
    let place = document.text_pos_at(theirs.range().start);
    prop_assert_eq!((ours.place.line, ours.place.column), (place.row, place.col));
    let attributes: Vec<_> = theirs.attributes().collect();
    prop_assert_eq!(ours.attributes.len(), attributes.len());
    for attribute in attributes {
        let found =
            ours.attributes.iter().find(|a| a.name.local() == attribute.name() && a.name.namespace() == attribute.namespace());
        prop_assert_eq!(found.map(|a| &*a.value), Some(attribute.value()));
    }
    let children: Vec<_> = theirs.children().filter(roxmltree::Node::is_element).collect();
    let text: String = theirs.children().filter(roxmltree::Node::is_text).filter_map(|n| n.text()).collect();
    if children.is_empty() || !text.trim().is_empty() {
        prop_assert_eq!(ours.text(), &text);
    }
    prop_assert_eq!(ours.children.len(), children.len());
    for (a, b) in ours.children.iter().zip(children) {
        same(document, a, b)?;
    }
    Ok(())
}

#[test]
fn both_agree_on_chosen_documents() {
    let texts = [
        "<a/>",
        "<a xmlns='urn:a'><b xmlns=''/><c/></a>",
        "<p:a xmlns:p='urn:a' p:x='1' x='2'/>",
        "<a xml:lang='en'/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xml='urn:x'/>",
        "<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a>\r\nx\ry</a>",
        "<a b='\r\n\t'/>",
        "<a b='&#13;&#10;&lt;'/>",
        "<a>&lt;&#x41;&#65;&quot;</a>",
        "<a>]]&gt;</a>",
        "<a>x > y</a>",
        "<a><![CDATA[]]]]><![CDATA[>]]></a>",
        "<!-- c --><a/><!-- d --><?pi x?>",
        "<?xml version='1.0' encoding='UTF-8' standalone='yes'?><a/>",
        "<?xml version='1.0' standalone='maybe'?><a/>",
        "<?xml version='2.0'?><a/>",
        " <?xml version='1.0'?><a/>",
        "<?XML version='1.0'?><a/>",
        "<a><?xml version='1.0'?></a>",
        "<a ></a >",
        "<a></ a>",
        "< a/>",
        "<a / >",
        "<a/ >",
        "<a b = 'c'\n/>",
        "<a 'b'/>",
        "<a b='x\"y' c=\"x'y\"/>",
        "<a b=''' />",
        "<ž ů='ň'/>",
        "<a-b._1/>",
        "<-a/>",
        "<a:/>",
        "<:a/>",
        "<a><b></a></b>",
        "<a>&amp</a>",
        "<a>& </a>",
        "<a>&#xD800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#;</a>",
        "<a>\u{FFFE}</a>",
        "<a>\u{7F}\u{85}</a>",
        "<a><!-- x --- y --></a>",
        "<a><!-- x ---></a>",
        "<a><!></a>",
        "<a><!FOO></a>",
        "<![CDATA[x]]><a/>",
        "&amp;<a/>",
        "<a/>&#32;",
        "<a/>\0",
    ];
    let disagreements: Vec<_> = texts.into_iter().filter_map(|text| agree(text).err()).map(|e| e.to_string()).collect();
    assert!(disagreements.is_empty(), "{disagreements:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_agree_on_documents_put_together_of_pieces(pieces in proptest::collection::vec(piece(), 0..12)) {
        agree(&format!("<r xmlns:p='urn:p'>{}</r>", pieces.concat()))?;
        agree(&pieces.concat())?;
    }

    #[test]
    fn both_agree_on_documents_with_one_change(pieces in proptest::collection::vec(piece(), 1..6), at: prop::sample::Index, by in "[<>&'\"=:/! a\\]\\-#;?\\[\u{1}é]") {
        let mut text: Vec<char> = format!("<r xmlns:p='urn:p'>{}</r>", pieces.concat()).chars().collect();
        let at = at.index(text.len());
        text.splice(at..=at, by.chars());
        agree(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn nothing_makes_a_reader_panic(text in "\\PC{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for format in [Format::Xml, Format::Yaml, Format::Json] {
            _ = read(text.as_bytes(), None, format);
            _ = read(&bytes, None, format);
        }
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("<a>".to_owned()),
        Just("</a>".to_owned()),
        Just("<b/>".to_owned()),
        Just("<p:c x='1' p:x=\"2\"/>".to_owned()),
        Just("<d xmlns='urn:d' xmlns:p='urn:e'><p:e/><f/></d>".to_owned()),
        Just("&lt;".to_owned()),
        Just("&#x17E;".to_owned()),
        Just("<![CDATA[ <x> ]]>".to_owned()),
        Just("<!-- note -->".to_owned()),
        Just("<?go on?>".to_owned()),
        Just("\r\n".to_owned()),
        "[ a-zé>'\"]{0,6}",
        "[<&\\]]{1,3}",
    ]
}
