//! Distinguished names (RFC 4514): taken apart, and written in one spelling.
//!
//! What is only another spelling depends on the schema: attributes have several names, and the rule by which their values are equal
//! says whether case counts, and which spaces do. Of what the schema does not know, case does not count, and all else does.

use std::fmt::Write as _;

use crate::matching::Sameness;
use crate::subschema::{AttributeType, Subschema};

/// A distinguished name: its relative names, the entry's own first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dn(Vec<Rdn>);

/// A relative name: one pair of attribute and value, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rdn(Vec<(String, Vec<u8>)>);

/// What a name is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// To be read. Whoever compares two such texts without regard to case compares the names, where case counts nowhere.
    Shown,
    /// To identify an entry to those who compare without regard to case: capital letters that count are written as their bytes.
    Identifier,
    /// To be compared.
    Normal,
}

/// How deep names within names are taken apart. Beyond that, they are texts.
const DEPTH: usize = 4;

impl Dn {
    /// Reads a name in any of its spellings, that of RFC 2253 among them. None if the text is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { bytes: text.as_bytes(), at: 0 };
        parser.skip_spaces();
        let mut names = Vec::new();
        if parser.peek().is_none() {
            return Some(Self(names));
        }
        loop {
            let mut pairs = Vec::new();
            loop {
                pairs.push(parser.pair()?);
                match parser.next() {
                    Some(b'+') => {}
                    Some(b',' | b';') => break,
                    None => {
                        names.push(Rdn(pairs));
                        return Some(Self(names));
                    }
                    Some(_) => return None,
                }
            }
            names.push(Rdn(pairs));
        }
    }

    /// The entry's own relative name.
    pub(crate) fn rdn(&self) -> Option<&Rdn> {
        self.0.first()
    }

    /// The pairs of attribute and value that it is made of.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &(String, Vec<u8>)> {
        self.0.iter().flat_map(Rdn::pairs)
    }

    /// The name of the entry above.
    pub(crate) fn parent(&self) -> Option<Self> {
        self.0.split_first().map(|(_, above)| Self(above.to_vec()))
    }

    /// The name in the one spelling of RFC 4514 that we write.
    pub(crate) fn to_text(&self) -> String {
        self.0.iter().map(Rdn::to_text).collect::<Vec<_>>().join(",")
    }

    /// The form in which two names are compared.
    pub(crate) fn normal(&self, schema: &Subschema) -> String {
        self.spelled(schema, Spelling::Normal)
    }

    /// The name in the one spelling that there is for a purpose.
    pub(crate) fn spelled(&self, schema: &Subschema, spelling: Spelling) -> String {
        self.spelled_within(schema, spelling, DEPTH)
    }

    fn spelled_within(&self, schema: &Subschema, spelling: Spelling, depth: usize) -> String {
        let relative = |rdn: &Rdn| {
            let mut pairs: Vec<_> = rdn.0.iter().collect();
            if pairs.len() > 1 {
                pairs.sort_by_cached_key(|pair| pair_text(pair, schema, Spelling::Normal, depth));
            }
            pairs.into_iter().map(|pair| pair_text(pair, schema, spelling, depth)).collect::<Vec<_>>().join("+")
        };
        self.0.iter().map(relative).collect::<Vec<_>>().join(",")
    }

    /// Whether it is the other name, or below it.
    pub(crate) fn is_within(&self, other: &Self, schema: &Subschema) -> bool {
        let offset = self.0.len().checked_sub(other.0.len());
        offset.is_some_and(|offset| Self(self.0[offset..].to_vec()).normal(schema) == other.normal(schema))
    }
}

impl Rdn {
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            text.push_str(name);
            text.push('=');
            escape(value, false, &mut text);
        }
        text
    }

    /// The pairs of attribute and value.
    pub(crate) fn pairs(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }
}

