//! LDAP messages (RFC 4511): requests as bytes, and answers out of bytes.
//!
//! Entries are not taken apart here: they are handed on as bytes, for whoever knows which attributes matter.

use std::fmt;

use bytes::Bytes;

use crate::ber::{Malformed, Reader, Writer, tag};
use crate::filter::Filter;

/// The object identifiers of controls, extended operations and features.
pub(crate) mod oid {
    pub(crate) const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
    pub(crate) const SERVER_SORT: &str = "1.2.840.113556.1.4.473";
    pub(crate) const VIRTUAL_LIST_VIEW: &str = "2.16.840.1.113730.3.4.9";
    pub(crate) const TREE_DELETE: &str = "1.2.840.113556.1.4.805";
    pub(crate) const DIR_SYNC: &str = "1.2.840.113556.1.4.841";
    pub(crate) const PERMISSIVE_MODIFY: &str = "1.2.840.113556.1.4.1413";
    pub(crate) const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";
    pub(crate) const ASSERTION: &str = "1.3.6.1.1.12";
    pub(crate) const POST_READ: &str = "1.3.6.1.1.13.2";
    pub(crate) const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
    pub(crate) const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
    pub(crate) const SYNC_DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";
    pub(crate) const SYNC_INFO: &str = "1.3.6.1.4.1.4203.1.9.1.4";
    pub(crate) const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
    pub(crate) const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";
    pub(crate) const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
    pub(crate) const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";
    pub(crate) const ALL_OPERATIONAL_ATTRIBUTES: &str = "1.3.6.1.4.1.4203.1.5.1";
}

/// The tags of the operations that answer.
pub(crate) mod answer {
    pub(crate) const BIND: u8 = 0x61;
    pub(crate) const ENTRY: u8 = 0x64;
    pub(crate) const DONE: u8 = 0x65;
    pub(crate) const MODIFY: u8 = 0x67;
    pub(crate) const ADD: u8 = 0x69;
    pub(crate) const DELETE: u8 = 0x6b;
    pub(crate) const RENAME: u8 = 0x6d;
    pub(crate) const REFERENCE: u8 = 0x73;
    pub(crate) const EXTENDED: u8 = 0x78;
    pub(crate) const INTERMEDIATE: u8 = 0x79;
}

/// How far below its base a search reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The base itself.
    Base = 0,
    /// The entries directly below.
    One = 1,
    /// The base and everything below.
    Sub = 2,
}

/// A search to be made.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) base: String,
    pub(crate) scope: Scope,
    pub(crate) filter: Filter,
    pub(crate) attributes: Vec<String>,
    /// How many entries are wanted at most; 0 for all.
    pub(crate) size_limit: i32,
}

/// What is to happen to the values of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModifyKind {
    Add = 0,
    Delete = 1,
    Replace = 2,
}

/// One change of an attribute.
#[derive(Clone)]
pub(crate) struct Modify {
    pub(crate) kind: ModifyKind,
    pub(crate) attribute: String,
    pub(crate) values: Vec<Vec<u8>>,
}

/// A request, without its number and controls.
#[derive(Clone)]
pub(crate) enum Request {
    Bind { name: String, password: String },
    Unbind,
    Search(Search),
    Modify { dn: String, changes: Vec<Modify> },
    Add { dn: String, attributes: Vec<(String, Vec<Vec<u8>>)> },
    Delete { dn: String },
    Rename { dn: String, rdn: String, superior: Option<String> },
    Abandon(i32),
    Extended { oid: &'static str, value: Option<Vec<u8>> },
}

/// A control that goes with a request.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) oid: &'static str,
    pub(crate) critical: bool,
    pub(crate) value: Option<Vec<u8>>,
}

/// A message from the server.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) id: i32,
    /// One of [`answer`].
    pub(crate) tag: u8,
    pub(crate) content: Bytes,
    controls: Bytes,
}

