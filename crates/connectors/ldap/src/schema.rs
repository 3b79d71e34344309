//! The directory as its server describes it: the schema that the engine sees, and what is needed to read entries by it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tidelock_connector_api::{Error, ErrorKind, Result};
use tidelock_model::Value;
use tidelock_model::definition::nearest;
use tidelock_model::object::{AttributeDefinition, MatchingRule, ObjectClass, Schema, ValueType};
use tokio::sync::OnceCell;

use crate::client::Pool;
use crate::config::{LdapConfig, TimestampForm};
use crate::dn::{self, Spelling};
use crate::error::not_ldap;
use crate::live_sync::syncrepl::{self, Offer};
use crate::matching::Sameness;
use crate::message::{Message, Request, Search, answer};
use crate::root_dse::RootDse;
use crate::subschema::{AttributeType, Class, ClassKind, Descriptions, Subschema};
use crate::value::Form;

/// The name that entries' own names have among their attributes.
pub(crate) const DN: &str = "dn";

/// What is known of a directory.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) root: RootDse,
    pub(crate) subschema: Arc<Subschema>,
    pub(crate) schema: Schema,
    classes: HashMap<Arc<str>, Arc<EntryClass>>,
    /// What the configuration names and the server does not have.
    pub(crate) missing: Vec<String>,
    content_synchronization: OnceCell<Offer>,
}

/// An object class, ready for reading entries.
#[derive(Debug)]
pub(crate) struct EntryClass {
    pub(crate) name: Arc<str>,
    pub(crate) definition: Arc<ObjectClass>,
    /// The attributes, in the order of the definition.
    pub(crate) attributes: Vec<Attribute>,
    by_name: HashMap<String, usize>,
    /// What names are made of.
    pub(crate) subschema: Arc<Subschema>,
    /// The names, in lower case, of the structural classes derived from it: an entry that has one is not of this class.
    derived: HashSet<String>,
    /// The names of all classes that an entry of this one has, the most general first.
    pub(crate) lineage: Vec<String>,
    /// Whether entries may have the attribute of passwords, which is none of these.
    has_password: bool,
}

/// An attribute of an object class.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: Arc<str>,
    /// What it is called in filters; none where the server cannot be asked for it.
    pub(crate) asked_as: Option<Arc<str>>,
    pub(crate) form: Form,
    /// Which texts are values of it.
    pub(crate) text: TextSyntax,
    /// Whether it has to be asked for by its name.
    pub(crate) operational: bool,
    /// Whether its values are sent in binary form only.
    pub(crate) in_binary: bool,
    /// Which values are the same to the server; none where it cannot be asked for a value.
    pub(crate) equality: Option<Sameness>,
    /// Which parts of values are; none where it cannot be asked for a part.
    pub(crate) substring: Option<Sameness>,
    /// Whether it can be asked for greater and smaller values.
    pub(crate) ordering: bool,
}

/// Which texts an attribute can have as values, as far as all servers agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextSyntax {
    /// Every text but the empty one.
    Directory,
    /// Texts in ASCII.
    Ascii,
    /// Letters, digits, spaces and some more.
    Printable,
    Uuid,
    Name,
    /// Nobody knows.
    Other,
}

impl Directory {
    /// Asks the server.
    pub(crate) async fn read(pool: &Arc<Pool>) -> Result<Self> {
        let root = RootDse::read(pool).await?;
        let name = root.subschema.clone().unwrap_or_else(|| "cn=subschema".to_owned());
        let mut subschema = read_subschema(pool, &name).await?;
        if root.is_389() {
            subschema.forget_orders_of_foreign_times();
        }
        Self::new(pool.config(), root, subschema)
    }