/// A pair of attribute and value in one spelling.
fn pair_text((name, value): &(String, Vec<u8>), schema: &Subschema, spelling: Spelling, depth: usize) -> String {
    let known = schema.attribute_type(name);
    let called = known.map_or(name.as_str(), |known| known.name());
    let sameness = known.and_then(|known| known.equality);
    let mut value = tidy(value, sameness, schema, spelling, depth);
    if spelling == Spelling::Normal && is_case_ignored(sameness) {
        value = fold(&value);
    }
    let mut text = match spelling {
        Spelling::Normal => called.to_ascii_lowercase(),
        // The case of its letters is left to whoever has written it.
        _ if called.eq_ignore_ascii_case(name) => name.clone(),
        _ => called.to_owned(),
    };
    text.push('=');
    escape(&value, spelling == Spelling::Identifier && is_case_exact(sameness), &mut text);
    text
}

/// A value without what does not count in it but for case.
fn tidy(value: &[u8], sameness: Option<Sameness>, schema: &Subschema, spelling: Spelling, depth: usize) -> Vec<u8> {
    let (Some(sameness), Ok(text)) = (sameness, std::str::from_utf8(value)) else { return value.to_vec() };
    let without = |left_out: fn(char) -> bool| text.chars().filter(|c| !left_out(*c)).collect::<String>().into_bytes();
    match sameness {
        Sameness::IgnoreCase | Sameness::ExactCase | Sameness::List | Sameness::Identifier => one_space(text).into_bytes(),
        Sameness::Telephone => without(|c| c.is_whitespace() || c == '-'),
        Sameness::Numeric => without(char::is_whitespace),
        Sameness::Name if depth > 0 => match Dn::parse(text) {
            Some(name) => name.spelled_within(schema, spelling, depth - 1).into_bytes(),
            None => value.to_vec(),
        },
        _ => value.to_vec(),
    }
}

/// A text with single spaces, and none at its ends (RFC 4518, 2.6.1). One that has nothing else has one.
fn one_space(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() && !text.is_empty() { " ".to_owned() } else { words }
}

/// Whether case does not count. Where the schema knows no rule, it does not; within names, each part has its own rule.
const fn is_case_ignored(sameness: Option<Sameness>) -> bool {
    use Sameness::{Boolean, Identifier, IgnoreCase, List, NameWithUid, Telephone, Uuid};
    matches!(sameness, None | Some(IgnoreCase | List | Telephone | Identifier | Boolean | NameWithUid | Uuid))
}

/// Whether capital letters have to be told apart from small ones.
const fn is_case_exact(sameness: Option<Sameness>) -> bool {
    !is_case_ignored(sameness) && !matches!(sameness, Some(Sameness::Name))
}

/// A value in small letters, character by character, as names are compared everywhere.
fn fold(value: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(value) {
        Ok(text) => text.chars().flat_map(char::to_lowercase).collect::<String>().into_bytes(),
        Err(_) => value.to_vec(),
    }
}

/// Whether a name has letters of which the case counts, or may count.
pub(crate) fn has_case(text: &str, schema: &Subschema) -> bool {
    let counts = |(name, value): &(String, Vec<u8>)| {
        let sameness = schema.attribute_type(name).and_then(|known| known.equality);
        !is_case_ignored(sameness) && std::str::from_utf8(value).is_ok_and(|text| text.chars().any(char::is_alphabetic))
    };
    Dn::parse(text).is_some_and(|name| name.pairs().any(counts))
}

/// Brings a name into the one spelling that there is for a purpose. A text that is not a name, and one that has nothing to be spelled
/// differently, stays.
pub(crate) fn spelled(text: String, schema: &Subschema, spelling: Spelling) -> String {
    if spelling != Spelling::Normal && is_plain(&text, schema, spelling) {
        return text;
    }
    Dn::parse(&text).map_or(text, |name| name.spelled(schema, spelling))
}

