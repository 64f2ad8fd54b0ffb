//! Tuples and optional components: parts one after another, compared from the first to the last. `None` sorts first.

use alloc::format;
use alloc::string::String;

use super::{Key, KeyBuffer, KeyPart, at_end, not_a_key};
use crate::error::Result;
use crate::table::{Lend, Stored};

macro_rules! tuple {
    ($($type:ident $lender:ident $index:tt),*) => {
        impl<$($type: KeyPart),*> Stored for ($($type,)*) {
            type Borrowed<'a> = ($($type::Part<'a>,)*);
            type Owned = ($($type::Owned,)*);

            fn type_name() -> String {
                format!("({})", [$($type::type_name()),*].join(", "))
            }

            fn into_owned(borrowed: Self::Borrowed<'_>) -> Self::Owned {
                ($($type::part_into_owned(borrowed.$index),)*)
            }
        }

        impl<$($type: KeyPart, $lender: Lend<$type>),*> Lend<($($type,)*)> for ($($lender,)*) {
            #[inline]
            fn lend(&self) -> ($($type::Part<'_>,)*) {
                ($($type::part(self.$index.lend()),)*)
            }
        }

        impl<$($type: KeyPart),*> Key for ($($type,)*) {
            #[inline]
            fn encode(key: &Self::Borrowed<'_>, out: &mut KeyBuffer) -> Result<()> {
                Self::encode_part(key, out)
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<Self::Borrowed<'_>> {
                at_end::<Self, _>(Self::decode_part(bytes)?, bytes)
            }
        }

        impl<$($type: KeyPart),*> KeyPart for ($($type,)*) {
            type Part<'a> = Self::Borrowed<'a>;

            #[inline]
            fn part(key: Self::Borrowed<'_>) -> Self::Part<'_> {
                key
            }

            fn part_into_owned(part: Self::Part<'_>) -> Self::Owned {
                Self::into_owned(part)
            }

            #[inline]
            fn encode_part(part: &Self::Part<'_>, out: &mut KeyBuffer) -> Result<()> {
                $($type::encode_part(&part.$index, out)?;)*
                Ok(())
            }

            #[inline]
            fn decode_part(bytes: &[u8]) -> Result<(Self::Part<'_>, &[u8])> {
                let mut rest = bytes;
                let part = ($({
                    let (part, after) = $type::decode_part(rest)?;
                    rest = after;
                    part
                },)*);
                Ok((part, rest))
            }
        }
    };
}

tuple!(A P 0, B Q 1);
tuple!(A P 0, B Q 1, C R 2);
tuple!(A P 0, B Q 1, C R 2, D S 3);
tuple!(A P 0, B Q 1, C R 2, D S 3, E T 4);
tuple!(A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5);

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

impl<K: KeyPart> Stored for Option<K> {
    type Borrowed<'a> = Option<K::Part<'a>>;
    type Owned = Option<K::Owned>;

    fn type_name() -> String {
        format!("{}?", K::type_name())
    }

    fn into_owned(borrowed: Self::Borrowed<'_>) -> Self::Owned {
        borrowed.map(K::part_into_owned)
    }
}

impl<K: KeyPart, Q: Lend<K>> Lend<Option<K>> for Option<Q> {
    #[inline]
    fn lend(&self) -> Option<K::Part<'_>> {
        self.as_ref().map(|key| K::part(key.lend()))
    }
}

impl<K: KeyPart> Key for Option<K> {
    #[inline]
    fn encode(key: &Self::Borrowed<'_>, out: &mut KeyBuffer) -> Result<()> {
        Self::encode_part(key, out)
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self::Borrowed<'_>> {
        at_end::<Self, _>(Self::decode_part(bytes)?, bytes)
    }
}

impl<K: KeyPart> KeyPart for Option<K> {
    type Part<'a> = Self::Borrowed<'a>;

    #[inline]
    fn part(key: Self::Borrowed<'_>) -> Self::Part<'_> {
        key
    }

    fn part_into_owned(part: Self::Part<'_>) -> Self::Owned {
        Self::into_owned(part)
    }

    fn encode_part(part: &Self::Part<'_>, out: &mut KeyBuffer) -> Result<()> {
        match part {
            None => out.push(ABSENT),
            Some(part) => {
                out.push(PRESENT);
                K::encode_part(part, out)?;
            }
        }
        Ok(())
    }

    fn decode_part(bytes: &[u8]) -> Result<(Self::Part<'_>, &[u8])> {
        match bytes {
            [ABSENT, rest @ ..] => Ok((None, rest)),
            [PRESENT, rest @ ..] => K::decode_part(rest).map(|(part, rest)| (Some(part), rest)),
            _ => Err(not_a_key::<Self>(bytes)),
        }
    }
}

/// The only key of a table with one row.
impl Key for () {
    fn encode(_: &Self::Borrowed<'_>, _: &mut KeyBuffer) -> Result<()> {
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() { Ok(()) } else { Err(not_a_key::<Self>(bytes)) }
    }
}
