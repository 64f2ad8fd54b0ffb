//! Text without what case and accents add to it, so that "Éva" and "eva" are found alike.

#[cfg(test)]
mod generate;
#[cfg(not(target_family = "wasm"))]
mod parts;
mod table;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

#[cfg(not(target_family = "wasm"))]
use parts::entry;
use table::{BLOCK_BITS, INDEX, SEQUENCES};

/// Text folded: decomposed (Unicode's canonical decomposition), without the marks that combine with letters, in lower case.
/// Vowel signs and what joins consonants are kept, being letters to their readers. Folding what is folded changes nothing.
///
/// Text that is ASCII without capitals comes back as it is. What any other letter becomes stands in a table of this crate, so
/// it is the same whatever a program was compiled with.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    let mut folded = Folded { text: String::with_capacity(text.len()), signs: Vec::new() };
    for letter in text.chars() {
        folded.add(letter);
    }
    folded.put_signs();
    Cow::Owned(folded.text)
}

/// What a letter becomes. In the table each is a number: 0 for a letter that stays, how far from it in its plane the letter is
/// that takes its place (runs of letters have the same, so it is compressed well), or one of the numbers below.
enum Becomes {
    Itself,
    Nothing,
    Letter(char),
    /// A number of letters, by where they begin in [`SEQUENCES`].
    Sequence(usize),
    /// A sign of this combining class: it stays, but signs after one letter are put in the order of their classes.
    Sign(u8),
}

const NOTHING: u16 = 0xd800;
const SEQUENCE: u16 = 0xd801;
const SIGN: u16 = 0xdf00;
const SIGNS_END: u16 = 0xe000;

/// Syllables of Hangul are put together from a leading consonant, a vowel and perhaps a trailing consonant.
const SYLLABLES: core::ops::Range<u32> = 0xac00..0xd7a4;
const LEADING: u32 = 0x1100;
const VOWELS: u32 = 0x1161;
const TRAILING: u32 = 0x11a7;
const VOWEL_COUNT: u32 = 21;
const TRAILING_COUNT: u32 = 28;

/// Planes of Unicode from this on hold forms of ideographs alone, which become letters of the first.
const IDEOGRAPHS: u32 = 0x2_0000;

fn becomes(letter: char) -> Becomes {
    let code = letter as u32;
    let block = INDEX.get((code >> BLOCK_BITS) as usize).copied().unwrap_or_default();
    let at = (usize::from(block) << BLOCK_BITS) | (code as usize & ((1 << BLOCK_BITS) - 1));
    match entry(at) {
        0 => Becomes::Itself,
        NOTHING => Becomes::Nothing,
        at @ SEQUENCE..SIGN => Becomes::Sequence(usize::from(at - SEQUENCE)),
        class @ SIGN..SIGNS_END => Becomes::Sign((class - SIGN) as u8),
        distance => {
            let plane = if code < IDEOGRAPHS { code & !0xffff } else { 0 };
            let other = plane | (code + u32::from(distance)) & 0xffff;
            char::from_u32(other).map_or(Becomes::Itself, Becomes::Letter)
        }
    }
}

/// What stands in the table's blocks at a place.
#[cfg(target_family = "wasm")]
#[inline(always)]
fn entry(at: usize) -> u16 {
    table::BLOCKS.get(at).copied().unwrap_or_default()
}

/// What was folded so far.
struct Folded {
    text: String,
    /// The signs after the last letter, in the order of their classes.
    signs: Vec<(u8, char)>,
}

impl Folded {
    fn add(&mut self, letter: char) {
        if letter.is_ascii() {
            return self.put(letter.to_ascii_lowercase());
        }
        if SYLLABLES.contains(&(letter as u32)) {
            return self.put_syllable(letter as u32 - SYLLABLES.start);
        }
        match becomes(letter) {
            Becomes::Itself => self.put(letter),
            Becomes::Nothing => {}
            Becomes::Letter(other) => self.put(other),
            Becomes::Sequence(at) => {
                let (length, letters) = SEQUENCES.get(at..).and_then(<[u32]>::split_first).unwrap_or((&0, &[]));
                for letter in letters.iter().take(*length as usize).filter_map(|code| char::from_u32(*code)) {
                    match becomes(letter) {
                        Becomes::Sign(class) => self.hold(class, letter),
                        _ => self.put(letter),
                    }
                }
            }
            Becomes::Sign(class) => self.hold(class, letter),
        }
    }

    fn put(&mut self, letter: char) {
        self.put_signs();
        self.text.push(letter);
    }

    fn put_syllable(&mut self, number: u32) {
        let (consonants, trailing) = (number / TRAILING_COUNT, number % TRAILING_COUNT);
        let letters = [LEADING + consonants / VOWEL_COUNT, VOWELS + consonants % VOWEL_COUNT, TRAILING + trailing];
        let count = if trailing == 0 { 2 } else { 3 };
        letters.into_iter().take(count).filter_map(char::from_u32).for_each(|letter| self.put(letter));
    }

    fn hold(&mut self, class: u8, sign: char) {
        let at = self.signs.partition_point(|held| held.0 <= class);
        self.signs.insert(at, (class, sign));
    }

    fn put_signs(&mut self) {
        for (_, sign) in self.signs.drain(..) {
            self.text.push(sign);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_accents_are_taken_away() {
        let check = |text: &str, folded: &str| assert_eq!(fold(text), folded, "{text}");
        check("", "");
        check("plain", "plain");
        check("PLAIN", "plain");
        check("Éva", "eva");
        check("E\u{301}va", "eva");
        check("ÅNGSTRÖM Å", "angstrom a");
        check("İstanbul", "istanbul");
        check("Tiếng Việt", "tieng viet");
        check("Ёлка", "елка");
        check("ΟΔΟΣ οδός", "οδοσ οδοσ");
        check("Straße", "straße");
        check("שָׁלוֹם", "שלום");
        check("क्या", "क्या");
        check("日本", "日本");
        assert_eq!(fold("한"), fold("\u{1112}\u{1161}\u{11ab}"));
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(fold("plain 123"), Cow::Borrowed(_)));
    }

    #[test]
    fn every_letter_folded_stays_as_it_is() {
        for letter in '\0'..=char::MAX {
            let mut bytes = [0; 4];
            let once = fold(letter.encode_utf8(&mut bytes));
            assert_eq!(fold(&once), once, "{letter:?}");
        }
    }

    proptest! {
        #[test]
        fn text_folded_stays_as_it_is(text in any::<String>()) {
            let once = fold(&text);
            prop_assert_eq!(&fold(&once), &once);
        }
    }
}
