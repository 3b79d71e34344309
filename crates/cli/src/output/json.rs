//! Objects and failures as JSON: midPoint's form, flattened.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};
use tidelock_model::name::ns;
use tidelock_model::object::{Focus, ResourceObject, Shadow, TypeId};
use tidelock_model::value::Values;
use tidelock_model::{Diagnostic, Items, Oid, QName, Reference, Value};
use tidelock_repo::OperationResult;

/// What is printed in place of a result where something is wrong.
#[derive(Debug, Serialize)]
pub(crate) struct Wrong<'a> {
    pub(crate) error: &'a Diagnostic,
    pub(crate) diagnostics: &'a [Diagnostic],
}

/// A list that is as long as it turns out to be: its elements are written as they come.
pub(crate) struct List<W: std::io::Write> {
    out: W,
    elements: u64,
}

impl<W: std::io::Write> List<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, elements: 0 }
    }

    pub(crate) fn push(&mut self, element: &impl Serialize) -> std::io::Result<()> {
        self.out.write_all(if self.elements == 0 { b"[\n" } else { b",\n" })?;
        self.elements += 1;
        Ok(serde_json::to_writer(&mut self.out, element)?)
    }

    /// Writes the end. Gives the number of elements.
    pub(crate) fn finish(mut self) -> std::io::Result<u64> {
        self.out.write_all(if self.elements == 0 { b"[]\n" } else { b"\n]\n" })?;
        self.out.flush()?;
        Ok(self.elements)
    }
}

/// Items in their plain form: what the schema knows the type of (dates, names, references) is written without it.
pub(crate) struct Plain<'a, T>(pub(crate) &'a T);

impl Serialize for Plain<'_, Items> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, values)| (&**key, Plain(values))))
    }
}

impl Serialize for Plain<'_, Values> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [value] => Plain(value).serialize(serializer),
            values => serializer.collect_seq(values.iter().map(Plain)),
        }
    }
}

impl Serialize for Plain<'_, Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::DateTime(timestamp) => serializer.collect_str(timestamp),
            Value::QName(name) => serializer.serialize_str(&name.to_short()),
            Value::Reference(reference) => plain_reference(reference).serialize(serializer),
            Value::Container(items) => Plain(&**items).serialize(serializer),
            value => value.serialize(serializer),
        }
    }
}

/// One object of `get`: its OID and type before everything else.
#[derive(Debug, Serialize)]
pub(crate) struct Object<'a, C: Serialize> {
    pub(crate) oid: Option<String>,
    #[serde(rename = "type")]
    pub(crate) object_type: &'a str,
    #[serde(flatten)]
    pub(crate) content: C,
    #[serde(flatten)]
    pub(crate) more: Map<String, Json>,
}

/// A focus, with references to the shadows linked to it.
pub(crate) fn focus<'a>(focus: &'a Focus, links: impl IntoIterator<Item = Oid>) -> Object<'a, Plain<'a, Items>> {
    let links: Vec<Json> = links.into_iter().map(|oid| reference(&oid, "ShadowType")).collect();
    let mut more = Map::new();
    match links.len() {
        0 => {}
        1 => more.extend(links.into_iter().map(|link| ("linkRef".to_owned(), link))),
        _ => drop(more.insert("linkRef".to_owned(), Json::Array(links))),
    }
    Object { oid: Some(focus.oid.to_string()), object_type: focus.focus_type.type_name(), content: Plain(&focus.content), more }
}

/// A shadow, from its items (see [`shadow_items`]), with its owner and what happened to it.
pub(crate) fn shadow<'a>(
    shadow: &Shadow,
    items: &'a Items,
    owner_type: &str,
    results: &[OperationResult],
) -> Object<'a, Plain<'a, Items>> {
    let mut more = Map::new();
    if let Some(owner) = &shadow.owner {
        more.insert("owner".to_owned(), json!({ "oid": owner.to_string(), "type": owner_type }));
    }
    if !results.is_empty() {
        more.insert("operationExecution".to_owned(), results.iter().map(result).collect());
    }
    Object { oid: Some(shadow.oid.to_string()), object_type: "ShadowType", content: Plain(items), more }
}

/// An object as it is on a resource: what a shadow of it would say that knows nothing else.
pub(crate) fn resource_object(items: &Items) -> Object<'_, Plain<'_, Items>> {
    Object { oid: None, object_type: "ShadowType", content: Plain(items), more: Map::new() }
}

