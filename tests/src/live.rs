//! Accounts whose changes are followed: definitions of a resource and its tasks, and the account file.
//!
//! An account has an `id`, a `login` that becomes the person's name, a `mail`, and a `seq` that grows with every change, so that what was
//! applied, and in which order, can be told (see [`crate::audit`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::Home;

/// The OID of the resource.
pub const RESOURCE: &str = "7d1e5b00-0000-4000-8000-000000000001";

/// The namespace of the CSV connector's configuration.
pub const CSV: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/bundle/com.evolveum.polygon.connector-csv/com.evolveum.polygon.connector.csv.CsvConnector";

/// The namespace of the configuration of sources of messages.
pub const ASYNC: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/builtin-1/bundle/com.evolveum.midpoint.provisioning.ucf.impl.builtin.async.update/AsyncUpdateConnector";

/// An account of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Grows with every change.
    pub seq: u64,
    /// The person's name.
    pub login: String,
}

/// The accounts by their ids.
pub type Accounts = BTreeMap<String, Account>;

/// An account whose login is its id.
#[must_use]
pub fn account(id: &str, seq: u64) -> (String, Account) {
    (id.to_owned(), Account { seq, login: id.to_owned() })
}

/// A resource file. `connection` is what says how the resource is reached.
#[must_use]
pub fn resource(connection: &str) -> String {
    let inbound = |attribute: &str, item: &str, strength: &str| {
        format!(
            "<attribute><ref>ri:{attribute}</ref><inbound><strength>{strength}</strength>\
             <target><path>{item}</path></target></inbound></attribute>\n"
        )
    };
    let mappings = inbound("login", "name", "strong")
        + &inbound("seq", "employeeNumber", "strong")
        + &inbound("mail", "emailAddress", "strong");
    let reaction = |situation: &str, action: &str| {
        format!("<reaction><situation>{situation}</situation><actions><{action}/></actions></reaction>\n")
    };
    let reactions = [("linked", "synchronize"), ("unlinked", "link"), ("unmatched", "addFocus"), ("deleted", "deleteFocus")];
    let reactions: String = reactions.iter().map(|(situation, action)| reaction(situation, action)).collect();
    format!(
        r#"<resource oid="{RESOURCE}" xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
  xmlns:c="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
  xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3"
  xmlns:cap="http://midpoint.evolveum.com/xml/ns/public/resource/capabilities-3"
  xmlns:icfc="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3"
  xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3">
<name>Accounts</name>
{connection}
<schemaHandling><objectType>
<kind>account</kind><intent>default</intent><default>true</default>
<delineation><objectClass>ri:AccountObjectClass</objectClass></delineation>
<focus><type>UserType</type></focus>
{mappings}<synchronization>
{reactions}</synchronization>
</objectType></schemaHandling>
<caching><cachingStrategy>passive</cachingStrategy></caching>
</resource>
"#
    )
}

/// How the account file `accounts.csv` is reached.
#[must_use]
pub fn csv_connection() -> String {
    format!(
        r#"<connectorConfiguration><icfc:configurationProperties xmlns:csv="{CSV}">
<csv:filePath>accounts.csv</csv:filePath><csv:fieldDelimiter>,</csv:fieldDelimiter><csv:uniqueAttribute>id</csv:uniqueAttribute>
</icfc:configurationProperties></connectorConfiguration>"#
    )
}

/// A task file with an activity: `work` is the element below `work`, without its object set, and `rest` what follows `work`.
#[must_use]
pub fn task(name: &str, work: &str, items: &str, objects: &str, rest: &str) -> String {
    let set = if objects.is_empty() {
        String::new()
    } else {
        format!("<resourceObjects><resourceRef oid=\"{RESOURCE}\" type=\"c:ResourceType\"/>{objects}</resourceObjects>")
    };
    format!(
        r#"<task xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
  xmlns:c="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
  xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3">
<name>{name}</name>
<activity><work><{work}>{items}{set}</{work}></work>{rest}</activity>
</task>
"#
    )
}

/// The objects that tasks are for, unless a test is about them.
pub const OBJECTS: &str = "<kind>account</kind><intent>default</intent>";

/// Gives a folder the resource with its account file, and the tasks `live.xml`, `import.xml` and `reconcile.xml`.
pub fn prepare_csv(home: &Home, accounts: &Accounts) {
    write(home, accounts);
    home.write("resource.xml", resource(&csv_connection()));
    home.write("live.xml", task("Live", "liveSynchronization", "", OBJECTS, ""));
    home.write("import.xml", task("Import", "import", "", OBJECTS, ""));
    home.write("reconcile.xml", task("Reconcile", "reconciliation", "", OBJECTS, ""));
    let _ = home.tidelock(["apply", "resource.xml"]).expect_exit(0);
}

/// Writes the account file, all at once as a careful exporter does.
pub fn write(home: &Home, accounts: &Accounts) {
    let mut text = String::from("id,login,mail,seq\n");
    for (id, Account { seq, login }) in accounts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{id},{login},{id}.{seq}@example.com,{seq}");
    }
    home.write("accounts.csv.new", text);
    fs::rename(home.path("accounts.csv.new"), home.path("accounts.csv")).unwrap();
}

/// The accounts that the repository knows and believes alive, as they were last seen.
#[must_use]
pub fn known(home: &Home) -> Accounts {
    let shadows = home.get("shadows");
    let alive = shadows.iter().filter(|shadow| shadow["dead"] != true);
    alive
        .map(|shadow| {
            let text = |name: &str| shadow["attributes"][name].as_str().unwrap_or_default().to_owned();
            let seq = text("seq").parse().unwrap_or_default();
            (text("id"), Account { seq, login: text("login") })
        })
        .collect()
}

/// The people, by their names, with the `seq` that they got.
#[must_use]
pub fn people(home: &Home) -> Accounts {
    let users = home.get("users");
    users
        .iter()
        .map(|user| {
            let text = |name: &str| user[name].as_str().unwrap_or_default().to_owned();
            let seq = text("employeeNumber").parse().unwrap_or_default();
            (text("name"), Account { seq, login: text("name") })
        })
        .collect()
}
