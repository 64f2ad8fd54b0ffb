//! The words and signs of the text of a query.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};

/// Words that no name is without backquotes.
const RESERVED: [&str; 20] = [
    "select", "where", "and", "or", "not", "order", "limit", "offset", "after", "reverse", "between", "in", "starts",
    "exists", "does", "is", "ignoring", "null", "true", "false",
];
/// The reserved word that is a number.
pub(super) const INFINITY: &str = "infinity";

/// Whether a name of this spelling is taken for a word of the language.
pub(super) fn is_reserved(name: &str) -> bool {
    name.eq_ignore_ascii_case(INFINITY) || RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// One word or sign.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// A name alone, without dots or backquotes: perhaps a word of the language.
    Word(&'t str),
    /// Names with dots between them, or one in backquotes.
    Names(Vec<String>),
    /// A number as it is written.
    Number(&'t str),
    /// What stands in quotes.
    Text(String),
    /// Any other sign.
    Sign(&'static str),
    /// There is no more.
    End,
}

/// A token and where in the text it begins and ends, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Placed<'t> {
    pub token: Token<'t>,
    pub start: usize,
    pub end: usize,
}

/// Longer ones first.
const SIGNS: [&str; 12] = ["!=", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", ",", "-"];

/// The token that begins at `from` or behind the spaces there.
pub(super) fn next(text: &str, from: usize) -> Result<Placed<'_>> {
    let left = text.get(from..).unwrap_or_default().trim_start();
    let start = text.len() - left.len();
    let mut letters = Letters { text, at: start };
    let token = match letters.peek() {
        None => Token::End,
        Some('"' | '\'') => Token::Text(quoted(&mut letters)?),
        Some(first) if first == '`' || begins_name(first) => names(&mut letters)?,
        Some(first) if first.is_ascii_digit() => number(&mut letters),
        Some('-') if left.get(1..).is_some_and(|after| after.starts_with(|letter: char| letter.is_ascii_digit())) => {
            number(&mut letters)
        }
        Some(other) => match SIGNS.iter().find(|sign| left.starts_with(**sign)) {
            Some(sign) => {
                letters.at += sign.len();
                Token::Sign(sign)
            }
            None => return Err(error_at(text, start, start + other.len_utf8(), "expected a name, a value or a sign")),
        },
    };
    Ok(Placed { token, start, end: letters.at })
}

/// Whether a name that begins so needs no backquotes.
pub(super) fn begins_name(letter: char) -> bool {
    letter.is_alphabetic() || matches!(letter, '_' | '$')
}

/// Whether a name that goes on so needs no backquotes.
pub(super) fn continues_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$')
}

/// What is wrong with the part of the text from `start` to `end`.
#[cold]
pub(super) fn error_at(text: &str, start: usize, end: usize, what: &str) -> Error {
    let column = text.get(..start).unwrap_or(text).chars().count() + 1;
    let found = text.get(start..end).unwrap_or_default();
    if found.is_empty() {
        return Error::invalid(format!("the query, at its end (character {column}): {what}"));
    }
    let shown = found.char_indices().nth(40).map_or(found, |(end, _)| found.get(..end).unwrap_or_default());
    let more = if shown.len() < found.len() { "..." } else { "" };
    Error::invalid(format!("the query, at '{shown}{more}' (character {column}): {what}"))
}

/// The text, letter by letter.
struct Letters<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Letters<'t> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn take_while(&mut self, mut belongs: impl FnMut(char) -> bool) -> &'t str {
        let from = self.at;
        while self.peek().is_some_and(&mut belongs) {
            self.next();
        }
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn error_from(&self, start: usize, what: &str) -> Error {
        error_at(self.text, start, self.at, what)
    }
}

fn names<'t>(letters: &mut Letters<'t>) -> Result<Token<'t>> {
    if letters.peek() != Some('`') {
        let word = letters.take_while(continues_name);
        if letters.peek() != Some('.') {
            return Ok(Token::Word(word));
        }
        letters.next();
        return further_names(letters, alloc::vec![word.into()]);
    }
    let first = backquoted(letters)?;
    let names = alloc::vec![first];
    if letters.peek() != Some('.') {
        return Ok(Token::Names(names));
    }
    letters.next();
    further_names(letters, names)
}

