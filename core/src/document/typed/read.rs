//! CBOR to Rust types.

use alloc::format;
use alloc::string::ToString;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::{TIMESTAMP, UUID};
use crate::document::Value;
use crate::document::cbor::{DEPTH_MAX, Head, Reader, too_deep};
use crate::document::value::whole;
use crate::error::{Error, Result};

/// Reads items one after another.
pub(super) struct Documents<'de> {
    reader: Reader<'de>,
    depth: usize,
}

impl<'de> Documents<'de> {
    pub fn new(bytes: &'de [u8]) -> Self {
        Self { reader: Reader::new(bytes), depth: 0 }
    }

    /// Refuses what is left.
    pub fn end(&self) -> Result<()> {
        if self.reader.is_at_end() { Ok(()) } else { Err(self.reader.refuse("more follows the document")) }
    }

    fn text(&self, text: &'de [u8]) -> Result<&'de str> {
        str::from_utf8(text).map_err(|_| self.reader.refuse("text before this is not UTF-8"))
    }

    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        let outcome = read(self)?;
        self.depth -= 1;
        Ok(outcome)
    }

    fn give<V: Visitor<'de>>(&mut self, head: Head<'de>, visitor: V) -> Result<V::Value> {
        match head {
            Head::Null => visitor.visit_unit(),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Unsigned(value) => visitor.visit_u64(value),
            Head::Negative(value) => match i64::try_from(-1 - i128::from(value)) {
                Ok(integer) => visitor.visit_i64(integer),
                Err(_) => visitor.visit_i128(-1 - i128::from(value)),
            },
            Head::Float(float) => visitor.visit_f64(float),
            Head::Text(text) => visitor.visit_borrowed_str(self.text(text)?),
            Head::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::Array(left) => self.within(|documents| {
                let mut items = Items { documents, left, fields: &[], next: 0 };
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }),
            Head::Map(left) => self.map(left, &[], visitor),
            Head::Timestamp(micros) => {
                visitor.visit_map(de::value::MapDeserializer::new([(TIMESTAMP, micros)].into_iter()))
            }
            Head::Uuid(uuid) => {
                let text = Value::Uuid(*uuid).to_string();
                visitor.visit_map(de::value::MapDeserializer::new([(UUID, text)].into_iter()))
            }
        }
    }

    fn map<V: Visitor<'de>>(&mut self, left: u64, fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.within(|documents| {
            let mut items = Items { documents, left, fields, next: 0 };
            let value = visitor.visit_map(&mut items)?;
            items.end()?;
            Ok(value)
        })
    }

    fn any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let head = self.reader.head()?;
        self.give(head, visitor)
    }

    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.reader.take_short_text() {
            Some(text) => visitor.visit_borrowed_str(self.text(text)?),
            None => self.any(visitor),
        }
    }

    fn float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.reader.take_float() {
            Some(float) => visitor.visit_f64(float),
            None => self.any(visitor),
        }
    }

    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if let Some(integer) = self.reader.take_unsigned() {
            return visitor.visit_u64(integer);
        }
        match self.reader.head()? {
            Head::Timestamp(micros) => visitor.visit_i64(micros),
            Head::Float(float) => match whole(float).map(|integer| (u64::try_from(integer), i64::try_from(integer))) {
                Some((Ok(integer), _)) => visitor.visit_u64(integer),
                Some((_, Ok(integer))) => visitor.visit_i64(integer),
                _ => visitor.visit_f64(float),
            },
            head => self.give(head, visitor),
        }
    }

    fn sequence<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let bytes = match self.reader.head()? {
            Head::Bytes(bytes) => bytes,
            Head::Uuid(uuid) => uuid,
            head => return self.give(head, visitor),
        };
        visitor.visit_seq(de::value::SeqDeserializer::new(bytes.iter().copied()))
    }

    fn bytes<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.reader.head()? {
            Head::Uuid(uuid) => visitor.visit_borrowed_bytes(uuid),
            head => self.give(head, visitor),
        }
    }
}

macro_rules! read_as {
    ($($read:ident: $($method:ident)*;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.$read(visitor)
        }
    )*)*};
}

impl<'de> de::Deserializer<'de> for &mut Documents<'de> {
    type Error = Error;

    read_as! {
        any: deserialize_any;
        string: deserialize_str deserialize_string;
        float: deserialize_f32 deserialize_f64;
        integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128;
        sequence: deserialize_seq;
        bytes: deserialize_bytes deserialize_byte_buf;
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.sequence(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _len: usize, visitor: V) -> Result<V::Value> {
        self.sequence(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.reader.take_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.reader.head()? {
            Head::Text(name) => visitor.visit_enum(self.text(name)?.into_deserializer()),
            Head::Map(1) => self.within(|documents| visitor.visit_enum(Variant(documents))),
            _ => Err(self
                .reader
                .refuse("a variant is its name, or a map of it to what it holds, and before this is neither")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.reader.head()? {
            Head::Map(left) => self.map(left, fields, visitor),
            head => self.give(head, visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.reader.item()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool char unit unit_struct map identifier
    }
}

/// What is in an array or a map.
struct Items<'r, 'de> {
    documents: &'r mut Documents<'de>,
    left: u64,
    /// The names that a struct asks for, and which of them is likely to come next: they were written in their order.
    fields: &'static [&'static str],
    next: usize,
}

impl Items<'_, '_> {
    /// The name that a struct asks for, where it is this one: then it is known to be text.
    #[inline]
    fn asked_for(&mut self, name: &[u8]) -> Option<&'static str> {
        let (before, from) = self.fields.split_at_checked(self.next)?;
        let ahead = from.iter().chain(before).position(|field| field.as_bytes() == name)?;
        let at = (self.next + ahead) % self.fields.len();
        self.next = at + 1;
        self.fields.get(at).copied()
    }

    fn end(&self) -> Result<()> {
        match self.left {
            0 => Ok(()),
            left => Err(Error::invalid(format!("the type takes fewer elements than there are: {left} are left"))),
        }
    }
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.documents).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let name = self.documents.reader.name()?;
        let name = match self.asked_for(name) {
            Some(name) => name,
            None => self.documents.text(name)?,
        };
        seed.deserialize(Name(name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(&mut *self.documents)
    }
}

/// The name and the content of a variant.
struct Variant<'r, 'de>(&'r mut Documents<'de>);

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        let name = self.0.reader.name()?;
        let name = seed.deserialize(BorrowedStrDeserializer::<Error>::new(self.0.text(name)?))?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        de::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.0.sequence(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_any(self.0, visitor)
    }
}

/// Reads keys of maps, which are text.
struct Name<'de>(&'de str);

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Name<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.0)
    }

    parsed! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
