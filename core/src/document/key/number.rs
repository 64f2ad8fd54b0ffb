//! Integers and floats in one order, exactly: a number is its sign, its exponent and its fraction, `±1.fraction × 2^exponent`,
//! and every integer and every float has just one such form.
//!
//! The first byte holds the sign and, from 1 to what is below 2^64, the exponent:
//!
//! | first byte | number | then |
//! |---|---|---|
//! | 0x60 | 0, also −0.0 | nothing |
//! | 0x61 | below 1 | the exponent + 1074, two bytes big-endian, and the fraction |
//! | 0x62 + *e* | from 2^*e*, *e* from 0 to 63 | the fraction |
//! | 0xA2 | from 2^64 | the exponent − 64, two bytes big-endian, and the fraction |
//! | 0xA3 | infinity | nothing |
//!
//! The fraction is its bits from the most significant, seven to a byte and a last bit that says whether another byte
//! follows; no more bytes than it needs, but always one. So 1 to 255 take two bytes, every integer at most ten.
//!
//! A negative number is the number without its sign with every bit of every byte after the first inverted, and 0xC0 less
//! the first byte as its first (0x1D to 0x5F).

use alloc::format;

use crate::document::Value;
use crate::document::value::{INTEGER_MAX, INTEGER_MIN};
use crate::error::{Error, Result};
use crate::table::KeyBuffer;

const ZERO: u8 = 0x60;
const BELOW_ONE: u8 = 0x61;
const ONE: u8 = 0x62;
const BEYOND: u8 = 0xa2;
const INFINITY: u8 = 0xa3;
/// First bytes of a number and of its opposite add up to this.
const OPPOSITES: u8 = 2 * ZERO;

/// The first exponent that is not in the first byte.
const BEYOND_EXPONENT: i32 = 64;
/// Exponent of the least float above 0, and of the greatest.
const EXPONENT_MIN: i32 = -1074;
const EXPONENT_MAX: i32 = 1023;
/// The bit of a byte of the fraction that says that another follows.
const MORE: u8 = 1;
/// Of 2^64 - 1; floats have 52.
const FRACTION_BITS_MAX: u32 = 63;
/// First byte, exponent, and the fraction by seven bits.
const LEN_MAX: usize = 1 + 2 + FRACTION_BITS_MAX.div_ceil(7) as usize;

/// A number that is neither 0 nor infinite.
#[derive(Clone, Copy)]
struct Parts {
    is_negative: bool,
    exponent: i32,
    /// Bits after the leading one, from the most significant.
    fraction: u64,
}

/// Appends the key of an integer; fails beyond what CBOR has.
pub(in crate::document) fn encode_integer(integer: i128, out: &mut KeyBuffer) -> Result<()> {
    if !(INTEGER_MIN..=INTEGER_MAX).contains(&integer) {
        return Err(Error::invalid(format!(
            "the integer {integer} cannot be stored: integers are from -2^64 to 2^64 - 1"
        )));
    }
    let magnitude = integer.unsigned_abs();
    if magnitude == 0 {
        out.push(ZERO);
        return Ok(());
    }
    let zeros = magnitude.leading_zeros();
    let parts = Parts {
        is_negative: integer < 0,
        exponent: 127 - zeros.cast_signed(),
        fraction: (magnitude << zeros << 1 >> 64) as u64,
    };
    encode_parts(parts, out);
    Ok(())
}

/// Appends the key of a float; fails for NaN.
pub(in crate::document) fn encode_float(float: f64, out: &mut KeyBuffer) -> Result<()> {
    if float.is_nan() {
        return Err(Error::invalid("NaN cannot be a key: it has no place in the order of numbers"));
    }
    if float == 0.0 {
        out.push(ZERO);
        return Ok(());
    }
    if float.is_infinite() {
        out.push(if float < 0.0 { OPPOSITES - INFINITY } else { INFINITY });
        return Ok(());
    }
    let bits = float.to_bits();
    let (biased, mantissa) = ((bits >> 52 & 0x7ff) as i32, bits << 12);
    let is_negative = float < 0.0;
    let parts = if biased == 0 {
        // Subnormal: no leading one is implied, the first one there is leads.
        let zeros = mantissa.leading_zeros();
        Parts { is_negative, exponent: -1023 - zeros.cast_signed(), fraction: mantissa << zeros << 1 }
    } else {
        Parts { is_negative, exponent: biased - 1023, fraction: mantissa }
    };
    encode_parts(parts, out);
    Ok(())
}

