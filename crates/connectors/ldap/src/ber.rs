//! The part of the Basic Encoding Rules that LDAP uses (RFC 4511, 5.1): definite lengths, tags of one byte.
//!
//! Reading borrows from the message; a length that reaches beyond it is an error, so no announced size is ever believed.

/// The tags of the universal types that LDAP uses.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// A primitive tag of the context class.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// A constructed tag of the context class.
    pub(crate) const fn constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The elements within some bytes, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// How much room a header takes, and its content. None as long as the header is not there as a whole.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let [_, first, rest @ ..] = bytes else { return Ok(None) };
    if *first < 0x80 {
        return Ok(Some((2, usize::from(*first))));
    }
    let octets = usize::from(*first & 0x7f);
    // None of them is the indefinite form, which LDAP does not have.
    if octets == 0 || octets > 4 {
        return Err(Malformed);
    }
    let Some(length) = rest.get(..octets) else { return Ok(None) };
    let length = length.iter().fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet));
    Ok(Some((2 + octets, usize::try_from(length).map_err(|_| Malformed)?)))
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: its tag and content.
    pub(crate) fn element(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (start, length) = header(self.0)?.ok_or(Malformed)?;
        let end = start.checked_add(length).ok_or(Malformed)?;
        let content = self.0.get(start..end).ok_or(Malformed)?;
        let tag = self.0[0];
        self.0 = &self.0[end..];
        Ok((tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.element()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(Malformed),
        }
    }

    /// The content of the next element, if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.peek() == Some(tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }

    pub(crate) fn sequence(&mut self) -> Result<Reader<'a>, Malformed> {
        self.expect(tag::SEQUENCE).map(Reader)
    }

    pub(crate) fn octets(&mut self) -> Result<&'a [u8], Malformed> {
        self.expect(tag::OCTET_STRING)
    }

    pub(crate) fn integer(&mut self) -> Result<i64, Malformed> {
        integer(self.expect(tag::INTEGER)?)
    }

    pub(crate) fn enumerated(&mut self) -> Result<i64, Malformed> {
        integer(self.expect(tag::ENUMERATED)?)
    }

    /// A boolean, `false` where it is left out.
    pub(crate) fn boolean_or_false(&mut self) -> Result<bool, Malformed> {
        Ok(self.optional(tag::BOOLEAN)?.is_some_and(|content| content.iter().any(|octet| *octet != 0)))
    }
}

fn integer(content: &[u8]) -> Result<i64, Malformed> {
    let (first, length) = (content.first().ok_or(Malformed)?, content.len());
    if length > 8 {
        return Err(Malformed);
    }
    let sign = if *first & 0x80 == 0 { 0 } else { -1 };
    Ok(content.iter().fold(sign, |sum, octet| sum << 8 | i64::from(*octet)))
}

/// Elements being written.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes an element with this content.
    pub(crate) fn primitive(&mut self, tag: u8, content: &[u8]) {
        self.0.push(tag);
        let (octets, used) = length(content.len());
        self.0.extend_from_slice(&octets[..used]);
        self.0.extend_from_slice(content);
    }

    /// Writes an element whose content is what `write` writes.
    pub(crate) fn within(&mut self, tag: u8, write: impl FnOnce(&mut Self)) {
        self.0.push(tag);
        let start = self.0.len();
        write(self);
        let (octets, used) = length(self.0.len() - start);
        self.0.splice(start..start, octets[..used].iter().copied());
    }

    pub(crate) fn sequence(&mut self, write: impl FnOnce(&mut Self)) {
        self.within(tag::SEQUENCE, write);
    }

    pub(crate) fn octets(&mut self, content: impl AsRef<[u8]>) {
        self.primitive(tag::OCTET_STRING, content.as_ref());
    }

    pub(crate) fn integer(&mut self, tag: u8, number: i64) {
        let octets = number.to_be_bytes();
        // An octet at the front says nothing if it repeats the sign of the one after it.
        let filler = if number < 0 { 0xff } else { 0 };
        let start = (0..7).find(|at| octets[*at] != filler || (octets[at + 1] ^ filler) & 0x80 != 0).unwrap_or(7);
        self.primitive(tag, &octets[start..]);
    }

    pub(crate) fn boolean(&mut self, flag: bool) {
        self.primitive(tag::BOOLEAN, &[if flag { 0xff } else { 0 }]);
    }
}

/// A length as it is written, and how many octets of the array that takes.
fn length(length: usize) -> ([u8; 9], usize) {
    let mut octets = [0; 9];
    if length < 0x80 {
        // Less than 128 fits into an octet.
        octets[0] = length as u8;
        return (octets, 1);
    }
    let all = (length as u64).to_be_bytes();
    let skipped = all.iter().take_while(|octet| **octet == 0).count();
    octets[0] = 0x80 | (8 - skipped) as u8;
    octets[1..=8 - skipped].copy_from_slice(&all[skipped..]);
    (octets, 9 - skipped)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back_and_take_no_more_room_than_they_need(number: i64) {
            let mut writer = Writer::new();
            writer.integer(tag::INTEGER, number);
            let bytes = writer.into_bytes();
            let needed = (1..=8).find(|n| *n == 8 || (-(1_i64 << (8 * n - 1))..1 << (8 * n - 1)).contains(&number)).unwrap();
            prop_assert_eq!(bytes.len(), 2 + needed);
            prop_assert_eq!(Reader::new(&bytes).integer(), Ok(number));
        }

        #[test]
        fn content_of_any_length_comes_back(length in 0_usize..70_000) {
            let mut writer = Writer::new();
            writer.sequence(|writer| writer.octets(vec![7; length]));
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.sequence().unwrap().octets().unwrap().len(), length);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.element().is_ok() {}
            let _ = Reader::new(&bytes).integer();
            let _ = Reader::new(&bytes).boolean_or_false();
        }
    }

    #[test]
    fn a_length_that_reaches_too_far_is_malformed() {
        for bytes in
            [&[0x04, 5, 1][..], &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 0], &[0x04, 0x80, 0, 0], &[0x04, 0x85, 0, 0, 0, 0, 1, 0]]
        {
            assert_eq!(Reader::new(bytes).element(), Err(Malformed), "{bytes:?}");
        }
    }
}