/// The result that ends an operation.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: i64,
    pub(crate) matched_dn: String,
    pub(crate) message: String,
    pub(crate) referrals: usize,
}

/// An entry, as it was sent.
#[derive(Clone, Copy)]
pub(crate) struct RawEntry<'a> {
    pub(crate) dn: &'a [u8],
    attributes: Reader<'a>,
}

/// What an extended or intermediate answer says, beyond an outcome.
pub(crate) struct ExtendedAnswer<'a> {
    pub(crate) name: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

impl Request {
    /// The message with its number and controls, as it is sent.
    pub(crate) fn encode(&self, id: i32, controls: &[Control]) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.sequence(|message| {
            message.integer(tag::INTEGER, id.into());
            self.write(message);
            if !controls.is_empty() {
                message.within(tag::constructed(0), |list| {
                    for control in controls {
                        list.sequence(|written| {
                            written.octets(control.oid);
                            if control.critical {
                                written.boolean(true);
                            }
                            if let Some(value) = &control.value {
                                written.octets(value);
                            }
                        });
                    }
                });
            }
        });
        writer.into_bytes()
    }

    /// The tag of the answer that ends the operation; none where there is no answer.
    pub(crate) const fn answered_by(&self) -> Option<u8> {
        Some(match self {
            Self::Bind { .. } => answer::BIND,
            Self::Search(_) => answer::DONE,
            Self::Modify { .. } => answer::MODIFY,
            Self::Add { .. } => answer::ADD,
            Self::Delete { .. } => answer::DELETE,
            Self::Rename { .. } => answer::RENAME,
            Self::Extended { .. } => answer::EXTENDED,
            Self::Unbind | Self::Abandon(_) => return None,
        })
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Bind { name, password } => writer.within(0x60, |bind| {
                bind.integer(tag::INTEGER, 3);
                bind.octets(name);
                bind.primitive(tag::context(0), password.as_bytes());
            }),
            Self::Unbind => writer.primitive(0x42, &[]),
            Self::Search(search) => search.write(writer),
            Self::Modify { dn, changes } => writer.within(0x66, |modify| {
                modify.octets(dn);
                modify.sequence(|list| {
                    for change in changes {
                        list.sequence(|written| {
                            written.integer(tag::ENUMERATED, change.kind as i64);
                            attribute(written, &change.attribute, &change.values);
                        });
                    }
                });
            }),
            Self::Add { dn, attributes } => writer.within(0x68, |add| {
                add.octets(dn);
                add.sequence(|list| attributes.iter().for_each(|(name, values)| attribute(list, name, values)));
            }),
            Self::Delete { dn } => writer.primitive(0x4a, dn.as_bytes()),
            Self::Rename { dn, rdn, superior } => writer.within(0x6c, |rename| {
                rename.octets(dn);
                rename.octets(rdn);
                rename.boolean(true);
                if let Some(superior) = superior {
                    rename.primitive(tag::context(0), superior.as_bytes());
                }
            }),
            Self::Abandon(id) => writer.integer(0x50, i64::from(*id)),
            Self::Extended { oid, value } => writer.within(0x77, |extended| {
                extended.primitive(tag::context(0), oid.as_bytes());
                if let Some(value) = value {
                    extended.primitive(tag::context(1), value);
                }
            }),
        }
    }
}

impl Search {
    /// A search for one entry by its name.
    pub(crate) fn entry(dn: impl Into<String>, attributes: &[&str]) -> Self {
        Self {
            base: dn.into(),
            scope: Scope::Base,
            filter: Filter::anything(),
            attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
            size_limit: 0,
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.within(0x63, |search| {
            search.octets(&self.base);
            search.integer(tag::ENUMERATED, self.scope as i64);
            // Aliases are never followed: an object would be there under two names.
            search.integer(tag::ENUMERATED, 0);
            search.integer(tag::INTEGER, self.size_limit.into());
            search.integer(tag::INTEGER, 0);
            search.boolean(false);
            self.filter.write(search);
            search.sequence(|list| self.attributes.iter().for_each(|name| list.octets(name)));
        });
    }
}

fn attribute(writer: &mut Writer, name: &str, values: &[Vec<u8>]) {
    writer.sequence(|written| {
        written.octets(name);
        written.within(tag::SET, |set| values.iter().for_each(|value| set.octets(value)));
    });
}

impl Control {
    /// A control without a value.
    pub(crate) const fn new(oid: &'static str, critical: bool) -> Self {
        Self { oid, critical, value: None }
    }