    /// The directory that a configuration makes of a server's description.
    pub(crate) fn new(config: &LdapConfig, root: RootDse, subschema: Subschema) -> Result<Self> {
        let subschema = Arc::new(subschema);
        let mut missing = Vec::new();
        for name in config.operational_attributes.iter().chain((&*config.identifier != DN).then_some(&config.identifier)) {
            if subschema.attribute_type(name).is_none() && well_known(name).is_none() {
                missing.push(format!("the server's schema has no attribute '{name}'"));
            }
        }
        let structural: Vec<&Class> = subschema.classes().iter().filter(|class| class.kind == ClassKind::Structural).collect();
        let auxiliary: Vec<&Class> = subschema.classes().iter().filter(|class| class.kind == ClassKind::Auxiliary).collect();
        for name in &config.classes {
            if subschema.class(name).is_none_or(|class| class.kind == ClassKind::Abstract) {
                return Err(unknown_class(&subschema, name));
            }
        }
        let wanted = |class: &&Class| {
            config.classes.is_empty()
                || config.classes.iter().any(|name| class.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
        };
        let mut classes = HashMap::new();
        let mut schema = Schema::default();
        for class in structural.iter().chain(&auxiliary).copied().filter(wanted) {
            // An entry can have any auxiliary class besides its own.
            let besides: &[&Class] = if class.kind == ClassKind::Structural { &auxiliary } else { &[] };
            let entry_class = Arc::new(EntryClass::new(config, &subschema, class, besides));
            if classes.insert(Arc::clone(&entry_class.name), Arc::clone(&entry_class)).is_none() {
                schema.classes.push(Arc::clone(&entry_class.definition));
            }
        }
        if schema.classes.is_empty() {
            let message = "the server publishes no object classes; may the name that is bound with read the schema?";
            return Err(Error::config(message));
        }
        Ok(Self { root, subschema, schema, classes, missing, content_synchronization: OnceCell::new() })
    }

    /// Whether changes can be asked for by content synchronization. Tried out once.
    pub(crate) async fn content_synchronization(&self, pool: &Arc<Pool>) -> Result<&Offer> {
        self.content_synchronization.get_or_try_init(|| syncrepl::offer(pool, &self.root, self.identifier_form())).await
    }

    /// The class of this exact name, as far as entries can be of it.
    pub(crate) fn class(&self, name: &str) -> Result<&Arc<EntryClass>> {
        let class = self.classes.get(name).ok_or_else(|| {
            let names = self.classes.keys().map(|known| &**known);
            let hint = nearest(name, names).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            Error::unsupported(format!("the directory has no object class '{name}'{hint}"))
        })?;
        if class.definition.auxiliary {
            let message =
                format!("'{name}' is an auxiliary class: entries have it besides their own class, which is to be named");
            return Err(Error::unsupported(message));
        }
        Ok(class)
    }

    /// Which attributes to ask for of entries of any class.
    pub(crate) fn requested(&self) -> Vec<String> {
        let mut classes: Vec<&EntryClass> = self.classes.values().map(|class| &**class).collect();
        classes.sort_unstable_by_key(|class| &class.name);
        requested(classes)
    }

    /// How the identifier of entries is read.
    pub(crate) fn identifier_form(&self) -> Form {
        // It is the same attribute in all classes.
        self.classes.values().next().map_or(Form::Text, |class| class.identifier().form)
    }

    /// The class of an entry, by the values of its `objectClass`: the most specific structural one.
    pub(crate) fn class_of(&self, values: &[&[u8]]) -> Option<&Arc<EntryClass>> {
        let structural = values
            .iter()
            .filter_map(|value| self.subschema.class(std::str::from_utf8(value).ok()?))
            .filter(|class| class.kind == ClassKind::Structural);
        let most_specific = structural.max_by_key(|class| self.subschema.lineage(class).len())?;
        self.classes.get(most_specific.name())
    }
}

impl EntryClass {
    fn new(config: &LdapConfig, subschema: &Arc<Subschema>, class: &Class, besides: &[&Class]) -> Self {
        let mut builder = Builder {
            config,
            attributes: Vec::new(),
            definitions: Vec::new(),
            by_name: HashMap::new(),
            operational: true,
            has_password: false,
        };
        if &*config.identifier != DN {
            let found = subschema.attribute_type(&config.identifier);
            builder.add(&config.identifier, found, true, Some(false));
        }
        builder.add(DN, None, true, Some(false));
        builder.operational = false;
        if let Some(name) = builder.attributes.last_mut().filter(|_| subschema.attribute_type("entryDN").is_some()) {
            // The name as an attribute (RFC 5020).
            name.asked_as = Some("entryDN".into());
            name.equality = Some(Sameness::Name);
        }
        for (found, required) in subschema.attributes(class) {
            builder.add(found.name(), Some(found), required, None);
        }
        for (found, _) in besides.iter().flat_map(|class| subschema.attributes(class)) {
            builder.add(found.name(), Some(found), false, None);
        }
        builder.operational = true;
        for name in &config.operational_attributes {
            if let Some(found) = subschema.attribute_type(name) {
                builder.add(found.name(), Some(found), false, None);
            } else if well_known(name).is_some() {
                builder.add(name, None, false, None);
            }
        }
        let mut definition = ObjectClass::new(class.name(), &config.identifier);
        definition.naming_attribute = DN.into();
        definition.auxiliary = class.kind == ClassKind::Auxiliary;
        definition.default_account = class.name().eq_ignore_ascii_case("inetOrgPerson");
        definition.attributes = builder.definitions;
        let is_derived = |other: &&Class| {
            other.kind == ClassKind::Structural
                && other.oid != class.oid
                && subschema.lineage(other).iter().any(|above| above.oid == class.oid)
        };
        let derived = subschema.classes().iter().filter(is_derived);
        let mut lineage: Vec<String> = subschema.lineage(class).iter().map(|class| class.name().to_owned()).collect();
        lineage.reverse();
        Self {
            name: Arc::clone(&definition.name),
            definition: Arc::new(definition),
            attributes: builder.attributes,
            by_name: builder.by_name,
            subschema: Arc::clone(subschema),
            has_password: builder.has_password,
            derived: derived.flat_map(|class| class.names.iter().chain([&class.oid])).map(|name| name.to_lowercase()).collect(),
            lineage,
        }
    }

