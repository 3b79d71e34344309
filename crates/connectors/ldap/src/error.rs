//! What results and broken connections mean to the engine.

use std::time::Duration;

use tidelock_connector_api::{Error, ErrorKind};

use crate::message::Outcome;

/// The result codes that mean something to us (RFC 4511, A; RFC 4528; RFC 4533).
pub(crate) mod code {
    pub(crate) const SUCCESS: i64 = 0;
    pub(crate) const TIME_LIMIT: i64 = 3;
    pub(crate) const SIZE_LIMIT: i64 = 4;
    pub(crate) const AUTH_METHOD: i64 = 7;
    pub(crate) const STRONGER_AUTH: i64 = 8;
    pub(crate) const REFERRAL: i64 = 10;
    pub(crate) const ADMIN_LIMIT: i64 = 11;
    pub(crate) const CRITICAL_EXTENSION: i64 = 12;
    pub(crate) const CONFIDENTIALITY: i64 = 13;
    pub(crate) const NO_SUCH_ATTRIBUTE: i64 = 16;
    pub(crate) const UNDEFINED_TYPE: i64 = 17;
    pub(crate) const CONSTRAINT: i64 = 19;
    pub(crate) const VALUE_EXISTS: i64 = 20;
    pub(crate) const INVALID_SYNTAX: i64 = 21;
    pub(crate) const NO_SUCH_OBJECT: i64 = 32;
    pub(crate) const INVALID_DN: i64 = 34;
    pub(crate) const INAPPROPRIATE_AUTH: i64 = 48;
    pub(crate) const INVALID_CREDENTIALS: i64 = 49;
    pub(crate) const INSUFFICIENT_ACCESS: i64 = 50;
    pub(crate) const BUSY: i64 = 51;
    pub(crate) const UNAVAILABLE: i64 = 52;
    pub(crate) const UNWILLING: i64 = 53;
    pub(crate) const NAMING: i64 = 64;
    pub(crate) const OBJECT_CLASS: i64 = 65;
    pub(crate) const NON_LEAF: i64 = 66;
    pub(crate) const NOT_ON_RDN: i64 = 67;
    pub(crate) const EXISTS: i64 = 68;
    pub(crate) const CLASS_MODS: i64 = 69;
    pub(crate) const SEVERAL_SERVERS: i64 = 71;
    pub(crate) const ASSERTION_FAILED: i64 = 122;
    pub(crate) const REFRESH_REQUIRED: i64 = 4096;
}

impl Outcome {
    pub(crate) const fn is_success(&self) -> bool {
        self.code == code::SUCCESS
    }

    /// Whether a search ended at a limit of the server.
    pub(crate) const fn is_limit(&self) -> bool {
        matches!(self.code, code::TIME_LIMIT | code::SIZE_LIMIT | code::ADMIN_LIMIT)
    }

    /// Nothing where it is a success, else the error that it means.
    pub(crate) fn check(self, doing: &str) -> Result<(), Error> {
        if self.is_success() { Ok(()) } else { Err(self.error(doing)) }
    }

    /// The error that it means. `doing` is what was being done, such as `cannot bind`.
    pub(crate) fn error(&self, doing: &str) -> Error {
        let kind = match self.code {
            code::AUTH_METHOD | code::INAPPROPRIATE_AUTH | code::INVALID_CREDENTIALS => ErrorKind::Unauthenticated,
            code::STRONGER_AUTH | code::CONFIDENTIALITY => ErrorKind::Config,
            code::CRITICAL_EXTENSION | code::SEVERAL_SERVERS => ErrorKind::Unsupported,
            code::NO_SUCH_OBJECT => ErrorKind::NotFound,
            code::INSUFFICIENT_ACCESS => ErrorKind::Denied,
            code::BUSY => ErrorKind::Throttled,
            code::UNAVAILABLE => ErrorKind::Unreachable,
            code::EXISTS => ErrorKind::AlreadyExists,
            code::VALUE_EXISTS | code::NON_LEAF | code::ASSERTION_FAILED => ErrorKind::Conflict,
            code::NO_SUCH_ATTRIBUTE
            | code::UNDEFINED_TYPE
            | code::CONSTRAINT
            | code::INVALID_SYNTAX
            | code::INVALID_DN
            | code::NAMING
            | code::OBJECT_CLASS
            | code::NOT_ON_RDN
            | code::CLASS_MODS => ErrorKind::InvalidData,
            code::REFRESH_REQUIRED => ErrorKind::TokenExpired,
            _ => ErrorKind::Unexpected,
        };
        Error::new(kind, format!("{doing}: {}", self.describe()))
    }

