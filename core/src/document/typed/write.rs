//! Rust types to CBOR.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use minicbor::Encoder;
use serde::ser::{self, Impossible, Serialize};

use super::{TIMESTAMP, UUID};
use crate::document::cbor::{DEPTH_MAX, encode, too_deep};
use crate::error::{Error, Result};

/// The CBOR of a value, not yet checked for names that are there twice.
pub(super) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut writer = Writer { out: Encoder::new(Vec::new()), depth: 0, mark: Mark::None };
    value.serialize(&mut writer)?;
    Ok(writer.out.into_writer())
}

struct Writer {
    out: Encoder<Vec<u8>>,
    depth: usize,
    mark: Mark,
}

/// What the next integer or bytes are.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    None,
    Timestamp,
    Uuid,
}

impl Writer {
    fn integer(&mut self, integer: i128) -> Result<()> {
        match (core::mem::replace(&mut self.mark, Mark::None), i64::try_from(integer)) {
            (Mark::Timestamp, Ok(micros)) => encode::write_timestamp(micros, &mut self.out).map_err(encode::failed),
            _ => encode::write_integer(integer, &mut self.out),
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.out.str(text).map(drop).map_err(encode::failed)
    }

    fn null(&mut self) -> Result<()> {
        self.out.null().map(drop).map_err(encode::failed)
    }

    /// Begins an array or a map.
    fn open(&mut self, is_map: bool, announced: Option<usize>) -> Result<Container<'_>> {
        if self.depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        let start = self.out.writer().len();
        if let Some(len) = announced {
            write_head(&mut self.out, is_map, len)?;
        }
        Ok(Container { writer: self, is_map, announced, start, count: 0, is_variant: false })
    }

    /// Begins what is in a variant: a map from its name.
    fn variant(&mut self, name: &str) -> Result<()> {
        if self.depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        write_head(&mut self.out, true, 1)?;
        self.text(name)
    }
}

fn write_head(out: &mut Encoder<Vec<u8>>, is_map: bool, len: usize) -> Result<()> {
    let len = len as u64;
    if is_map { out.map(len) } else { out.array(len) }.map(drop).map_err(encode::failed)
}

/// An array or a map that is being written.
struct Container<'w> {
    writer: &'w mut Writer,
    is_map: bool,
    announced: Option<usize>,
    start: usize,
    count: usize,
    /// Whether it lies in the map of a variant.
    is_variant: bool,
}

impl Container<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.count += 1;
        value.serialize(&mut *self.writer)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        self.writer.text(name)?;
        self.element(value)
    }

    fn close(self) -> Result<()> {
        match self.announced {
            Some(len) if len == self.count => {}
            Some(len) => {
                let count = self.count;
                return Err(Error::invalid(format!("a type announced {len} elements and wrote {count}")));
            }
            None => {
                let mut head = Encoder::new(Vec::new());
                write_head(&mut head, self.is_map, self.count)?;
                self.writer.out.writer_mut().splice(self.start..self.start, head.into_writer());
            }
        }
        self.writer.depth -= 1 + usize::from(self.is_variant);
        Ok(())
    }
}

macro_rules! integers {
    ($($name:ident: $type:ty,)*) => {$(
        fn $name(self, value: $type) -> Result<()> {
            self.integer(i128::from(value))
        }
    )*};
}

impl<'w> ser::Serializer for &'w mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Container<'w>;
    type SerializeTuple = Container<'w>;
    type SerializeTupleStruct = Container<'w>;
    type SerializeTupleVariant = Container<'w>;
    type SerializeMap = Container<'w>;
    type SerializeStruct = Container<'w>;
    type SerializeStructVariant = Container<'w>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        // Beyond what i128 has it is refused for what it is.
        self.integer(i128::try_from(value).unwrap_or(i128::MAX))
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.out.bool(value).map(drop).map_err(encode::failed)
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        encode::write_float(value, &mut self.out).map_err(encode::failed)
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        match (core::mem::replace(&mut self.mark, Mark::None), value.try_into()) {
            (Mark::Uuid, Ok(uuid)) => encode::write_uuid(uuid, &mut self.out),
            _ => self.out.bytes(value).map(drop),
        }
        .map_err(encode::failed)
    }

    fn serialize_none(self) -> Result<()> {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.null()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.null()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<()> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<()> {
        self.mark = match name {
            TIMESTAMP => Mark::Timestamp,
            UUID => Mark::Uuid,
            _ => Mark::None,
        };
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.depth -= 1;
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Container<'w>> {
        self.open(false, len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Container<'w>> {
        self.open(false, Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Container<'w>> {
        self.open(false, Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'w>> {
        self.variant(variant)?;
        Ok(Container { is_variant: true, ..self.open(false, Some(len))? })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Container<'w>> {
        self.open(true, len)
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Container<'w>> {
        self.open(true, Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'w>> {
        self.variant(variant)?;
        Ok(Container { is_variant: true, ..self.open(true, Some(len))? })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<()> {
        self.text(&value.to_string())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! containers {
    ($($trait:ident, $method:ident, ($($name:ident)?), $write:ident;)*) => {$(
        impl ser::$trait for Container<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<()> {
                self.$write($($name,)? value)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        }
    )*};
}

containers! {
    SerializeSeq, serialize_element, (), element;
    SerializeTuple, serialize_element, (), element;
    SerializeTupleStruct, serialize_field, (), element;
    SerializeTupleVariant, serialize_field, (), element;
    SerializeStruct, serialize_field, (name), field;
    SerializeStructVariant, serialize_field, (name), field;
}

impl ser::SerializeMap for Container<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let name = key.serialize(Name)?;
        self.writer.text(&name)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

/// Writes keys of maps, as text.
struct Name;

macro_rules! names {
    ($($name:ident: $type:ty,)*) => {$(
        fn $name(self, value: $type) -> Result<String> {
            Ok(value.to_string())
        }
    )*};
}

macro_rules! no_names {
    ($($name:ident($($type:ty),*) $(-> $result:ty)?;)*) => {$(
        fn $name(self, $(_: $type),*) -> no_names!(@ $($result)?) {
            Err(no_name())
        }
    )*};
    (@) => {Result<String>};
    (@ $result:ty) => {$result};
}

#[cold]
fn no_name() -> Error {
    Error::invalid("the keys of a map in a document are text, numbers, bools or variants without content")
}

impl ser::Serializer for Name {
    type Ok = String;
    type Error = Error;
    type SerializeSeq = Impossible<String, Error>;
    type SerializeTuple = Impossible<String, Error>;
    type SerializeTupleStruct = Impossible<String, Error>;
    type SerializeTupleVariant = Impossible<String, Error>;
    type SerializeMap = Impossible<String, Error>;
    type SerializeStruct = Impossible<String, Error>;
    type SerializeStructVariant = Impossible<String, Error>;

    names! {
        serialize_bool: bool, serialize_char: char, serialize_str: &str,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
    }

    no_names! {
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_seq(Option<usize>) -> Result<Self::SerializeSeq>;
        serialize_tuple(usize) -> Result<Self::SerializeTuple>;
        serialize_tuple_struct(&'static str, usize) -> Result<Self::SerializeTupleStruct>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Result<Self::SerializeTupleVariant>;
        serialize_map(Option<usize>) -> Result<Self::SerializeMap>;
        serialize_struct(&'static str, usize) -> Result<Self::SerializeStruct>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Result<Self::SerializeStructVariant>;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<String> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<String> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<String> {
        Err(no_name())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
