//! Text without what case and accents add to it, so that "Éva" and "eva" are found alike.

use alloc::borrow::Cow;
use alloc::string::String;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// Text folded: decomposed (Unicode's canonical decomposition), without the marks that combine with letters, in lower case.
/// Vowel signs and what joins consonants are kept, being letters to their readers. Folding what is folded changes nothing.
///
/// Text that is ASCII without capitals comes back as it is.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    let mut folded = String::with_capacity(text.len());
    for letter in text.nfd().filter(|letter| !is_accent(*letter)) {
        // The one letter whose lower case depends on where it stands.
        if matches!(letter, 'Σ' | 'ς') {
            folded.push('σ');
        } else {
            folded.extend(letter.to_lowercase());
        }
    }
    Cow::Owned(folded)
}

/// By its combining class, which Unicode never changes.
fn is_accent(letter: char) -> bool {
    // 9 is of viramas; 84 to 132 are of vowel signs in Telugu, Thai, Lao and Tibetan, but 107 and 122 of tone marks.
    !matches!(canonical_combining_class(letter), 0 | 9 | 84 | 91 | 103 | 118 | 129 | 130 | 132)
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
