//! Properties into a configuration.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidelock_model::definition::{ConnectorConfiguration, Property, nearest};
use tidelock_model::{Diagnostic, Diagnostics, Place};

use super::properties::{BUNDLE_NAMESPACE, PROPERTIES, Use};
use super::{
    Bind, LdapConfig, Paging, PasswordSource, Referrals, SearchScope, Security, SynchronizationStrategy, TimestampForm, Trust,
    When,
};
use crate::dn::Dn;
use crate::filter::Filter;

/// Reads a configuration. With an error among the findings it is of no use.
pub(super) fn read(configuration: &ConnectorConfiguration, base: &Path) -> (LdapConfig, Diagnostics) {
    let mut reader = Reader { properties: Vec::new(), diagnostics: Vec::new() };
    for property in &configuration.properties {
        reader.admit(property);
    }
    let config = reader.config(&configuration.place, base);
    (config, reader.diagnostics)
}

struct Reader<'a> {
    properties: Vec<&'a Property>,
    diagnostics: Diagnostics,
}

type Text<'a> = (&'a str, &'a Place);

impl<'a> Reader<'a> {
    /// Takes a property up, or says why not.
    fn admit(&mut self, property: &'a Property) {
        let (name, place) = (property.name.local(), &property.place);
        if property.name.namespace().is_some_and(|namespace| namespace != BUNDLE_NAMESPACE) {
            let message = format!("the property '{name}' is of another namespace than the LDAP connector's, and is ignored");
            let help = format!("put it into the namespace {BUNDLE_NAMESPACE}");
            self.diagnostics.push(Diagnostic::warning("ignored-item", place, message).with_help(help));
            return;
        }
        let Some((_, usage)) = PROPERTIES.iter().find(|(known, _)| *known == name) else {
            let names = || PROPERTIES.iter().map(|(known, _)| *known);
            let help = match nearest(name, names()) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => format!("its properties are {}", names().collect::<Vec<_>>().join(", ")),
            };
            let message = format!("the LDAP connector has no configuration property '{name}'");
            self.diagnostics.push(Diagnostic::error("unknown-property", place, message).with_help(help));
            return;
        };
        let supported = match usage {
            Use::Honoured | Use::Needless => true,
            Use::NotSupported => false,
            Use::NotSupportedUnless(values) => {
                property.values.iter().all(|given| values.iter().any(|value| given.value.trim().eq_ignore_ascii_case(value)))
            }
        };
        if !supported {
            let message = format!("the property '{name}' has no effect yet");
            let mut warning = Diagnostic::warning("not-supported", place, message);
            if let Use::NotSupportedUnless(values) = usage {
                warning = warning.with_help(format!("what happens is what {} would mean", values.join(" or ")));
            }
            self.diagnostics.push(warning);
        }
        self.properties.push(property);
    }

    fn config(&mut self, place: &Place, base: &Path) -> LdapConfig {
        let host = self.required("host", place, "name the directory server");
        let base_context =
            self.required("baseContext", place, "name the entry below which your entries are, such as dc=example,dc=org");
        let security = self.choice("connectionSecurity", Security::None, SECURITIES);
        let default_port = if security == Security::Tls { 636 } else { 389 };
        let port = self.number("port", default_port, 1, 65_535);
        let mut config = LdapConfig::new(host.map_or("", |(host, _)| host), port as u16, "");
        config.security = security;
        config.base_context = base_context.map_or("", |(text, _)| text).to_owned();
        if let Some((text, place)) = base_context {
            self.check_dn("baseContext", text, place);
        }
        config.trust = self.trust(security, base);
        config.bind = self.bind(&config, place, base);
        config.scope = self.choice("defaultSearchScope", config.scope, SCOPES);
        config.paging = self.choice("pagingStrategy", config.paging, PAGINGS);
        config.page_size = self.number("pagingBlockSize", config.page_size.into(), 1, 100_000) as u32;
        if let Some((name, place)) = self.text("uidAttribute") {
            config.identifier = self.attribute("uidAttribute", name, place);
        }
        config.operational_attributes = self.attributes("operationalAttributes");
        config.classes = self.attributes("objectClasses");
        config.additional_filter = self.filter("additionalSearchFilter");
        config.timestamps = self.choice("timestampPresentation", config.timestamps, TIMESTAMPS);
        if let Some((name, place)) = self.text("passwordAttribute") {
            config.password_attribute = self.attribute("passwordAttribute", name, place);
        }
        self.synchronization(&mut config);
        config.permissive_modify = self.choice("usePermissiveModify", config.permissive_modify, WHENS);
        config.tree_delete = self.choice("useTreeDelete", config.tree_delete, WHENS);
        config.timeout = self.millis("timeout", config.timeout);
        config.connect_timeout = self.millis("connectTimeout", config.timeout);
        config.write_timeout = self.millis("writeTimeout", config.timeout);
        config.read_timeout = self.millis("readTimeout", config.read_timeout.max(config.timeout));
        config.reconnect_timeout = self.millis("reconnectTimeout", config.reconnect_timeout);
        config.attempts = self.number("maximumNumberOfAttempts", config.attempts.into(), 1, 100) as u32;
        config.referrals = self.referrals(config.referrals);
        self.servers(&mut config);
        config.switch_back = self.millis("switchBackInterval", config.switch_back);
        config.keep_alive = self.flag("tcpKeepAlive", false);
        config.check_alive = self.flag("checkAliveRootDse", false);
        config.allow_empty = self.flag("allowEmpty", false);
        config
    }

    fn referrals(&mut self, default: Referrals) -> Referrals {
        // What we do not have was warned of.
        let known = self.text("referralStrategy").and_then(|(text, _)| {
            REFERRALS.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, referrals)| *referrals)
        });
        known.unwrap_or(default)
    }

    /// Other servers, each a list such as `host=second.example.org; port=636`. What they do not say is as with the first one.
    fn servers(&mut self, config: &mut LdapConfig) {
        for given in self.property("servers").into_iter().flat_map(|property| &property.values) {
            let (mut host, mut port) = (None, Some(config.port));
            for one in given.value.split(';').map(str::trim).filter(|one| !one.is_empty()) {
                match one.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                    Some(("host", value)) => host = Some(value.to_owned()).filter(|host| !host.is_empty()),
                    Some(("port", value)) => port = value.parse().ok().filter(|port| *port > 0),
                    _ => {
                        let message =
                            format!("'{}' in 'servers' has no effect yet", shorten(one.split('=').next().unwrap_or(one)));
                        let warning = Diagnostic::warning("not-supported", &given.place, message);
                        self.diagnostics
                            .push(warning.with_help("a server has a host and a port; all else is as with the first one"));
                    }
                }
            }
            match (host, port) {
                (Some(host), Some(port)) => {
                    if config.bind.is_some()
                        && config.security == Security::None
                        && !is_local(&host)
                        && !self.flag("allowClearTextBind", false)
                    {
                        let message = format!("the password would go to {host} in the clear");
                        let error = Diagnostic::error("clear-text-bind", &given.place, message);
                        self.diagnostics.push(error.with_help("set 'connectionSecurity' to ssl or starttls"));
                    }
                    config.replicas.push((host, port));
                }
                _ => self.bad(
                    &given.place,
                    "a value of 'servers' is no server",
                    "write it as in host=second.example.org; port=389",
                ),
            }
        }
    }

    fn trust(&mut self, security: Security, base: &Path) -> Trust {
        let file = self.text("caFile");
        let anybody = self.flag("allowUntrustedSsl", false);
        let place = |reader: &Self, name| reader.property(name).map(|property| property.place.clone()).unwrap_or_default();
        if security == Security::None {
            if let Some((_, place)) = file {
                let warning = Diagnostic::warning("ignored-item", place, "'caFile' has no effect without encryption");
                self.diagnostics.push(warning.with_help("set 'connectionSecurity' to ssl or starttls"));
            }
            return Trust::System;
        }
        if anybody {
            let place = place(self, "allowUntrustedSsl");
            let warning = Diagnostic::warning(
                "untrusted-server",
                &place,
                "the server's certificate is not verified: whoever stands between can read the password",
            );
            self.diagnostics.push(warning.with_help("name the certificate of the server's authority in 'caFile' instead"));
            return Trust::Anybody;
        }
        file.map_or(Trust::System, |(file, _)| Trust::Authority(base.join(file)))
    }

    fn bind(&mut self, config: &LdapConfig, place: &Place, base: &Path) -> Option<Bind> {
        const HELP: &str = "set one of 'bindPassword', 'bindPasswordFile' and 'bindPasswordVariable'";
        let text = self.raw_text("bindPassword").map(|(text, place)| (PasswordSource::Text(text.into()), place));
        let file = self.text("bindPasswordFile").map(|(file, place)| (PasswordSource::File(base.join(file)), place));
        let variable = self.text("bindPasswordVariable").map(|(name, place)| (PasswordSource::Variable(name.to_owned()), place));
        let mut sources = [text, file, variable].into_iter().flatten();
        let (source, another) = (sources.next(), sources.next());
        if let Some((_, place)) = another {
            self.bad(place, "the password to bind with is given twice", HELP);
        }
        let Some((name, name_place)) = self.text("bindDn") else {
            if let Some((_, place)) = source {
                self.bad(place, "there is a password, and no 'bindDn' that it belongs to", "set 'bindDn'");
            }
            return None;
        };
        let Some((password, _)) = source else {
            let error = Diagnostic::error("missing-property", name_place, "there is no password to bind with");
            self.diagnostics.push(error.with_help(HELP));
            return None;
        };
        if config.security == Security::None && !is_local(&config.host) && !self.flag("allowClearTextBind", false) {
            let place = self.property("connectionSecurity").map_or(place, |property| &property.place);
            let message = format!("the password would go to {} in the clear", config.host);
            let error = Diagnostic::error("clear-text-bind", place, message);
            self.diagnostics.push(error.with_help(
                "set 'connectionSecurity' to ssl or starttls; or, if the network is to be trusted, 'allowClearTextBind' to true",
            ));
        }
        Some(Bind { name: name.to_owned(), password })
    }

    fn synchronization(&mut self, config: &mut LdapConfig) {
        if let Some((name, place)) = self.text("synchronizationStrategy") {
            if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| refused.eq_ignore_ascii_case(name)) {
                let message = format!("the synchronization strategy '{name}' is not supported: {why}");
                let error = Diagnostic::error("not-supported", place, message);
                self.diagnostics.push(error.with_help("set it to auto, syncrepl or modifyTimestamp"));
            } else {
                config.synchronization = self.choice("synchronizationStrategy", config.synchronization, STRATEGIES);
            }
        }
        let bases = [self.property("baseContextToSynchronize"), self.property("baseContextsToSynchronize")];
        let mut bases = bases.into_iter().flatten().flat_map(|property| &property.values);
        if let Some(first) = bases.next() {
            self.check_dn("baseContextToSynchronize", first.value.trim(), &first.place);
            config.synchronization_base = Some(first.value.trim().to_owned());
        }
        if let Some(second) = bases.next() {
            let message = "changes can be looked for below one entry only";
            let error = Diagnostic::error("not-supported", &second.place, message);
            self.diagnostics.push(error.with_help("name an entry that is above all of them"));
        }
        let modifiers = self.property("modifiersNamesToFilterOut");
        if let Some(property) = modifiers {
            let message = "changes of these are left out while they are listened to; live synchronization leaves none out, since a \
                           server names only the last of the changes that an entry has had";
            let warning = Diagnostic::warning("changes-not-left-out", &property.place, message);
            self.diagnostics.push(warning.with_help(
                "there is nothing to be done: an object that is as it was known to be costs next to nothing when it comes back",
            ));
        }
        for modifier in modifiers.into_iter().flat_map(|property| &property.values) {
            match Dn::parse(modifier.value.trim()) {
                Some(name) => config.ignored_modifiers.push(name.to_text().into()),
                None => self.check_dn("modifiersNamesToFilterOut", &modifier.value, &modifier.place),
            }
        }
        config.comparison_interval = self.millis("comparisonInterval", config.comparison_interval);
    }

    fn property(&self, name: &str) -> Option<&'a Property> {
        self.properties.iter().copied().find(|property| property.name.local() == name)
    }

    /// The one value of a property, spaces and all.
    fn raw_text(&mut self, name: &str) -> Option<Text<'a>> {
        let property = self.property(name)?;
        if property.values.len() > 1 {
            let message = format!("the property '{name}' takes one value");
            let error = Diagnostic::error("several-values", &property.place, message);
            self.diagnostics.push(error.with_help("keep one of them"));
        }
        property.values.first().map(|given| (given.value.as_str(), &given.place)).filter(|(text, _)| !text.is_empty())
    }

    fn text(&mut self, name: &str) -> Option<Text<'a>> {
        self.raw_text(name).map(|(text, place)| (text.trim(), place)).filter(|(text, _)| !text.is_empty())
    }

    fn required(&mut self, name: &str, place: &Place, help: &str) -> Option<Text<'a>> {
        let text = self.text(name);
        if text.is_none() {
            let place = self.property(name).map_or(place, |property| &property.place);
            let error = Diagnostic::error("missing-property", place, format!("the LDAP connector needs the property '{name}'"));
            self.diagnostics.push(error.with_help(help));
        }
        text
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
        self.choice(name, default, &[("true", true), ("false", false), ("1", true), ("0", false)])
    }

    fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some((text, place)) = self.text(name) else { return default };
        if let Some((_, choice)) = choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(text)) {
            return *choice;
        }
        let known: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
        self.bad(place, format!("'{}' is not a value of '{name}'", shorten(text)), format!("write one of {}", known.join(", ")));
        default
    }

    fn number(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let Some((text, place)) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let message = format!("'{}' is not a value of '{name}'", shorten(text));
                self.bad(place, message, format!("write a number from {least} to {most}"));
                default
            }
        }
    }

    /// A duration in milliseconds.
    fn millis(&mut self, name: &str, default: Duration) -> Duration {
        const DAY: u64 = 86_400_000;
        let default = u64::try_from(default.as_millis()).unwrap_or(DAY);
        Duration::from_millis(self.number(name, default, 1, DAY))
    }

    fn attributes(&mut self, name: &str) -> Vec<Arc<str>> {
        let mut attributes: Vec<Arc<str>> = Vec::new();
        for given in self.property(name).into_iter().flat_map(|property| &property.values) {
            for one in given.value.split(',').map(str::trim).filter(|one| !one.is_empty()) {
                let one = self.attribute(name, one, &given.place);
                if !attributes.contains(&one) {
                    attributes.push(one);
                }
            }
        }
        attributes
    }

    fn attribute(&mut self, property: &str, name: &str, place: &Place) -> Arc<str> {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
            let message = format!("'{}', which '{property}' names, is not a name", shorten(name));
            self.bad(place, message, "names have letters, digits and hyphens");
        }
        name.into()
    }

    fn filter(&mut self, name: &str) -> Option<Filter> {
        let (text, place) = self.text(name)?;
        match Filter::parse(text) {
            Ok(filter) => Some(filter),
            Err(error) => {
                let message = format!("'{name}' is not an LDAP filter: {} at character {}", error.message, error.at);
                self.bad(place, message, "write it as in (&(objectClass=person)(mail=*))");
                None
            }
        }
    }

    fn check_dn(&mut self, property: &str, text: &str, place: &Place) {
        if Dn::parse(text).is_none() {
            let message = format!("'{}', the value of '{property}', is not a distinguished name", shorten(text));
            self.bad(place, message, "write it as in ou=people,dc=example,dc=org");
        }
    }

    fn bad(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error("bad-value", place, message).with_help(help));
    }
}

