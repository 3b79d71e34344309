//! LDAP filters: as trees, as bytes (RFC 4511, 4.5.1.7) and as text (RFC 4515).

use std::fmt;

use crate::ber::{Writer, tag};

/// How deeply a filter that is read from text may be nested.
const MAX_DEPTH: usize = 64;

/// An LDAP filter. Values are bytes: whatever an attribute can hold can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Equal(String, Vec<u8>),
    GreaterOrEqual(String, Vec<u8>),
    LessOrEqual(String, Vec<u8>),
    Approximately(String, Vec<u8>),
    Present(String),
    Substring { attribute: String, initial: Option<Vec<u8>>, any: Vec<Vec<u8>>, last: Option<Vec<u8>> },
    Extensible { rule: Option<String>, attribute: Option<String>, value: Vec<u8>, dn: bool },
}

/// A text that is no filter: what is wrong, and at which character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotAFilter {
    pub(crate) message: &'static str,
    pub(crate) at: usize,
}

impl Filter {
    /// The filter that every entry meets.
    pub(crate) fn anything() -> Self {
        Self::Present("objectClass".to_owned())
    }

    pub(crate) fn equal(attribute: &str, value: impl Into<Vec<u8>>) -> Self {
        Self::Equal(attribute.to_owned(), value.into())
    }

