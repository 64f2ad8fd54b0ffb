//! The types that keys and values share: how they are named, borrowed, owned, and given as arguments.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A type of keys or values.
pub trait Stored {
    /// The value as read from stored bytes, borrowing from them where it can.
    type Borrowed<'a>;
    /// The value independent of the stored bytes.
    type Owned;

    /// The name recorded in the file, the same in every language: `u64`, `string`, `bytes`, `(string, u64)`.
    fn type_name() -> String;

    /// Detaches a value from the bytes it was read from.
    fn into_owned(borrowed: Self::Borrowed<'_>) -> Self::Owned;
}

/// What can be given where a table asks for a `T`: `get("ada")`, `get(&name)` with a `String`, `get(7)`, `get(&7)`,
/// `get(("fi", 7))`.
pub trait Lend<T: Stored> {
    /// The argument as a `T`.
    fn lend(&self) -> T::Borrowed<'_>;
}

impl<T: Stored, Q: Lend<T> + ?Sized> Lend<T> for &Q {
    #[inline]
    fn lend(&self) -> T::Borrowed<'_> {
        (**self).lend()
    }
}

macro_rules! copied {
    ($($type:ty, $name:literal;)*) => {$(
        impl Stored for $type {
            type Borrowed<'a> = $type;
            type Owned = $type;

            fn type_name() -> String {
                String::from($name)
            }

            #[inline]
            fn into_owned(borrowed: Self::Borrowed<'_>) -> $type {
                borrowed
            }
        }

        impl Lend<$type> for $type {
            #[inline]
            fn lend(&self) -> $type {
                *self
            }
        }
    )*};
}

copied! {
    u8, "u8"; u16, "u16"; u32, "u32"; u64, "u64"; u128, "u128";
    i8, "i8"; i16, "i16"; i32, "i32"; i64, "i64"; i128, "i128";
    f64, "f64"; bool, "bool"; (), "unit";
}

impl<const N: usize> Stored for [u8; N] {
    type Borrowed<'a> = [u8; N];
    type Owned = [u8; N];

    fn type_name() -> String {
        format!("bytes[{N}]")
    }

    #[inline]
    fn into_owned(borrowed: Self::Borrowed<'_>) -> [u8; N] {
        borrowed
    }
}

impl<const N: usize> Lend<[u8; N]> for [u8; N] {
    #[inline]
    fn lend(&self) -> [u8; N] {
        *self
    }
}

/// `$type` is stored like `$borrowed`, and each of `$lender` may be given for it.
macro_rules! borrowed {
    ($type:ty, $borrowed:ident, $owned:ty, $name:literal; $($lender:ty),*) => {
        impl Stored for $type {
            type Borrowed<'a> = &'a $borrowed;
            type Owned = $owned;

            fn type_name() -> String {
                String::from($name)
            }

            #[inline]
            fn into_owned(borrowed: Self::Borrowed<'_>) -> $owned {
                borrowed.into()
            }
        }

        $(impl Lend<$type> for $lender {
            #[inline]
            fn lend(&self) -> &$borrowed {
                self
            }
        })*
    };
}

type Bytes = [u8];

borrowed!(&str, str, String, "string"; str, String, Box<str>, Cow<'_, str>);
borrowed!(String, str, String, "string"; str, String, Box<str>, Cow<'_, str>);
borrowed!(&[u8], Bytes, Vec<u8>, "bytes"; [u8], Vec<u8>, Box<[u8]>, Cow<'_, [u8]>);
borrowed!(Vec<u8>, Bytes, Vec<u8>, "bytes"; [u8], Vec<u8>, Box<[u8]>, Cow<'_, [u8]>);

impl<const N: usize> Lend<&[u8]> for [u8; N] {
    #[inline]
    fn lend(&self) -> &[u8] {
        self
    }
}

impl<const N: usize> Lend<Vec<u8>> for [u8; N] {
    #[inline]
    fn lend(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn lent<T: Stored>(argument: impl Lend<T>) -> T::Owned {
        T::into_owned(argument.lend())
    }

    #[test]
    fn arguments_are_given_in_the_form_at_hand() {
        let name = "ada".to_string();
        assert_eq!(lent::<&str>("ada"), name);
        assert_eq!(lent::<&str>(&name), name);
        assert_eq!(lent::<String>(&name), name);
        assert_eq!(lent::<String>("ada"), name);
        assert_eq!(lent::<u64>(7), 7);
        assert_eq!(lent::<u64>(&7), 7);
        assert_eq!(lent::<i8>(-7), -7);
        assert_eq!(lent::<&[u8]>(b"ada"), b"ada");
        assert_eq!(lent::<&[u8]>(name.as_bytes()), b"ada");
        assert_eq!(lent::<Vec<u8>>(b"ada"), b"ada");
        assert_eq!(lent::<[u8; 3]>(b"ada"), *b"ada");
        assert_eq!(lent::<(&str, u64)>(("fi", 7)), ("fi".to_string(), 7));
        assert_eq!(lent::<(String, u64)>((&name, &7)), (name, 7));
        assert_eq!(lent::<Option<u32>>(Some(3)), Some(3));
    }
}
