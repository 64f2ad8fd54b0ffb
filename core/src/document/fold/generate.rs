//! Makes the table of what letters become from the crate `unicode-normalization` and the standard library's lower case, and
//! proves that folding with it is what they say.
//!
//! After an update of Unicode: `LIGHTNING_GENERATE=1 cargo test -p lightning-db --lib fold::generate`. Indexes with folded
//! text keep what their entries were made of, so only letters that had no meaning before may become others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::string::String;
use std::vec::Vec;
use std::{env, fs, vec};

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::table::{BLOCK_BITS, BLOCKS, INDEX, LOWER_CASE, SEQUENCES};
use super::{IDEOGRAPHS, NOTHING, SEQUENCE, SIGN, SIGNS_END, SYLLABLES, fold};

/// By its combining class, which Unicode never changes.
fn is_accent(letter: char) -> bool {
    // 9 is of viramas; 84 to 132 are of vowel signs in Telugu, Thai, Lao and Tibetan, but 107 and 122 of tone marks.
    !matches!(canonical_combining_class(letter), 0 | 9 | 84 | 91 | 103 | 118 | 129 | 130 | 132)
}

/// The definition.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.nfd().filter(|letter| !is_accent(*letter)) {
        // The one letter whose lower case depends on where it stands.
        if matches!(letter, 'Σ' | 'ς') {
            folded.push('σ');
        } else {
            folded.extend(letter.to_lowercase());
        }
    }
    folded
}

struct Table {
    index: Vec<u8>,
    blocks: Vec<u16>,
    sequences: Vec<u32>,
}

impl Table {
    fn of_unicode() -> Self {
        let mut sequences = Vec::new();
        let mut codes: Vec<u16> = (0..=char::MAX as u32).map(|code| entry(code, &mut sequences)).collect();
        while codes.last() == Some(&0) {
            codes.pop();
        }
        let (mut index, mut blocks, mut known) = (Vec::new(), Vec::new(), BTreeMap::new());
        // Most letters stay.
        codes.resize(codes.len().next_multiple_of(1 << BLOCK_BITS), 0);
        known.insert(vec![0; 1 << BLOCK_BITS], 0);
        blocks.resize(1 << BLOCK_BITS, 0);
        for block in codes.chunks(1 << BLOCK_BITS) {
            let next = known.len();
            let number = *known.entry(block.to_vec()).or_insert_with(|| {
                blocks.extend_from_slice(block);
                next
            });
            index.push(u8::try_from(number).expect("too many blocks for a byte"));
        }
        Self { index, blocks, sequences }
    }

    fn write(&self) -> String {
        let mut out = String::from(
            "//! What letters become when text is folded: made by `generate.rs`, which says how, and checked by it.\n\n",
        );
        let (major, minor, update) = char::UNICODE_VERSION;
        writeln!(out, "/// The version of Unicode by which letters got their lower case.").unwrap();
        writeln!(out, "#[cfg(test)]\npub(super) const LOWER_CASE: (u8, u8, u8) = ({major}, {minor}, {update});\n")
            .unwrap();
        writeln!(
            out,
            "/// A block holds two to the power of this letters.\npub(super) const BLOCK_BITS: u32 = {BLOCK_BITS};\n"
        )
        .unwrap();
        array(&mut out, "The block of each so many letters.", "INDEX", "u8", &self.index);
        array(&mut out, "What the letters of each block become.", "BLOCKS", "u16", &self.blocks);
        array(&mut out, "Letters that take the place of one, after their number.", "SEQUENCES", "u32", &self.sequences);
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

fn array<T: std::fmt::Display>(out: &mut String, what: &str, name: &str, kind: &str, values: &[T]) {
    writeln!(out, "/// {what}\n#[rustfmt::skip]\npub(super) static {name}: [{kind}; {}] = [", values.len()).unwrap();
    for row in values.chunks(32) {
        let row: Vec<String> = row.iter().map(T::to_string).collect();
        writeln!(out, "    {},", row.join(", ")).unwrap();
    }
    out.push_str("];\n\n");
}

/// What stands in the table for a letter.
fn entry(code: u32, sequences: &mut Vec<u32>) -> u16 {
    let Some(letter) = char::from_u32(code).filter(|letter| !letter.is_ascii()) else { return 0 };
    if SYLLABLES.contains(&code) {
        return 0;
    }
    let becomes: Vec<char> = folded(letter.encode_utf8(&mut [0; 4])).chars().collect();
    let plane = if code < IDEOGRAPHS { code & !0xffff } else { 0 };
    let distance = |other: char| (other as u32).wrapping_sub(code) as u16;
    match becomes.as_slice() {
        [] => NOTHING,
        [same] if *same == letter => match canonical_combining_class(letter) {
            0 => 0,
            class => SIGN + u16::from(class),
        },
        [other]
            if canonical_combining_class(*other) == 0
                && *other as u32 & !0xffff == plane
                && !(NOTHING..SIGNS_END).contains(&distance(*other)) =>
        {
            distance(*other)
        }
        letters => {
            let mut sequence = vec![u32::try_from(letters.len()).unwrap()];
            sequence.extend(letters.iter().map(|letter| *letter as u32));
            let known = sequences.windows(sequence.len()).position(|known| known == sequence);
            let at = known.unwrap_or_else(|| {
                sequences.extend_from_slice(&sequence);
                sequences.len() - sequence.len()
            });
            let number = SEQUENCE + u16::try_from(at).unwrap();
            assert!(number < SIGN, "too many sequences");
            number
        }
    }
}

#[test]
fn the_table_is_made_of_unicode() {
    let table = Table::of_unicode();
    if env::var_os("LIGHTNING_GENERATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/document/fold/table.rs");
        return fs::write(path, table.write()).unwrap();
    }
    // A compiler with another Unicode knows other letters.
    if char::UNICODE_VERSION == LOWER_CASE {
        assert!(table.index == INDEX && table.blocks == BLOCKS && table.sequences == SEQUENCES);
    }
}

#[test]
fn every_letter_is_folded_as_unicode_says() {
    for letter in '\0'..=char::MAX {
        let text = String::from(letter);
        // Only letters newer than one of the two may differ.
        if char::UNICODE_VERSION == LOWER_CASE || letter.to_lowercase().eq([letter]) && fold(&text) == text {
            assert_eq!(fold(&text), folded(&text), "{letter:?}");
        }
    }
}

/// Letters, and marks of every class that there is, in any order.
fn letters() -> impl Strategy<Value = String> {
    let marks: Vec<char> = ('\0'..=char::MAX).filter(|letter| canonical_combining_class(*letter) != 0).collect();
    let decomposed: Vec<char> = ('\0'..=char::MAX).filter(|letter| !letter.nfd().eq([*letter])).collect();
    let letter = prop_oneof![
        4 => proptest::sample::select(marks),
        2 => proptest::sample::select(decomposed),
        1 => any::<char>(),
    ];
    proptest::collection::vec(letter, 0..12).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn text_is_folded_as_unicode_says(text in letters()) {
        prop_assert_eq!(fold(&text), folded(&text));
    }
}