    /// Both at once, without needless nesting.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::And(mut parts), Self::And(more)) => {
                parts.extend(more);
                Self::And(parts)
            }
            (Self::And(mut parts), part) => {
                parts.push(part);
                Self::And(parts)
            }
            (part, Self::And(mut parts)) => {
                parts.insert(0, part);
                Self::And(parts)
            }
            (a, b) => Self::And(vec![a, b]),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        let pair = |writer: &mut Writer, number, attribute: &String, value: &Vec<u8>| {
            writer.within(tag::constructed(number), |assertion| {
                assertion.octets(attribute);
                assertion.octets(value);
            });
        };
        let list = |writer: &mut Writer, number, parts: &[Self]| {
            writer.within(tag::constructed(number), |set| parts.iter().for_each(|part| part.write(set)));
        };
        match self {
            Self::And(parts) => list(writer, 0, parts),
            Self::Or(parts) => list(writer, 1, parts),
            Self::Not(part) => writer.within(tag::constructed(2), |not| part.write(not)),
            Self::Equal(attribute, value) => pair(writer, 3, attribute, value),
            Self::Substring { attribute, initial, any, last } => writer.within(tag::constructed(4), |substring| {
                substring.octets(attribute);
                substring.sequence(|pieces| {
                    initial.iter().for_each(|piece| pieces.primitive(tag::context(0), piece));
                    any.iter().for_each(|piece| pieces.primitive(tag::context(1), piece));
                    last.iter().for_each(|piece| pieces.primitive(tag::context(2), piece));
                });
            }),
            Self::GreaterOrEqual(attribute, value) => pair(writer, 5, attribute, value),
            Self::LessOrEqual(attribute, value) => pair(writer, 6, attribute, value),
            Self::Present(attribute) => writer.primitive(tag::context(7), attribute.as_bytes()),
            Self::Approximately(attribute, value) => pair(writer, 8, attribute, value),
            Self::Extensible { rule, attribute, value, dn } => writer.within(tag::constructed(9), |assertion| {
                rule.iter().for_each(|rule| assertion.primitive(tag::context(1), rule.as_bytes()));
                attribute.iter().for_each(|attribute| assertion.primitive(tag::context(2), attribute.as_bytes()));
                assertion.primitive(tag::context(3), value);
                if *dn {
                    assertion.primitive(tag::context(4), &[0xff]);
                }
            }),
        }
    }

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Result<Self, NotAFilter> {
        let text = text.trim();
        let mut parser = Parser { text, at: 0 };
        let filter = if text.starts_with('(') { parser.filter(0)? } else { parser.item(text.len())? };
        if parser.at < text.len() { Err(parser.wrong("nothing may come after the filter")) } else { Ok(filter) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn wrong(&self, message: &'static str) -> NotAFilter {
        NotAFilter { message, at: self.text.get(..self.at).map_or(0, |before| before.chars().count()) + 1 }
    }

    fn next_is(&self, byte: u8) -> bool {
        self.text.as_bytes().get(self.at) == Some(&byte)
    }

    fn take(&mut self, byte: u8, otherwise: &'static str) -> Result<(), NotAFilter> {
        if !self.next_is(byte) {
            return Err(self.wrong(otherwise));
        }
        self.at += 1;
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, NotAFilter> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("the filter is nested too deeply"));
        }
        self.take(b'(', "a '(' is missing")?;
        let filter = match self.text.as_bytes().get(self.at) {
            Some(b'&') => Filter::And(self.list(depth)?),
            Some(b'|') => Filter::Or(self.list(depth)?),
            Some(b'!') => {
                self.at += 1;
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => {
                let end = self.text[self.at..].find(')').map_or(self.text.len(), |end| self.at + end);
                self.item(end)?
            }
        };
        self.take(b')', "this '(' is never closed")?;
        Ok(filter)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Filter>, NotAFilter> {
        self.at += 1;
        let mut parts = Vec::new();
        while self.next_is(b'(') {
            parts.push(self.filter(depth + 1)?);
        }
        Ok(parts)
    }

    /// `attribute=value` and its kin, up to `end`.
    fn item(&mut self, end: usize) -> Result<Filter, NotAFilter> {
        let text = &self.text[self.at..end];
        let Some((name, value)) = text.split_once('=') else { return Err(self.wrong("a '=' is missing")) };
        let value_at = self.at + name.len() + 1;
        let (name, kind) = match name.as_bytes().last() {
            Some(kind @ (b'>' | b'<' | b'~' | b':')) => (&name[..name.len() - 1], Some(*kind)),
            _ => (name, None),
        };
        if kind != Some(b':') && !is_description(name) {
            return Err(self.wrong("this is not the name of an attribute"));
        }
        let attribute = name.to_owned();
        let filter = match kind {
            Some(b':') => self.extensible(name, value, value_at)?,
            Some(b'>') => Filter::GreaterOrEqual(attribute, self.value(value, value_at)?),
            Some(b'<') => Filter::LessOrEqual(attribute, self.value(value, value_at)?),
            Some(_) => Filter::Approximately(attribute, self.value(value, value_at)?),
            None if value == "*" => Filter::Present(attribute),
            None if value.contains('*') => self.substring(attribute, value, value_at)?,
            None => Filter::Equal(attribute, self.value(value, value_at)?),
        };
        self.at = end;
        Ok(filter)
    }

    fn substring(&mut self, attribute: String, value: &str, value_at: usize) -> Result<Filter, NotAFilter> {
        let mut pieces = Vec::new();
        let mut at = value_at;
        for piece in value.split('*') {
            pieces.push(self.value(piece, at)?);
            at += piece.len() + 1;
        }
        let some = |piece: Vec<u8>| (!piece.is_empty()).then_some(piece);
        let last = pieces.pop().and_then(some);
        let mut pieces = pieces.into_iter();
        let initial = pieces.next().and_then(some);
        let any: Vec<_> = pieces.filter(|piece| !piece.is_empty()).collect();
        if initial.is_none() && any.is_empty() && last.is_none() {
            return Ok(Filter::Present(attribute));
        }
        Ok(Filter::Substring { attribute, initial, any, last })
    }

    fn extensible(&mut self, name: &str, value: &str, value_at: usize) -> Result<Filter, NotAFilter> {
        let mut parts = name.split(':');
        let attribute = parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        let mut rule = parts.next();
        let dn = rule.is_some_and(|part| part.eq_ignore_ascii_case("dn"));
        if dn {
            rule = parts.next();
        }
        let legal = |name: &str| is_description(name);
        if parts.next().is_some()
            || !attribute.as_deref().is_none_or(legal)
            || !rule.is_none_or(legal)
            || (attribute.is_none() && rule.is_none())
        {
            return Err(self.wrong("this is not an attribute with a matching rule"));
        }
        Ok(Filter::Extensible { rule: rule.map(str::to_owned), attribute, value: self.value(value, value_at)?, dn })
    }

    /// A value, its `\xx` resolved.
    fn value(&mut self, text: &str, at: usize) -> Result<Vec<u8>, NotAFilter> {
        let bytes = text.as_bytes();
        let mut value = Vec::with_capacity(bytes.len());
        let mut index = 0;
        while let Some(byte) = bytes.get(index) {
            match byte {
                b'\\' => {
                    let digit = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
                    let (Some(high), Some(low)) = (digit(index + 1), digit(index + 2)) else {
                        self.at = at + index;
                        return Err(self.wrong("two hexadecimal digits must follow a backslash"));
                    };
                    // Two digits fit into a byte.
                    value.push((high * 16 + low) as u8);
                    index += 3;
                }
                b'(' | b'*' | 0 => {
                    self.at = at + index;
                    return Err(self.wrong("this character must be written as a backslash and two hexadecimal digits"));
                }
                byte => {
                    value.push(*byte);
                    index += 1;
                }
            }
        }
        Ok(value)
    }
}

/// Whether a text has the form of an attribute description: a name or number, with options.
fn is_description(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b';' | b'_'))
}