    /// Asks for a page of results (RFC 2696).
    pub(crate) fn page(size: u32, cookie: &[u8]) -> Self {
        let mut writer = Writer::new();
        writer.sequence(|value| {
            value.integer(tag::INTEGER, size.into());
            value.octets(cookie);
        });
        Self { oid: oid::PAGED_RESULTS, critical: true, value: Some(writer.into_bytes()) }
    }

    /// Asks for changes since a cookie (RFC 4533), and for further ones as they happen.
    pub(crate) fn sync(cookie: Option<&[u8]>, persist: bool) -> Self {
        let mut writer = Writer::new();
        writer.sequence(|value| {
            value.integer(tag::ENUMERATED, if persist { 3 } else { 1 });
            if let Some(cookie) = cookie {
                value.octets(cookie);
            }
        });
        Self { oid: oid::SYNC_REQUEST, critical: true, value: Some(writer.into_bytes()) }
    }

    /// Asks for results in an order (RFC 2891).
    pub(crate) fn sort(attribute: &str, rule: Option<&str>, reverse: bool) -> Self {
        let mut writer = Writer::new();
        writer.sequence(|keys| {
            keys.sequence(|key| {
                key.octets(attribute);
                if let Some(rule) = rule {
                    key.primitive(tag::context(0), rule.as_bytes());
                }
                if reverse {
                    key.primitive(tag::context(1), &[0xff]);
                }
            });
        });
        Self { oid: oid::SERVER_SORT, critical: true, value: Some(writer.into_bytes()) }
    }

    /// Makes an operation conditional (RFC 4528).
    pub(crate) fn assertion(filter: &Filter) -> Self {
        let mut writer = Writer::new();
        filter.write(&mut writer);
        Self { oid: oid::ASSERTION, critical: true, value: Some(writer.into_bytes()) }
    }

    /// Asks for the entry as it is after the operation (RFC 4527).
    pub(crate) fn post_read(attributes: &[&str]) -> Self {
        let mut writer = Writer::new();
        writer.sequence(|list| attributes.iter().for_each(|name| list.octets(name)));
        Self { oid: oid::POST_READ, critical: false, value: Some(writer.into_bytes()) }
    }
}

impl Message {
    /// Takes a whole message apart. `frame` is one element of the connection's bytes, header included.
    pub(crate) fn decode(frame: &Bytes) -> Result<Self, Malformed> {
        let mut message = Reader::new(frame).sequence()?;
        let id = i32::try_from(message.integer()?).map_err(|_| Malformed)?;
        let (tag, content) = message.element()?;
        let controls = message.optional(tag::constructed(0))?.unwrap_or_default();
        Ok(Self { id, tag, content: frame.slice_ref(content), controls: frame.slice_ref(controls) })
    }

    /// The outcome of the operation that this message ends.
    pub(crate) fn outcome(&self) -> Result<Outcome, Malformed> {
        outcome(&mut Reader::new(&self.content))
    }

    /// The outcome of an extended operation, with its answer.
    pub(crate) fn extended(&self) -> Result<(Outcome, ExtendedAnswer<'_>), Malformed> {
        let mut content = Reader::new(&self.content);
        let outcome = outcome(&mut content)?;
        let name = content.optional(tag::context(10))?;
        let value = content.optional(tag::context(11))?;
        Ok((outcome, ExtendedAnswer { name, value }))
    }