    /// The result for people: its name, its number, and what the server adds to it.
    pub(crate) fn describe(&self) -> String {
        let name = name(self.code);
        let added: String = self.message.chars().filter(|c| !c.is_control()).take(200).collect();
        match (name.is_empty(), added.is_empty()) {
            (true, true) => format!("the server answered with result {}", self.code),
            (true, false) => format!("the server answered with result {}, {added}", self.code),
            (false, true) => format!("{name} (result {})", self.code),
            (false, false) => format!("{name} (result {}), {added}", self.code),
        }
    }
}

fn name(code: i64) -> &'static str {
    match code {
        code::TIME_LIMIT => "the server's time limit was reached",
        code::SIZE_LIMIT => "the server's size limit was reached",
        code::AUTH_METHOD => "the server does not accept this way to bind",
        code::STRONGER_AUTH => "the server demands a stronger way to bind; set 'connectionSecurity'",
        code::REFERRAL => "the data is on another server",
        code::ADMIN_LIMIT => "an administrative limit was reached",
        code::CRITICAL_EXTENSION => "the server does not offer a control that is needed",
        code::CONFIDENTIALITY => "the server demands encryption; set 'connectionSecurity'",
        code::NO_SUCH_ATTRIBUTE => "no such attribute or value",
        code::UNDEFINED_TYPE => "the server does not know the attribute",
        code::CONSTRAINT => "a constraint is violated",
        code::VALUE_EXISTS => "the value exists already",
        code::INVALID_SYNTAX => "a value does not have its attribute's syntax",
        code::NO_SUCH_OBJECT => "no such entry",
        code::INVALID_DN => "a name is no distinguished name",
        code::INAPPROPRIATE_AUTH => "this way to bind is not possible here",
        code::INVALID_CREDENTIALS => "the name or the password is wrong",
        code::INSUFFICIENT_ACCESS => "the rights do not suffice",
        code::BUSY => "the server is busy",
        code::UNAVAILABLE => "the server is not available",
        code::UNWILLING => "the server is unwilling",
        code::NAMING => "the name is not allowed there",
        code::OBJECT_CLASS => "the entry would not fit its object classes",
        code::NON_LEAF => "there are entries below it",
        code::NOT_ON_RDN => "the name's own values cannot be changed this way",
        code::EXISTS => "an entry of that name exists",
        code::CLASS_MODS => "the object class cannot be changed",
        code::SEVERAL_SERVERS => "it concerns several servers",
        code::ASSERTION_FAILED => "the entry is not as it was expected to be",
        code::REFRESH_REQUIRED => "the server cannot tell the changes since that position",
        _ => "",
    }
}

/// Bytes that are no LDAP message, or not the one that was due.
pub(crate) fn not_ldap(server: &str) -> Error {
    let message = format!("{server} does not speak LDAP as it should; are 'port' and 'connectionSecurity' right?");
    Error::new(ErrorKind::Unexpected, message)
}

/// The server let us wait too long.
pub(crate) fn silent(server: &str, waited: Duration) -> Error {
    Error::unreachable(format!("{server} did not answer within {} ms", waited.as_millis()))
}

/// The connection ended.
pub(crate) fn closed(server: &str) -> Error {
    Error::unreachable(format!("{server} closed the connection"))
}