/// The text form.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, sign, parts: &[Self]| {
            write!(f, "({sign}")?;
            parts.iter().try_for_each(|part| part.fmt(f))?;
            f.write_str(")")
        };
        match self {
            Self::And(parts) => list(f, '&', parts),
            Self::Or(parts) => list(f, '|', parts),
            Self::Not(part) => write!(f, "(!{part})"),
            Self::Equal(attribute, value) => write!(f, "({attribute}={})", Escaped(value)),
            Self::GreaterOrEqual(attribute, value) => write!(f, "({attribute}>={})", Escaped(value)),
            Self::LessOrEqual(attribute, value) => write!(f, "({attribute}<={})", Escaped(value)),
            Self::Approximately(attribute, value) => write!(f, "({attribute}~={})", Escaped(value)),
            Self::Present(attribute) => write!(f, "({attribute}=*)"),
            Self::Substring { attribute, initial, any, last } => {
                write!(f, "({attribute}={}*", Escaped(initial.as_deref().unwrap_or_default()))?;
                any.iter().try_for_each(|piece| write!(f, "{}*", Escaped(piece)))?;
                write!(f, "{})", Escaped(last.as_deref().unwrap_or_default()))
            }
            Self::Extensible { rule, attribute, value, dn } => {
                write!(f, "({}", attribute.as_deref().unwrap_or_default())?;
                if *dn {
                    f.write_str(":dn")?;
                }
                if let Some(rule) = rule {
                    write!(f, ":{rule}")?;
                }
                write!(f, ":={})", Escaped(value))
            }
        }
    }
}

/// A value in the text form: what has a meaning there, and what is no text, as `\xx`.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '*' | '(' | ')' | '\\' | '\0' => write!(f, "\\{:02x}", u32::from(c))?,
                    c => f.write_char(c)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\{byte:02x}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ldap3_proto::proto::LdapFilter;
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Vec<u8>> {
        // Among all bytes, often those that mean something.
        proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"*()\\\0 a".to_vec())], 1..6)
    }

    fn filters() -> impl Strategy<Value = Filter> {
        let name = || "[a-z]{1,3}(;[a-z]{1,2})?";
        let leaf = prop_oneof![
            (name(), value()).prop_map(|(a, v)| Filter::Equal(a, v)),
            (name(), value()).prop_map(|(a, v)| Filter::GreaterOrEqual(a, v)),
            (name(), value()).prop_map(|(a, v)| Filter::LessOrEqual(a, v)),
            (name(), value()).prop_map(|(a, v)| Filter::Approximately(a, v)),
            name().prop_map(Filter::Present),
            (name(), proptest::option::of(value()), proptest::collection::vec(value(), 0..3), value())
                .prop_map(|(attribute, initial, any, last)| Filter::Substring { attribute, initial, any, last: Some(last) }),
            (name(), value(), any::<bool>()).prop_map(|(attribute, value, dn)| Filter::Extensible {
                rule: Some("2.5.13.2".into()),
                attribute: Some(attribute),
                value,
                dn
            }),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
                inner.prop_map(|part| Filter::Not(Box::new(part))),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_filter_comes_back_from_its_text(filter in filters()) {
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[()&|!=*<>~:\\\\a-c0-9 é]{0,30}") {
            let _ = Filter::parse(&text);
        }

        #[test]
        fn another_implementation_reads_the_bytes_as_the_same_filter(text in "[a-z *()\\\\é]{1,8}", name in "[a-z]{1,4}") {
            let filter = Filter::Not(Box::new(Filter::And(vec![
                Filter::equal(&name, text.as_bytes()),
                Filter::Present(name.clone()),
                Filter::Substring { attribute: name.clone(), initial: None, any: vec![text.clone().into_bytes()], last: None },
            ])));
            let read = theirs(filter);
            let LdapFilter::Not(inner) = read else { panic!("{read:?}") };
            let LdapFilter::And(parts) = *inner else { panic!("{inner:?}") };
            prop_assert_eq!(&parts[0], &LdapFilter::Equality(name.clone(), text.clone()));
            prop_assert_eq!(&parts[1], &LdapFilter::Present(name.clone()));
            let LdapFilter::Substring(attribute, pieces) = &parts[2] else { panic!("{:?}", parts[2]) };
            prop_assert_eq!((attribute, &pieces.any), (&name, &vec![text]));
        }
    }

    /// The filter of a search request, as another implementation reads it.
    fn theirs(filter: Filter) -> LdapFilter {
        use ldap3_proto::proto::LdapOp;
        use tokio_util::codec::Decoder;
        let search = crate::message::Search { filter, ..crate::message::Search::entry("", &[]) };
        let bytes = crate::message::Request::Search(search).encode(1, &[]);
        let message = ldap3_proto::LdapCodec::default().decode(&mut bytes.as_slice().into()).unwrap().unwrap();
        let LdapOp::SearchRequest(request) = message.op else { panic!("{message:?}") };
        request.filter
    }

    #[test]
    fn errors_name_the_character() {
        let error = |text| {
            let error = Filter::parse(text).unwrap_err();
            format!("{} at {}", error.message, error.at)
        };
        assert_eq!(error("(cn=a"), "this '(' is never closed at 6");
        assert_eq!(error("(cn)"), "a '=' is missing at 2");
        assert_eq!(error("(cn=é\\zz)"), "two hexadecimal digits must follow a backslash at 6");
        assert_eq!(error("(cn=a)(cn=b)"), "nothing may come after the filter at 7");
        assert_eq!(error(&"(!".repeat(100)), "the filter is nested too deeply at 131");
    }
}