fn encode_parts(parts: Parts, out: &mut KeyBuffer) {
    let mut bytes = [0; LEN_MAX];
    let mut len = 0;
    let mut push = |byte| {
        if let Some(room) = bytes.get_mut(len) {
            *room = byte;
            len += 1;
        }
    };
    if (0..BEYOND_EXPONENT).contains(&parts.exponent) {
        push(ONE + parts.exponent as u8);
    } else {
        let (first, least) = if parts.exponent < 0 { (BELOW_ONE, EXPONENT_MIN) } else { (BEYOND, BEYOND_EXPONENT) };
        push(first);
        let [high, low] = ((parts.exponent - least) as u16).to_be_bytes();
        push(high);
        push(low);
    }
    let mut fraction = parts.fraction;
    loop {
        let seven = (fraction >> 56) as u8 & !MORE;
        fraction <<= 7;
        if fraction == 0 {
            push(seven);
            break;
        }
        push(seven | MORE);
    }
    let bytes = bytes.get_mut(..len).unwrap_or_default();
    if parts.is_negative
        && let Some((first, rest)) = bytes.split_first_mut()
    {
        *first = OPPOSITES - *first;
        rest.iter_mut().for_each(|byte| *byte = !*byte);
    }
    out.extend(bytes);
}

/// Reads a number from the front of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let is_negative = first < ZERO;
    let first = if is_negative { OPPOSITES - first } else { first };
    let mut next = || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        Some(if is_negative { !byte } else { byte })
    };
    let exponent = match first {
        ZERO => return Some((Value::Integer(0), rest)),
        INFINITY => return Some((Value::Float(if is_negative { f64::NEG_INFINITY } else { f64::INFINITY }), rest)),
        ONE..BEYOND => i32::from(first - ONE),
        BELOW_ONE | BEYOND => {
            let least = if first == BELOW_ONE { EXPONENT_MIN } else { BEYOND_EXPONENT };
            let exponent = i32::from(u16::from_be_bytes([next()?, next()?])) + least;
            (exponent <= EXPONENT_MAX && (first == BEYOND || exponent < 0)).then_some(exponent)?
        }
        _ => return None,
    };
    let (mut fraction, mut bits) = (0_u64, 0_u32);
    loop {
        let byte = next()?;
        let seven = u64::from(byte >> 1);
        fraction |= seven << (57 - bits);
        bits += 7;
        if byte & MORE == 0 {
            // No byte more than is needed.
            (seven != 0 || bits == 7).then_some(())?;
            break;
        }
        (bits < FRACTION_BITS_MAX).then_some(())?;
    }
    Some((value(Parts { is_negative, exponent, fraction })?, rest))
}

/// The integer or, where it is none, the float of this form; `None` if there is neither.
fn value(parts: Parts) -> Option<Value> {
    if let Some(integer) = integer(parts) {
        return Some(Value::Integer(integer));
    }
    // Below 2^-1022 there are fewer bits, one less for each power of two.
    let bits = (52 + (parts.exponent + 1022).min(0)).cast_unsigned();
    (parts.fraction.checked_shl(bits).unwrap_or(0) == 0).then_some(())?;
    let magnitude = if parts.exponent < -1022 {
        (1 << 63 | parts.fraction >> 1) >> (63 - bits)
    } else {
        u64::from((parts.exponent + 1023).cast_unsigned()) << 52 | parts.fraction >> 12
    };
    let float = f64::from_bits(magnitude);
    Some(Value::Float(if parts.is_negative { -float } else { float }))
}

fn integer(parts: Parts) -> Option<i128> {
    let exponent = u32::try_from(parts.exponent).ok().filter(|exponent| *exponent <= 64)?;
    // With the leading one 65 bits, of which those below the point must be none.
    let leading = 1_u128 << 64 | u128::from(parts.fraction);
    let below = 64 - exponent;
    (leading & ((1 << below) - 1) == 0).then_some(())?;
    let magnitude = (leading >> below).cast_signed();
    let integer = if parts.is_negative { -magnitude } else { magnitude };
    (INTEGER_MIN..=INTEGER_MAX).contains(&integer).then_some(integer)
}

/// What follows the number at the front of `bytes`.
pub(super) fn skip(bytes: &[u8]) -> Option<&[u8]> {
    let (&first, rest) = bytes.split_first()?;
    let is_negative = first < ZERO;
    let last = if is_negative { MORE } else { 0 };
    let fraction = match if is_negative { OPPOSITES - first } else { first } {
        ZERO | INFINITY => return Some(rest),
        ONE..BEYOND => rest,
        BELOW_ONE | BEYOND => rest.get(2..)?,
        _ => return None,
    };
    fraction.get(fraction.iter().position(|byte| byte & MORE == last)? + 1..)
}
