//! How lists, mappings and words are handed to serde, one part at a time.

use super::de::{Error, NodeDe, SPANNED};
use super::tree::{At, Entry, Key, Node};
use crate::problem::Place;
use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// A list's elements.
pub(super) struct ItemAccess<'n, 'a> {
    list: NodeDe<'n, 'a>,
    items: std::slice::Iter<'n, Node<'a>>,
}

impl<'n, 'a> ItemAccess<'n, 'a> {
    pub(super) fn new(list: NodeDe<'n, 'a>, items: &'n [Node<'a>]) -> Self {
        Self { list, items: items.iter() }
    }
}

impl<'n, 'a: 'n> SeqAccess<'n> for ItemAccess<'n, 'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.items.next().map(|node| seed.deserialize(NodeDe { node, ..self.list })).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A mapping's entries.
pub(super) struct EntryAccess<'n, 'a> {
    mapping: NodeDe<'n, 'a>,
    entries: std::vec::IntoIter<&'n Entry<'a>>,
    value: Option<&'n Entry<'a>>,
}

impl<'n, 'a> EntryAccess<'n, 'a> {
    pub(super) fn new(mapping: NodeDe<'n, 'a>, entries: Vec<&'n Entry<'a>>) -> Self {
        Self { mapping, entries: entries.into_iter(), value: None }
    }
}

impl<'n, 'a: 'n> MapAccess<'n> for EntryAccess<'n, 'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.value = self.entries.next();
        self.value.map(|entry| seed.deserialize(KeyDe(&entry.key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = self.value.take().ok_or(Error::Reported)?;
        let hidden = self.mapping.hidden || self.mapping.reader.hidden.contains(&&*entry.key.text);
        seed.deserialize(NodeDe { node: &entry.value, hidden, ..self.mapping })
    }
}

/// A key: its text, with its place where that is asked for.
struct KeyDe<'n, 'a>(&'n Key<'a>);

impl<'n, 'a: 'n> Deserializer<'n> for KeyDe<'n, 'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.0.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            SPANNED => visitor.visit_seq(SpannedKeyAccess { key: self.0, given: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! { <W: Visitor<'n>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct SpannedKeyAccess<'n, 'a> {
    key: &'n Key<'a>,
    given: u8,
}

impl<'n, 'a: 'n> SeqAccess<'n> for SpannedKeyAccess<'n, 'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.given += 1;
        match self.given {
            1 => give_place(seed, self.key.at),
            2 => seed.deserialize(KeyDe(self.key)).map(Some),
            _ => Ok(None),
        }
    }
}

/// A value and, before it, its place.
pub(super) struct SpannedAccess<'n, 'a> {
    node: NodeDe<'n, 'a>,
    given: u8,
}

impl<'n, 'a> SpannedAccess<'n, 'a> {
    pub(super) fn new(node: NodeDe<'n, 'a>) -> Self {
        Self { node, given: 0 }
    }
}

impl<'n, 'a: 'n> SeqAccess<'n> for SpannedAccess<'n, 'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.given += 1;
        match self.given {
            1 => give_place(seed, self.node.node.at()),
            2 => seed.deserialize(self.node).map(Some),
            _ => Ok(None),
        }
    }
}

fn give_place<'n, T: DeserializeSeed<'n>>(seed: T, at: At) -> Result<Option<T::Value>, Error> {
    let Place { line, column, length, byte } = at.into();
    let byte = byte.and_then(|byte| u32::try_from(byte).ok()).unwrap_or_default();
    seed.deserialize(SeqDeserializer::new([line, column, length, byte].into_iter())).map(Some)
}

/// A value that is given, or nothing when it cannot be read: the failure is reported and ends here.
pub(super) struct OneAccess<'n, 'a> {
    node: NodeDe<'n, 'a>,
}

impl<'n, 'a> OneAccess<'n, 'a> {
    pub(super) fn new(node: NodeDe<'n, 'a>) -> Self {
        Self { node }
    }
}

impl<'n, 'a: 'n> SeqAccess<'n> for OneAccess<'n, 'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match seed.deserialize(self.node) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.node.settle(error);
                Ok(None)
            }
        }
    }
}

/// A word that chooses a variant without content.
pub(super) struct WordAccess(pub(super) &'static str);

impl<'n> EnumAccess<'n> for WordAccess {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'n>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let word: StrDeserializer<'_, Error> = self.0.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'n> VariantAccess<'n> for WordAccess {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'n>>(self, _: T) -> Result<T::Value, Error> {
        Err(Error::Expected("a mapping".to_owned()))
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::Expected("a list".to_owned()))
    }

    fn struct_variant<V: Visitor<'n>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        Err(Error::Expected("a mapping".to_owned()))
    }
}

/// A node whose kind chooses the variant; the node itself is the content.
pub(super) struct KindAccess<'n, 'a> {
    pub(super) kind: &'static str,
    pub(super) node: NodeDe<'n, 'a>,
}

impl<'n, 'a: 'n> EnumAccess<'n> for KindAccess<'n, 'a> {
    type Error = Error;
    type Variant = NodeDe<'n, 'a>;

    fn variant_seed<V: DeserializeSeed<'n>>(self, seed: V) -> Result<(V::Value, Self::Variant), Error> {
        let kind: StrDeserializer<'_, Error> = self.kind.into_deserializer();
        Ok((seed.deserialize(kind)?, self.node))
    }
}

impl<'n, 'a: 'n> VariantAccess<'n> for NodeDe<'n, 'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'n>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'n>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_struct("", fields, visitor)
    }
}