    /// The entry that this message is.
    pub(crate) fn entry(&self) -> Result<RawEntry<'_>, Malformed> {
        RawEntry::read(&mut Reader::new(&self.content))
    }

    /// The name and value of an intermediate answer.
    pub(crate) fn intermediate(&self) -> Result<ExtendedAnswer<'_>, Malformed> {
        let mut content = Reader::new(&self.content);
        Ok(ExtendedAnswer { name: content.optional(tag::context(0))?, value: content.optional(tag::context(1))? })
    }

    /// The value of a control that came with the message; empty where it has none. None where there is no such control.
    pub(crate) fn control(&self, oid: &str) -> Result<Option<&[u8]>, Malformed> {
        let mut controls = Reader::new(&self.controls);
        while !controls.is_empty() {
            let mut control = controls.sequence()?;
            let found = control.octets()?;
            control.boolean_or_false()?;
            if found == oid.as_bytes() {
                return Ok(Some(control.optional(tag::OCTET_STRING)?.unwrap_or_default()));
            }
        }
        Ok(None)
    }

    /// The cookie for the next page, where the server pages at all; empty with the last page.
    pub(crate) fn page_cookie(&self) -> Result<Option<Vec<u8>>, Malformed> {
        let Some(value) = self.control(oid::PAGED_RESULTS)? else { return Ok(None) };
        let mut value = Reader::new(value).sequence()?;
        value.integer()?;
        Ok(Some(value.octets()?.to_vec()))
    }
}

fn outcome(content: &mut Reader<'_>) -> Result<Outcome, Malformed> {
    let code = content.enumerated()?;
    let matched_dn = String::from_utf8_lossy(content.octets()?).into_owned();
    let message = String::from_utf8_lossy(content.octets()?).into_owned();
    let mut referrals = 0;
    if let Some(list) = content.optional(tag::constructed(3))? {
        let mut list = Reader::new(list);
        while !list.is_empty() {
            list.octets()?;
            referrals += 1;
        }
    }
    Ok(Outcome { code, matched_dn, message, referrals })
}

impl<'a> RawEntry<'a> {
    fn read(content: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self { dn: content.octets()?, attributes: content.sequence()? })
    }

    /// The entry in the value of a read control.
    pub(crate) fn of_read_control(value: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(&mut Reader::new(Reader::new(value).expect(answer::ENTRY)?))
    }

    /// The next attribute: its description and values.
    pub(crate) fn attribute(&mut self) -> Result<Option<(&'a [u8], RawValues<'a>)>, Malformed> {
        if self.attributes.is_empty() {
            return Ok(None);
        }
        let mut attribute = self.attributes.sequence()?;
        let name = attribute.octets()?;
        Ok(Some((name, RawValues(Reader::new(attribute.expect(tag::SET)?)))))
    }

    /// The values of one attribute, by its description in any case. Empty where it is absent.
    pub(crate) fn values_of(mut self, wanted: &str) -> Result<Vec<&'a [u8]>, Malformed> {
        while let Some((name, mut values)) = self.attribute()? {
            if name.eq_ignore_ascii_case(wanted.as_bytes()) {
                return values.all();
            }
        }
        Ok(Vec::new())
    }
}

/// The values of an attribute, as they were sent.
#[derive(Clone, Copy)]
pub(crate) struct RawValues<'a>(Reader<'a>);

impl<'a> RawValues<'a> {
    pub(crate) fn next(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        if self.0.is_empty() { Ok(None) } else { self.0.octets().map(Some) }
    }

    pub(crate) fn all(&mut self) -> Result<Vec<&'a [u8]>, Malformed> {
        let mut values = Vec::new();
        while let Some(value) = self.next()? {
            values.push(value);
        }
        Ok(values)
    }
}

/// Without values: they may be secret.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} with tag {:#x} and {} bytes", self.id, self.tag, self.content.len())
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "result {}", self.code)
    }
}