/// A shadow's content as midPoint names it.
pub(crate) fn shadow_items(shadow: &Shadow) -> Items {
    let kind = shadow.object_type.as_ref().map_or("unknown", |t| t.kind.as_str());
    let intent = shadow.object_type.as_ref().map_or("unknown", |t| t.intent.as_str());
    let mut items = Items::with_capacity(14);
    let mut put = |name: &str, value: Value| items.push(name.into(), Values::from_iter([value]));
    put("name", Value::string(&*shadow.name));
    put("resourceRef", resource_reference(&shadow.resource));
    put("objectClass", object_class(&shadow.class));
    put("primaryIdentifierValue", Value::string(&*shadow.identifier));
    put("kind", Value::string(kind));
    put("intent", Value::string(intent));
    if !shadow.attributes.is_empty() {
        put("attributes", Value::Container(Box::new(shadow.attributes.clone())));
    }
    if let Some(situation) = shadow.situation {
        put("synchronizationSituation", Value::string(situation.as_str()));
    }
    if let Some(at) = shadow.synchronized {
        put("synchronizationTimestamp", Value::DateTime(at));
    }
    if let Some(at) = shadow.fully_synchronized {
        put("fullSynchronizationTimestamp", Value::DateTime(at));
    }
    put("dead", Value::Boolean(shadow.dead));
    put("exists", Value::Boolean(!shadow.dead));
    items
}

/// A resource object's content as midPoint names it. The OID of a resource that is not stored is not known.
/// Kind and intent are those that the object would be classified as now.
pub(crate) fn resource_object_items(
    object: &ResourceObject,
    resource: Option<&Oid>,
    name: Option<&Value>,
    object_type: Option<&TypeId>,
) -> Items {
    let mut items = Items::with_capacity(8);
    let mut put = |name: &str, value: Value| items.push(name.into(), Values::from_iter([value]));
    put("name", name.cloned().unwrap_or_else(|| Value::string(&*object.identifier)));
    if let Some(resource) = resource {
        put("resourceRef", resource_reference(resource));
    }
    put("objectClass", object_class(&object.class));
    put("primaryIdentifierValue", Value::string(&*object.identifier));
    put("kind", Value::string(object_type.map_or("unknown", |t| t.kind.as_str())));
    put("intent", Value::string(object_type.map_or("unknown", |t| t.intent.as_str())));
    if !object.attributes.is_empty() {
        put("attributes", Value::Container(Box::new(object.attributes.clone())));
    }
    items
}

/// A stored definition in midPoint's JSON form, flattened; secrets are left out.
pub(crate) fn definition(oid: Option<&Oid>, type_name: &str, document: Json) -> Json {
    let mut flat = Map::new();
    flat.insert("oid".to_owned(), oid.map_or(Json::Null, |oid| Json::String(oid.to_string())));
    flat.insert("type".to_owned(), Json::String(type_name.to_owned()));
    if let Json::Object(document) = document {
        for (key, value) in document {
            // The one member that is not about the document itself is the object.
            if let Json::Object(content) = value
                && !key.starts_with('@')
            {
                flat.extend(content.into_iter().filter(|(key, _)| key != "oid" && !key.starts_with('@')));
            }
        }
    }
    let mut json = Json::Object(flat);
    hide_secrets(&mut json);
    json
}

/// Replaces clear values of protected strings.
fn hide_secrets(json: &mut Json) {
    match json {
        Json::Object(members) => {
            for (key, value) in members {
                let local = key.rsplit([':', '#', '/']).next().unwrap_or(key);
                if matches!(local, "clearValue" | "encryptedData" | "hashedData") {
                    *value = Json::String("***".to_owned());
                } else {
                    hide_secrets(value);
                }
            }
        }
        Json::Array(values) => values.iter_mut().for_each(hide_secrets),
        _ => {}
    }
}

fn result(result: &OperationResult) -> Json {
    let mut json = json!({
        "timestamp": result.at.to_string(),
        "status": result.status.as_str(),
        "taskRef": reference(&result.task, "TaskType"),
        "activityPath": &*result.activity,
    });
    if let (Some(message), Json::Object(members)) = (&result.message, &mut json) {
        members.insert("message".to_owned(), Json::String(message.to_string()));
    }
    json
}

fn object_class(class: &str) -> Value {
    Value::QName(QName::new(ns::RI, class))
}