    /// The attribute of a name, in any case, or of an object identifier.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(&name.to_ascii_lowercase()).copied()
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.position(name).map(|at| &self.attributes[at])
    }

    /// The attribute that identifies entries.
    pub(crate) fn identifier(&self) -> &Attribute {
        // It is added before all others.
        &self.attributes[0]
    }

    /// Whether entries are identified by their names.
    pub(crate) fn is_identified_by_name(&self) -> bool {
        &*self.identifier().name == DN
    }

    /// How names are spelled: as what they name is identified, where it is identified by its name.
    pub(crate) fn spelling(&self) -> Spelling {
        if self.is_identified_by_name() { Spelling::Identifier } else { Spelling::Shown }
    }

    /// A name in the one spelling that is used.
    pub(crate) fn spelled(&self, name: String) -> String {
        dn::spelled(name, &self.subschema, self.spelling())
    }

    /// A value of an attribute out of its bytes. The error says what it is not.
    pub(crate) fn read(&self, attribute: &Attribute, bytes: &[u8]) -> Result<Value, &'static str> {
        match attribute.form.read(bytes)? {
            Value::String(name) if attribute.form == Form::Name => Ok(Value::string(self.spelled(name.into()))),
            value => Ok(value),
        }
    }

    /// Whether classes are derived from it, so that not every entry that has it is of it.
    pub(crate) fn has_derived(&self) -> bool {
        !self.derived.is_empty()
    }

    /// Whether an entry that has this value among its object classes is of a class derived from this one.
    pub(crate) fn is_derived(&self, value: &str) -> bool {
        self.derived.contains(&value.to_lowercase())
    }

    /// Which attributes to ask for.
    pub(crate) fn requested(&self) -> Vec<String> {
        requested([self])
    }
}