/// What follows a dot.
fn further_names<'t>(letters: &mut Letters<'t>, mut names: Vec<String>) -> Result<Token<'t>> {
    loop {
        if letters.peek() == Some('`') {
            names.push(backquoted(letters)?);
        } else {
            let start = letters.at;
            let name = letters.take_while(continues_name);
            if name.is_empty() {
                letters.next();
                return Err(letters.error_from(start, "expected a name after the dot"));
            }
            names.push(name.into());
        }
        if letters.peek() != Some('.') {
            return Ok(Token::Names(names));
        }
        letters.next();
    }
}

/// A name in backquotes; a backquote in it is written twice.
fn backquoted(letters: &mut Letters<'_>) -> Result<String> {
    let (start, mut name) = (letters.at, String::new());
    letters.next();
    while let Some(letter) = letters.next() {
        if letter == '`' {
            if letters.peek() != Some('`') {
                return Ok(name);
            }
            letters.next();
        }
        name.push(letter);
    }
    Err(letters.error_from(start, "the name has no backquote at its end"))
}

/// Digits, a fraction, an exponent.
fn number<'t>(letters: &mut Letters<'t>) -> Token<'t> {
    let start = letters.at;
    if letters.peek() == Some('-') {
        letters.next();
    }
    letters.take_while(|letter| letter.is_ascii_digit());
    // Whatever else a number cannot have, `12abc` too, is part of it and makes it no number.
    let mut previous = '0';
    letters.take_while(|letter| {
        let belongs =
            continues_name(letter) || letter == '.' || (matches!(letter, '+' | '-') && matches!(previous, 'e' | 'E'));
        previous = letter;
        belongs
    });
    Token::Number(letters.text.get(start..letters.at).unwrap_or_default())
}

/// A text in quotes of either kind, with the escapes of JSON.
fn quoted(letters: &mut Letters<'_>) -> Result<String> {
    let (start, mut text) = (letters.at, String::new());
    let quote = letters.next();
    while let Some(letter) = letters.next() {
        match letter {
            end if Some(end) == quote => return Ok(text),
            '\\' => text.push(escaped(letters)?),
            plain => text.push(plain),
        }
    }
    Err(letters.error_from(start, "the text has no quote at its end"))
}

/// What a backslash and the letters behind it stand for.
fn escaped(letters: &mut Letters<'_>) -> Result<char> {
    let start = letters.at.saturating_sub(1);
    let letter = match letters.next() {
        Some(plain @ ('"' | '\'' | '\\' | '/')) => Some(plain),
        Some('n') => Some('\n'),
        Some('r') => Some('\r'),
        Some('t') => Some('\t'),
        Some('b') => Some('\u{8}'),
        Some('f') => Some('\u{c}'),
        Some('u') => unicode(letters),
        _ => None,
    };
    let what = r#"expected an escape, one of \" \' \\ \/ \n \r \t \b \f and \u with four hexadecimal digits"#;
    letter.ok_or_else(|| letters.error_from(start, what))
}

/// Four hexadecimal digits, or twice four for what is beyond 16 bits.
fn unicode(letters: &mut Letters<'_>) -> Option<char> {
    let first = four_digits(letters)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    let is_pair = letters.next() == Some('\\') && letters.next() == Some('u');
    let second = is_pair.then(|| four_digits(letters))??;
    let low = (0xdc00..0xe000).contains(&second).then(|| second - 0xdc00)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)
}

fn four_digits(letters: &mut Letters<'_>) -> Option<u32> {
    (0..4).try_fold(0, |number, _| Some(number * 16 + letters.next()?.to_digit(16)?))
}
