//! Distinguished names (RFC 4514): taken apart, and written in one spelling.

use std::fmt::Write as _;

/// A distinguished name: its relative names, the entry's own first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dn(Vec<Rdn>);

/// A relative name: one pair of attribute and value, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rdn(Vec<(String, Vec<u8>)>);

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

    /// Its parts, the entry's own first.
    pub(crate) fn rdns(&self) -> &[Rdn] {
        &self.0
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
    pub(crate) fn normal(&self) -> String {
        let normal = |rdn: &Rdn| {
            let mut pairs = rdn.0.clone();
            pairs.sort_by_key(|(name, _)| name.to_lowercase());
            Rdn(pairs).to_text().to_lowercase()
        };
        self.0.iter().map(normal).collect::<Vec<_>>().join(",")
    }

    /// Whether it is the other name, or below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let offset = self.0.len().checked_sub(other.0.len());
        offset.is_some_and(|offset| Self(self.0[offset..].to_vec()).normal() == other.normal())
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
            escape(value, &mut text);
        }
        text
    }

    /// The pairs of attribute and value.
    pub(crate) fn pairs(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }
}

/// Brings a name into the spelling that we write. A text that is not a name, and one that has nothing to be spelled
/// differently, stays.
pub(crate) fn canonical(text: String) -> String {
    let bytes = text.as_bytes();
    let doubtful = |at: usize| match bytes[at] {
        b'\\' | b'"' | b';' | b'#' => true,
        b' ' => at == 0 || at + 1 == bytes.len() || is_separator(bytes[at - 1]) || is_separator(bytes[at + 1]),
        _ => false,
    };
    if !(0..bytes.len()).any(doubtful) {
        return text;
    }
    Dn::parse(&text).map_or(text, |name| name.to_text())
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b'=' | b'+' | b';')
}

/// Writes a value so that it can stand in a name.
fn escape(value: &[u8], text: &mut String) {
    let Ok(value) = std::str::from_utf8(value) else {
        for byte in value {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\{byte:02X}");
        }
        return;
    };
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            '#' if at == 0 => text.push_str("\\#"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => {
                text.push('\\');
                text.push(c);
            }
            c if c.is_control() => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
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

    use super::*;

    proptest! {
        #[test]
        fn any_value_comes_back_from_its_name(values in proptest::collection::vec("[ #\"+,;<>\\\\=a-cé\\x00\\n]{1,6}", 1..4)) {
            let name = Dn(values.iter().map(|value| Rdn(vec![("cn".to_owned(), value.clone().into_bytes())])).collect());
            prop_assert_eq!(Dn::parse(&name.to_text()), Some(name.clone()));
            prop_assert_eq!(canonical(name.to_text()), name.to_text());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[ #\"+,;<>\\\\=a-f0-9é]{0,24}") {
            let _ = Dn::parse(&text);
            let _ = canonical(text);
        }
    }

    #[test]
    fn one_name_has_many_spellings() {
        let canonical = |text: &str| canonical(text.to_owned());
        assert_eq!(canonical("cn=Smith\\, Ann , ou=a"), "cn=Smith\\, Ann,ou=a");
        assert_eq!(canonical("cn=Smith\\2C Ann;ou=a"), "cn=Smith\\, Ann,ou=a");
        assert_eq!(canonical("cn=\"Smith, Ann\",ou=a"), "cn=Smith\\, Ann,ou=a");
        assert_eq!(canonical("cn=#0403416e6e,ou=a"), "cn=Ann,ou=a");
        assert_eq!(canonical("cn=\\C3\\A9"), "cn=é");
        assert_eq!(canonical("no name \\"), "no name \\");
        assert_eq!(Dn::parse("B=2+A=1").unwrap().normal(), Dn::parse("a=1+b=2").unwrap().normal());
    }

    #[test]
    fn what_is_above_is_found_by_parts() {
        let name = |text| Dn::parse(text).unwrap();
        assert_eq!(name("cn=a\\,b,ou=c,dc=d").parent(), Some(name("ou=c,dc=d")));
        assert!(name("cn=a,OU=C,dc=d").is_within(&name("ou=c, dc=D")));
        assert!(!name("cn=a,ou=cc,dc=d").is_within(&name("ou=c,dc=d")));
        assert!(!name("dc=d").is_within(&name("ou=c,dc=d")));
    }
}