/// Which attributes to ask for of entries of these classes. Passwords are not among them: what is not sent cannot be overheard. Where
/// there are none, it costs the server less to be asked for everything.
fn requested<'a>(classes: impl IntoIterator<Item = &'a EntryClass> + Clone) -> Vec<String> {
    let everything = !classes.clone().into_iter().any(|class| class.has_password);
    let mut names: Vec<String> = vec![if everything { "*" } else { "objectClass" }.to_owned()];
    let mut known: HashSet<String> = HashSet::from_iter(["objectclass".to_owned(), DN.to_owned()]);
    for attribute in classes.into_iter().flat_map(|class| &class.attributes) {
        if (!everything || attribute.operational) && known.insert(attribute.name.to_lowercase()) {
            names.push(attribute.name.to_string());
        }
    }
    names
}

struct Builder<'a> {
    config: &'a LdapConfig,
    attributes: Vec<Attribute>,
    definitions: Vec<AttributeDefinition>,
    by_name: HashMap<String, usize>,
    /// Whether what is added has to be asked for by its name.
    operational: bool,
    /// Whether the attribute of passwords was to be added.
    has_password: bool,
}

impl Builder<'_> {
    /// Adds an attribute, unless it is there already. Under which name is not left to the server where we name it ourselves.
    fn add(&mut self, name: &str, found: Option<&AttributeType>, required: bool, multi_valued: Option<bool>) {
        let hidden = |name: &str| name.eq_ignore_ascii_case(&self.config.password_attribute);
        let names =
            || found.into_iter().flat_map(|found| found.names.iter().chain([&found.oid])).map(String::as_str).chain([name]);
        if names().any(hidden) {
            self.has_password = true;
            return;
        }
        if names().any(|name| self.by_name.contains_key(&name.to_ascii_lowercase())) {
            return;
        }
        let form = form(name, found, self.config.timestamps);
        let multi_valued = multi_valued.unwrap_or_else(|| found.is_none_or(|found| !found.single_valued));
        let at = self.attributes.len();
        for known in names() {
            self.by_name.entry(known.to_ascii_lowercase()).or_insert(at);
        }
        let mut definition = AttributeDefinition::text(name);
        definition.value_type = match form {
            Form::Text | Form::Name | Form::Guid | Form::Time(TimestampForm::Text) => ValueType::String,
            Form::Integer | Form::Time(TimestampForm::UnixEpoch) => ValueType::Integer,
            Form::Boolean => ValueType::Boolean,
            Form::Time(TimestampForm::Native) => ValueType::DateTime,
            Form::Binary => ValueType::Binary,
        };
        definition.multi_valued = multi_valued;
        definition.required = required;
        definition.matching_rule = rule(name, found, form);
        self.attributes.push(Attribute {
            name: Arc::clone(&definition.name),
            asked_as: (name != DN).then(|| Arc::clone(&definition.name)),
            form,
            text: text_syntax(name, found),
            operational: self.operational,
            in_binary: found.is_some_and(is_in_binary),
            equality: match found {
                Some(found) => found.equality,
                None => well_known(name).filter(|_| name != DN).map(|(_, sameness)| sameness),
            },
            substring: found.and_then(|found| found.substring),
            ordering: found.is_some_and(|found| found.ordering),
        });
        self.definitions.push(definition);
    }
}

/// What is known of an attribute that a server has without publishing it.
fn well_known(name: &str) -> Option<(Form, Sameness)> {
    Some(match name.to_ascii_lowercase().as_str() {
        DN | "memberof" => (Form::Name, Sameness::Name),
        "entryuuid" | "ipauniqueid" => (Form::Text, Sameness::Uuid),
        "nsuniqueid" | "guid" => (Form::Text, Sameness::IgnoreCase),
        "objectguid" => (Form::Guid, Sameness::Uuid),
        _ => return None,
    })
}