const SECURITIES: &[(&str, Security)] =
    &[("none", Security::None), ("ssl", Security::Tls), ("starttls", Security::StartTls), ("ldaps", Security::Tls)];

const SCOPES: &[(&str, SearchScope)] = &[("sub", SearchScope::Sub), ("one", SearchScope::One)];

/// Every page of a list view costs the server a sorted list; simple pages do the same for less.
const PAGINGS: &[(&str, Paging)] =
    &[("auto", Paging::Auto), ("none", Paging::None), ("spr", Paging::Simple), ("vlv", Paging::Auto)];

const REFERRALS: &[(&str, Referrals)] = &[("ignore", Referrals::Ignore), ("throw", Referrals::Throw)];

const TIMESTAMPS: &[(&str, TimestampForm)] =
    &[("native", TimestampForm::Native), ("unixEpoch", TimestampForm::UnixEpoch), ("string", TimestampForm::Text)];

const STRATEGIES: &[(&str, SynchronizationStrategy)] = &[
    ("auto", SynchronizationStrategy::Auto),
    ("none", SynchronizationStrategy::None),
    ("syncrepl", SynchronizationStrategy::Syncrepl),
    ("modifyTimestamp", SynchronizationStrategy::ModifyTimestamp),
];

const WHENS: &[(&str, When)] = &[("auto", When::Auto), ("always", When::Always), ("never", When::Never)];

/// Strategies of midPoint's connector that we do not have, and why.
const REFUSED: &[(&str, &str)] = &[
    ("openLdapAccessLog", "content synchronization tells the same without a log of its own"),
    ("sunChangeLog", "the change log is not read yet"),
    ("adDirSync", "it belongs to the Active Directory connector"),
];

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn shorten(value: &str) -> String {
    value.chars().take(80).collect()
}