/// Whether a name certainly has nothing to be spelled differently. Looks at most names of most servers for no longer than it takes.
fn is_plain(text: &str, schema: &Subschema, spelling: Spelling) -> bool {
    let bytes = text.as_bytes();
    let doubtful = |at: usize| match bytes[at] {
        b' ' => at == 0 || at + 1 == bytes.len() || is_separator(bytes[at - 1]) || is_separator(bytes[at + 1]),
        b'\\' | b'"' | b';' | b'#' | b'+' | b'<' | b'>' => true,
        byte => !byte.is_ascii_graphic(),
    };
    if (0..bytes.len()).any(doubtful) {
        return false;
    }
    let is_plain = |pair: &str| {
        let Some((name, value)) = pair.split_once('=') else { return false };
        let is_plain_of = |known: &AttributeType| {
            known.name().eq_ignore_ascii_case(name)
                && !matches!(known.equality, Some(Sameness::Telephone | Sameness::Numeric | Sameness::Name))
                && !(spelling == Spelling::Identifier && is_case_exact(known.equality))
        };
        // It may be preceded by "OID.".
        let is_number = name.contains('.');
        !value.contains('=') && !is_number && schema.attribute_type(name).is_none_or(is_plain_of)
    };
    text.is_empty() || text.split(',').all(is_plain)
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b'=' | b'+' | b';' | b' ')
}