/// How values are read, by the syntax (RFC 4517, 3.3).
fn form(name: &str, found: Option<&AttributeType>, timestamps: TimestampForm) -> Form {
    if let Some((form, _)) = well_known(name) {
        return form;
    }
    let syntax = found.and_then(|found| found.syntax.as_deref()).unwrap_or_default();
    match syntax.strip_prefix("1.3.6.1.4.1.1466.115.121.1.") {
        Some("7") => Form::Boolean,
        Some("12" | "34") => Form::Name,
        Some("24") => Form::Time(timestamps),
        Some("27") => Form::Integer,
        Some("4" | "5" | "8" | "9" | "10" | "23" | "28" | "40" | "49") => Form::Binary,
        _ if found.is_some_and(|found| found.is_binary) => Form::Binary,
        _ => Form::Text,
    }
}

fn text_syntax(name: &str, found: Option<&AttributeType>) -> TextSyntax {
    if name == DN {
        return TextSyntax::Name;
    }
    match found.and_then(|found| found.syntax.as_deref()).unwrap_or_default() {
        "1.3.6.1.4.1.1466.115.121.1.15" => TextSyntax::Directory,
        "1.3.6.1.4.1.1466.115.121.1.26" => TextSyntax::Ascii,
        "1.3.6.1.4.1.1466.115.121.1.44" | "1.3.6.1.4.1.1466.115.121.1.50" => TextSyntax::Printable,
        "1.3.6.1.4.1.1466.115.121.1.12" => TextSyntax::Name,
        "1.3.6.1.1.16.1" => TextSyntax::Uuid,
        _ => TextSyntax::Other,
    }
}

/// Whether values have no other form than the binary one, as those of certificates.
fn is_in_binary(found: &AttributeType) -> bool {
    let syntax = found.syntax.as_deref().unwrap_or_default();
    found.is_sent_in_binary || matches!(syntax.strip_prefix("1.3.6.1.4.1.1466.115.121.1."), Some("8" | "9" | "10" | "49"))
}

/// When two values are the same: as the server compares them, as far as that is known.
fn rule(name: &str, found: Option<&AttributeType>, form: Form) -> MatchingRule {
    if let Some((_, sameness)) = well_known(name) {
        return sameness.rule();
    }
    match form {
        Form::Name => MatchingRule::DistinguishedName,
        Form::Guid => MatchingRule::Uuid,
        Form::Text => found.and_then(|found| found.equality).map_or(MatchingRule::Exact, Sameness::rule),
        _ => MatchingRule::Exact,
    }
}

async fn read_subschema(pool: &Arc<Pool>, name: &str) -> Result<Subschema> {
    let request = Request::Search(Search::entry(name, &["attributeTypes", "objectClasses", "matchingRules", "ldapSyntaxes"]));
    let mut lease = pool.lease().await?;
    let server = lease.server().to_owned();
    lease.begin(&request, &[]).await?;
    let mut schema = None;
    loop {
        let message = lease.next(Some(pool.config().read_timeout)).await?;
        match message.tag {
            answer::ENTRY => schema = Some(parse_subschema(&message).map_err(|_| not_ldap(&server))?),
            answer::DONE => {
                lease.ended();
                let outcome = message.outcome().map_err(|_| not_ldap(&server))?;
                outcome.check(&format!("cannot read the schema of {server} in '{name}'"))?;
                let message = format!("{server} shows no schema in '{name}'; may the name that is bound with read it?");
                return schema.ok_or_else(|| Error::new(ErrorKind::Denied, message));
            }
            _ => {}
        }
    }
}

fn parse_subschema(message: &Message) -> Result<Subschema, crate::ber::Malformed> {
    let entry = message.entry()?;
    Ok(Subschema::new(&Descriptions {
        attribute_types: entry.values_of("attributeTypes")?,
        object_classes: entry.values_of("objectClasses")?,
        matching_rules: entry.values_of("matchingRules")?,
        ldap_syntaxes: entry.values_of("ldapSyntaxes")?,
    }))
}

fn unknown_class(subschema: &Subschema, name: &str) -> Error {
    let names = subschema.classes().iter().map(Class::name);
    let hint = nearest(name, names).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
    Error::config(format!("the directory has no object class '{name}', which 'objectClasses' names{hint}"))
}
