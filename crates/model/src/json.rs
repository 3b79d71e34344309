//! The JSON form of values and items, which serves storage and output alike.
//!
//! It is midPoint's: items are members, a single value stands alone, several are a list, and a structured value is an
//! object. Text, whole numbers, fractions and truth values are JSON's own; every other value is an object with `@type`
//! and `@value` (a reference: `@type`, `oid` and what else it has), so that reading gives back exactly what was written.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::name::QName;
use crate::oid::Oid;
use crate::time::Timestamp;
use crate::value::{Items, Reference, Value, Values};

const TYPE: &str = "@type";
const VALUE: &str = "@value";
const REFERENCE: &str = "c:ObjectReferenceType";

impl Serialize for Items {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, values) in self.iter() {
            match values.as_slice() {
                [value] => map.serialize_entry(&**key, value)?,
                values => map.serialize_entry(&**key, values)?,
            }
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::String(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Float(number) if number.is_finite() => serializer.serialize_f64(*number),
            Self::Float(number) => typed(serializer, "xsd:double", &number.to_string()),
            Self::Boolean(flag) => serializer.serialize_bool(*flag),
            Self::DateTime(timestamp) => typed(serializer, "xsd:dateTime", &timestamp.to_string()),
            Self::Binary(_) => typed(serializer, "xsd:hexBinary", &self.to_text().unwrap_or_default()),
            Self::QName(name) => typed(serializer, "xsd:QName", &name.to_uri()),
            Self::Reference(reference) => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry(TYPE, REFERENCE)?;
                map.serialize_entry("oid", &reference.oid.to_string())?;
                if let Some(target_type) = &reference.target_type {
                    map.serialize_entry("type", &target_type.to_uri())?;
                }
                if let Some(relation) = &reference.relation {
                    map.serialize_entry("relation", &relation.to_uri())?;
                }
                map.end()
            }
            Self::Container(items) => items.serialize(serializer),
        }
    }
}

fn typed<S: Serializer>(serializer: S, type_name: &str, text: &str) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry(TYPE, type_name)?;
    map.serialize_entry(VALUE, text)?;
    map.end()
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of items")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Items, A::Error> {
                read_items(map, None)
            }
        }
        deserializer.deserialize_map(ItemsVisitor)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// The values of one item: a list, or a value alone.
struct OneOrMany(Values);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

/// The key of an item, read straight into its shared form.
struct Key(Arc<str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an item")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.into()))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct ValueVisitor;
struct OneOrManyVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::string(text))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Integer).map_err(|_| E::custom("the number is too large"))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Boolean(flag))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(Key(key)) = map.next_key()? else {
            return Ok(Value::Container(Box::new(Items::new())));
        };
        if &*key == TYPE {
            let type_name: String = map.next_value()?;
            return if type_name == REFERENCE { read_reference(map) } else { read_typed(&type_name, map) };
        }
        read_items(map, Some(key)).map(|items| Value::Container(Box::new(items)))
    }
}

impl<'de> Visitor<'de> for OneOrManyVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
        ValueVisitor.visit_str(text).map(one)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<OneOrMany, E> {
        ValueVisitor.visit_i64(number).map(one)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<OneOrMany, E> {
        ValueVisitor.visit_u64(number).map(one)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<OneOrMany, E> {
        ValueVisitor.visit_f64(number).map(one)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<OneOrMany, E> {
        ValueVisitor.visit_bool(flag).map(one)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany, A::Error> {
        ValueVisitor.visit_map(map).map(one)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
        let mut values = Values::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(OneOrMany(values))
    }
}

fn one(value: Value) -> OneOrMany {
    OneOrMany(Values::from_iter([value]))
}

/// Reads the rest of an object whose first key may have been read already.
fn read_items<'de, A: MapAccess<'de>>(mut map: A, first: Option<Arc<str>>) -> Result<Items, A::Error> {
    let mut items = Items::with_capacity(map.size_hint().unwrap_or(8));
    let mut next = match first {
        Some(key) => Some(key),
        None => map.next_key()?.map(|Key(key)| key),
    };
    while let Some(key) = next {
        let OneOrMany(values) = map.next_value()?;
        items.set(key, values);
        next = map.next_key()?.map(|Key(key)| key);
    }
    Ok(items)
}

fn read_typed<'de, A: MapAccess<'de>>(type_name: &str, mut map: A) -> Result<Value, A::Error> {
    let text = match map.next_entry::<String, String>()? {
        Some((key, text)) if key == VALUE => text,
        _ => return Err(de::Error::custom("'@type' must be followed by '@value'")),
    };
    let value = match type_name {
        "xsd:dateTime" => Timestamp::parse(&text).ok().map(Value::DateTime),
        "xsd:double" => text.parse().ok().map(Value::Float),
        "xsd:QName" => Some(Value::QName(QName::from_uri(&text))),
        "xsd:hexBinary" => unhex(&text).map(Value::Binary),
        _ => None,
    };
    value.ok_or_else(|| de::Error::custom(format_args!("not a value of type {type_name}")))
}

fn read_reference<'de, A: MapAccess<'de>>(mut map: A) -> Result<Value, A::Error> {
    let (mut oid, mut target_type, mut relation) = (None, None, None);
    while let Some((key, text)) = map.next_entry::<String, String>()? {
        match key.as_str() {
            "oid" => oid = Some(Oid::new(&text)),
            "type" => target_type = Some(QName::from_uri(&text)),
            "relation" => relation = Some(QName::from_uri(&text)),
            _ => {}
        }
    }
    let oid = oid.ok_or_else(|| de::Error::missing_field("oid"))?;
    Ok(Value::Reference(Box::new(Reference { oid, target_type, relation })))
}

fn unhex(text: &str) -> Option<Box<[u8]>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_of_value_comes_back_as_it_was() {
        let inner: Items = [("administrativeStatus".into(), Values::from_iter([Value::from("enabled")]))].into_iter().collect();
        let reference = Reference { oid: Oid::new("R-1"), target_type: Some(QName::common("RoleType")), relation: None };
        let items: Items = [
            Value::from("Žofia \"x\" \n"),
            Value::Integer(-7),
            Value::Float(3.0),
            Value::Boolean(true),
            Value::DateTime(Timestamp::from_millis(1_764_000_000_123)),
            Value::Binary(vec![0, 255, 16].into()),
            Value::QName(QName::new("urn:x", "y")),
            Value::Reference(Box::new(reference)),
            Value::Container(Box::new(inner)),
            Value::Container(Box::default()),
        ]
        .into_iter()
        .enumerate()
        .map(|(at, value)| (format!("item{at}").into(), Values::from_iter([value.clone(), value])))
        .collect();
        let text = serde_json::to_string(&items).unwrap();
        assert_eq!(serde_json::from_str::<Items>(&text).unwrap(), items);
    }

    #[test]
    fn a_single_value_stands_alone() {
        let items: Items = [("name".into(), Values::from_iter([Value::from("ann")]))].into_iter().collect();
        assert_eq!(serde_json::to_string(&items).unwrap(), r#"{"name":"ann"}"#);
    }
}