/// Writes a value so that it can stand in a name; with its capital letters as their bytes, if that is asked for.
fn escape(value: &[u8], capitals: bool, text: &mut String) {
    let Ok(value) = std::str::from_utf8(value) else {
        for byte in value {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\{byte:02X}");
        }
        return;
    };
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let as_bytes = match c {
            // As its byte, since not everybody minds the backslash when spaces are taken away.
            ' ' => at == 0 || at == last,
            c => c.is_control() || (capitals && !c.to_lowercase().eq([c])),
        };
        match c {
            _ if as_bytes => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            '#' if at == 0 => text.push_str("\\#"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => {
                text.push('\\');
                text.push(c);
            }
            c => text.push(c),
        }
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    fn pair(&mut self) -> Option<(String, Vec<u8>)> {
        self.skip_spaces();
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b';')) {
            self.at += 1;
        }
        let name = std::str::from_utf8(self.bytes.get(start..self.at)?).ok()?;
        let name = name.strip_prefix("OID.").or_else(|| name.strip_prefix("oid.")).unwrap_or(name);
        if name.is_empty() {
            return None;
        }
        let name = name.to_owned();
        self.skip_spaces();
        if self.next()? != b'=' {
            return None;
        }
        self.skip_spaces();
        let value = match self.peek() {
            Some(b'#') => self.hexadecimal()?,
            Some(b'"') => self.quoted()?,
            _ => self.plain()?,
        };
        self.skip_spaces();
        Some((name, value))
    }

    /// The BER form; what it says is kept as it is.
    fn hexadecimal(&mut self) -> Option<Vec<u8>> {
        self.at += 1;
        let mut ber = Vec::new();
        while self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
            ber.push(self.hex_pair()?);
        }
        let (_, content) = crate::ber::Reader::new(&ber).element().ok()?;
        Some(content.to_vec())
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.at += 1;
        let mut value = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some(value),
                b'\\' => value.push(self.escaped()?),
                byte => value.push(byte),
            }
        }
    }

    fn plain(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        // Spaces at the end do not count, unless they are escaped.
        let mut kept = 0;
        loop {
            match self.peek() {
                None | Some(b',' | b'+' | b';') => {
                    value.truncate(kept);
                    return Some(value);
                }
                Some(b'"' | b'<' | b'>') => return None,
                Some(b'\\') => {
                    self.at += 1;
                    value.push(self.escaped()?);
                    kept = value.len();
                }
                Some(byte) => {
                    self.at += 1;
                    value.push(byte);
                    if byte != b' ' {
                        kept = value.len();
                    }
                }
            }
        }
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) -> Option<u8> {
        match self.peek()? {
            byte if byte.is_ascii_hexdigit() => self.hex_pair(),
            byte @ (b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\') => {
                self.at += 1;
                Some(byte)
            }
            _ => None,
        }
    }

    fn hex_pair(&mut self) -> Option<u8> {
        let mut digit = || char::from(self.next()?).to_digit(16);
        // Two digits fit into a byte.
        Some((digit()? * 16 + digit()?) as u8)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use tidelock_model::object::MatchingRule;

    use super::*;
    use crate::subschema::Descriptions;

    /// A schema with an attribute of each kind, all but one with a second name.
    fn schema() -> Subschema {
        let types = [
            "( 2.5.4.41 NAME 'name' EQUALITY caseIgnoreMatch )",
            "( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )",
            "( 1.1 NAME ( 'badge' 'tag' ) EQUALITY caseExactMatch )",
            "( 1.2 NAME ( 'phone' 'tel' ) EQUALITY telephoneNumberMatch )",
            "( 1.3 NAME ( 'digits' 'number' ) EQUALITY numericStringMatch )",
            "( 1.4 NAME ( 'boss' 'superior' ) EQUALITY distinguishedNameMatch )",
            "( 1.5 NAME ( 'bytes' 'octets' ) EQUALITY octetStringMatch )",
            "( 1.6 NAME ( 'odd' 'strange' ) EQUALITY strangeMatch )",
        ];
        let attribute_types = types.iter().map(|text| text.as_bytes()).collect();
        Subschema::new(&Descriptions { attribute_types, ..Descriptions::default() })
    }

    /// An attribute by each of its names, and what may be done to a value of it without making it another one.
    const ATTRIBUTES: [(&[&str], Freedom); 6] = [
        (&["cn", "CN", "commonName", "2.5.4.3", "OID.2.5.4.3"], Freedom { case: true, more_spaces: true, anywhere: "" }),
        (&["badge", "Tag", "1.1"], Freedom { case: false, more_spaces: true, anywhere: "" }),
        (&["phone", "tel", "1.2"], Freedom { case: true, more_spaces: true, anywhere: " -" }),
        (&["digits", "NUMBER", "1.3"], Freedom { case: false, more_spaces: true, anywhere: " " }),
        (&["bytes", "octets", "1.5"], Freedom { case: false, more_spaces: false, anywhere: "" }),
        (&["unknown", "UNKNOWN"], Freedom { case: true, more_spaces: false, anywhere: "" }),
    ];

    #[derive(Clone, Copy, Debug)]
    struct Freedom {
        case: bool,
        more_spaces: bool,
        anywhere: &'static str,
    }

    /// A pair of attribute and value, by the attribute's place above. Values have no more spaces than count.
    type Meant = Vec<Vec<(usize, String)>>;

    fn meant() -> impl Strategy<Value = Meant> {
        let value = prop_oneof!["[a-cA-C1-3é,+=\\\\#\"<>;]{1,4}", "[aB]{1,2} [,=a1]{1,2}"];
        let pair = (0..ATTRIBUTES.len(), value).prop_map(|(at, value)| {
            let free = ATTRIBUTES[at].1.anywhere;
            let value: String = value.chars().filter(|c| !free.contains(*c)).collect();
            (at, if value.is_empty() { "x".to_owned() } else { value })
        });
        proptest::collection::vec(proptest::collection::vec(pair, 1..3), 0..4)
    }

    /// What a name means, in a form that shares nothing with how names are spelled here.
    fn meaning(meant: &Meant) -> Vec<Vec<(usize, String)>> {
        let value = |at: usize, value: &str| match ATTRIBUTES[at].1.case {
            true => value.chars().flat_map(char::to_lowercase).collect(),
            false => value.to_owned(),
        };
        let mut meaning: Vec<Vec<_>> =
            meant.iter().map(|rdn| rdn.iter().map(|(at, text)| (*at, value(*at, text))).collect()).collect();
        meaning.iter_mut().for_each(|rdn: &mut Vec<(usize, String)>| rdn.sort());
        meaning
    }

    /// Choices that look random, and are the same for the same bytes.
    struct Choices<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

    impl Choices<'_> {
        fn of(&mut self, number: usize) -> usize {
            usize::from(*self.0.next().unwrap()) % number
        }
    }

    /// A name in one of its many spellings.
    fn written(meant: &Meant, choices: &[u8]) -> String {
        let mut choices = Choices(choices.iter().cycle());
        let mut text = String::new();
        for (index, rdn) in meant.iter().enumerate() {
            text.push_str(["", ",", " , ", ";"][if index == 0 { 0 } else { 1 + choices.of(3) }]);
            let backwards = choices.of(2) == 1;
            let pairs: Vec<_> = if backwards { rdn.iter().rev().collect() } else { rdn.iter().collect() };
            for (index, (at, value)) in pairs.into_iter().enumerate() {
                let (names, freedom) = ATTRIBUTES[*at];
                text.push_str(["", "+", " + "][if index == 0 { 0 } else { 1 + choices.of(2) }]);
                text.push_str(names[choices.of(names.len())]);
                text.push_str(["=", " = "][choices.of(2)]);
                write_value(value, freedom, &mut choices, &mut text);
            }
        }
        text
    }

    fn write_value(value: &str, freedom: Freedom, choices: &mut Choices<'_>, text: &mut String) {
        let mut varied = String::new();
        for c in value.chars() {
            if !freedom.anywhere.is_empty() && choices.of(3) == 0 {
                varied.extend(freedom.anywhere.chars().nth(choices.of(freedom.anywhere.len())));
            }
            match c {
                ' ' if freedom.more_spaces => varied.push_str([" ", "  ", "\t "][choices.of(3)]),
                c if freedom.case && choices.of(2) == 0 => varied.extend(c.to_uppercase()),
                c => varied.push(c),
            }
        }
        if freedom.more_spaces && choices.of(4) == 0 {
            varied = format!("\u{1}{varied}\u{1}");
        }
        match choices.of(4) {
            0 => {
                let bytes = varied.replace('\u{1}', " ").into_bytes();
                text.push('#');
                let mut writer = crate::ber::Writer::new();
                writer.octets(&bytes);
                writer.into_bytes().iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
            }
            1 => varied.replace('\u{1}', " ").bytes().for_each(|byte| text.push_str(&format!("\\{byte:02X}"))),
            2 => {
                let quoted = varied.replace('\u{1}', " ").replace('\\', "\\\\").replace('"', "\\\"");
                text.push_str(&format!("\"{quoted}\""));
            }
            _ => {
                let mut buffer = String::new();
                escape(varied.replace('\u{1}', " ").as_bytes(), false, &mut buffer);
                text.push_str(&buffer);
            }
        }
    }

    proptest! {
        #[test]
        fn names_are_the_same_if_they_mean_the_same(
            (a, b) in (meant(), meant(), any::<bool>()).prop_map(|(a, b, same)| if same { (a.clone(), a) } else { (a, b) }),
            one in proptest::collection::vec(any::<u8>(), 1..40),
            other in proptest::collection::vec(any::<u8>(), 1..40),
        ) {
            let schema = schema();
            let same = meaning(&a) == meaning(&b);
            let (a, b) = (written(&a, &one), written(&b, &other));
            let parse = |text: &str| Dn::parse(text).unwrap_or_else(|| panic!("{text} is no name"));
            prop_assert_eq!(parse(&a).normal(&schema) == parse(&b).normal(&schema), same, "{} {}", a, b);
            prop_assert_eq!(parse(&a).is_within(&parse(&b), &schema) && parse(&b).is_within(&parse(&a), &schema), same);
            // Whoever compares identifiers without regard to case sees the same.
            let identifier = |text: &str| {
                let spelled = spelled(text.to_owned(), &schema, Spelling::Identifier);
                MatchingRule::DistinguishedName.normalize(&spelled).into_owned()
            };
            prop_assert_eq!(identifier(&a) == identifier(&b), same, "{} {}", a, b);
        }

        #[test]
        fn a_spelling_is_its_own_and_means_the_same(meant in meant(), choices in proptest::collection::vec(any::<u8>(), 1..40)) {
            let schema = schema();
            let text = written(&meant, &choices);
            for spelling in [Spelling::Shown, Spelling::Identifier, Spelling::Normal] {
                let once = spelled(text.clone(), &schema, spelling);
                prop_assert_eq!(spelled(once.clone(), &schema, spelling), once.clone());
                // The short way leads to where the long one does.
                prop_assert_eq!(Dn::parse(&once).unwrap().spelled(&schema, spelling), once.clone());
                prop_assert_eq!(Dn::parse(&once).unwrap().normal(&schema), Dn::parse(&text).unwrap().normal(&schema));
            }
            // What the engine keeps in small letters names the same entry.
            let kept = spelled(text.clone(), &schema, Spelling::Identifier);
            let kept = MatchingRule::DistinguishedName.normalize(&kept).into_owned();
            prop_assert_eq!(Dn::parse(&kept).unwrap().normal(&schema), Dn::parse(&text).unwrap().normal(&schema));
        }

        #[test]
        fn any_value_comes_back_from_its_name(values in proptest::collection::vec("[ #\"+,;<>\\\\=a-cé\\x00\\n]{1,6}", 1..4)) {
            let name = Dn(values.iter().map(|value| Rdn(vec![("x".to_owned(), value.clone().into_bytes())])).collect());
            prop_assert_eq!(Dn::parse(&name.to_text()), Some(name.clone()));
            prop_assert_eq!(spelled(name.to_text(), &schema(), Spelling::Shown), name.to_text());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "((boss|cn|2.5.4.3|phone)=)?[ #\"+,;<>\\\\=a-f0-9é]{0,24}") {
            for spelling in [Spelling::Shown, Spelling::Identifier, Spelling::Normal] {
                let once = spelled(text.clone(), &schema(), spelling);
                prop_assert_eq!(spelled(once.clone(), &schema(), spelling), once);
            }
        }
    }

    #[test]
    fn one_name_has_many_spellings() {
        let schema = schema();
        let shown = |text: &str| spelled(text.to_owned(), &schema, Spelling::Shown);
        assert_eq!(shown("cn=Smith\\, Ann , ou=a"), "cn=Smith\\, Ann,ou=a");
        assert_eq!(shown("cn=Smith\\2C Ann;ou=a"), "cn=Smith\\, Ann,ou=a");
        assert_eq!(shown("cn=\"Smith, Ann\",ou=a"), "cn=Smith\\, Ann,ou=a");
        assert_eq!(shown("cn=#0403416e6e,ou=a"), "cn=Ann,ou=a");
        assert_eq!(shown("cn=\\C3\\A9"), "cn=é");
        assert_eq!(shown("no name \\"), "no name \\");
        assert_eq!(shown("CN=Ann  Lee,commonName=X,2.5.4.3= y ,tag=A  b"), "CN=Ann Lee,cn=X,cn=y,badge=A b");
        assert_eq!(shown("cn=A+tag=B"), "badge=B+cn=A");
        assert_eq!(shown("tel=\\+1 23-4,number=1 2"), "phone=\\+1234,digits=12");
        assert_eq!(shown("boss=CommonName\\=x\\,2.5.4.3\\=Y  z"), "boss=cn\\=x\\,cn\\=Y z");
        let identifier = |text: &str| spelled(text.to_owned(), &schema, Spelling::Identifier);
        assert_eq!(identifier("tag=Ab C,cn=Ab"), "badge=\\41b \\43,cn=Ab");
        let nothing = Subschema::default();
        let normal = |text: &str| Dn::parse(text).unwrap().normal(&nothing);
        assert_eq!(normal("B=2 +A=1"), normal("a=1+b=2"));
        assert_ne!(normal("cn=a  b"), normal("cn=a b"));
    }

    #[test]
    fn names_within_names_have_an_end() {
        let deep = "boss=".repeat(100_000);
        assert!(spelled(deep.clone(), &schema(), Spelling::Normal).len() > deep.len());
    }

    #[test]
    fn what_is_above_is_found_by_parts() {
        let schema = schema();
        let name = |text| Dn::parse(text).unwrap();
        assert_eq!(name("cn=a\\,b,ou=c,dc=d").parent(), Some(name("ou=c,dc=d")));
        assert!(name("cn=a,OU=C,dc=d").is_within(&name("ou=c, dc=D"), &schema));
        assert!(name("cn=a,commonName=C,dc=d").is_within(&name("2.5.4.3=c,dc=d"), &schema));
        assert!(!name("cn=a,tag=C,dc=d").is_within(&name("badge=c,dc=d"), &schema));
        assert!(!name("cn=a,ou=cc,dc=d").is_within(&name("ou=c,dc=d"), &schema));
        assert!(!name("dc=d").is_within(&name("ou=c,dc=d"), &schema));
    }
}