fn resource_reference(resource: &Oid) -> Value {
    Value::Reference(Box::new(Reference {
        oid: resource.clone(),
        target_type: Some(QName::common("ResourceType")),
        relation: None,
    }))
}

fn reference(oid: &Oid, type_name: &str) -> Json {
    json!({ "oid": oid.to_string(), "type": format!("c:{type_name}") })
}

fn plain_reference(reference: &Reference) -> Json {
    let name = |name: &QName| match name.namespace() {
        None | Some(ns::COMMON) => format!("c:{}", name.local()),
        Some(_) => name.to_short(),
    };
    let mut json = json!({ "oid": reference.oid.to_string() });
    if let Json::Object(members) = &mut json {
        members.extend(reference.target_type.iter().map(|t| ("type".to_owned(), Json::String(name(t)))));
        members.extend(reference.relation.iter().map(|r| ("relation".to_owned(), Json::String(r.to_short()))));
    }
    json
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use expect_test::expect;
    use tidelock_model::Timestamp;
    use tidelock_model::object::{FocusType, Intent, Kind, Situation};
    use tidelock_model::value::Value;

    use super::*;

    fn one(value: Value) -> Values {
        Values::from_iter([value])
    }

    #[test]
    fn a_shadow_is_printed_in_midpoints_form() {
        let stored = Shadow {
            oid: Oid::new("00000000-0000-0000-0000-000000000001"),
            resource: Oid::new("00000000-0000-0000-0000-000000000002"),
            class: "AccountObjectClass".into(),
            identifier: "e1".into(),
            name: "ann".into(),
            object_type: Some(TypeId { kind: Kind::Account, intent: Intent::default_intent() }),
            attributes: [("uid".into(), one("e1".into()))].into_iter().collect(),
            situation: Some(Situation::Linked),
            owner: Some(Oid::new("00000000-0000-0000-0000-000000000003")),
            dead: false,
            synchronized: Some(Timestamp::from_millis(0)),
            fully_synchronized: None,
        };
        let items = shadow_items(&stored);
        expect![[r#"
            {
              "oid": "00000000-0000-0000-0000-000000000001",
              "type": "ShadowType",
              "name": "ann",
              "resourceRef": {
                "oid": "00000000-0000-0000-0000-000000000002",
                "type": "c:ResourceType"
              },
              "objectClass": "ri:AccountObjectClass",
              "primaryIdentifierValue": "e1",
              "kind": "account",
              "intent": "default",
              "attributes": {
                "uid": "e1"
              },
              "synchronizationSituation": "linked",
              "synchronizationTimestamp": "1970-01-01T00:00:00.000Z",
              "dead": false,
              "exists": true,
              "owner": {
                "oid": "00000000-0000-0000-0000-000000000003",
                "type": "UserType"
              }
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&shadow(&stored, &items, "UserType", &[])).unwrap());
    }

    #[test]
    fn a_single_value_stands_alone_and_several_are_a_list() {
        let stored = Focus {
            oid: Oid::new("u"),
            focus_type: FocusType::User,
            version: 1,
            content: [
                ("name".into(), one("ann".into())),
                ("organization".into(), ["Sales", "Ops"].into_iter().map(Value::from).collect()),
            ]
            .into_iter()
            .collect(),
        };
        expect![[r#"{"oid":"u","type":"UserType","name":"ann","organization":["Sales","Ops"],"linkRef":{"oid":"s","type":"c:ShadowType"}}"#]]
            .assert_eq(&serde_json::to_string(&focus(&stored, [Oid::new("s")])).unwrap());
    }

    #[test]
    fn secrets_of_a_definition_stay_secret() {
        let document =
            json!({ "resource": { "oid": "r", "name": "LDAP", "x": [{ "gen:password": { "t:clearValue": "hush" } }] } });
        expect![[r#"{"oid":"r","type":"ResourceType","name":"LDAP","x":[{"gen:password":{"t:clearValue":"***"}}]}"#]]
            .assert_eq(&definition(Some(&Oid::new("r")), "ResourceType", document).to_string());
    }

    #[test]
    fn a_list_is_valid_whatever_its_length() {
        for length in 0..3 {
            let mut out = Vec::new();
            let mut list = List::new(&mut out);
            for n in 0..length {
                list.push(&n).unwrap();
            }
            list.finish().unwrap();
            let read: Vec<u64> = serde_json::from_slice(&out).unwrap();
            assert_eq!(read, (0..length).collect::<Vec<_>>());
        }
    }
}
