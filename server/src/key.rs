//! Keys of encrypted databases: from a file, a file descriptor, an environment variable, or whoever sits at the terminal. Never
//! from the command line, which others see.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lightning_db::{Encryption, EncryptionKey, Options};
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};

/// No passphrase is longer.
const SECRET_BYTES_MAX: u64 = 4096;

/// What opens an encrypted database.
#[derive(Args, Debug, Default)]
pub struct KeyArgs {
    /// Key of an encrypted database, in the first line of this file: 64 hexadecimal digits, or else a passphrase
    #[arg(long, value_name = "FILE", global = true, conflicts_with_all = ["key_fd", "key_env", "ask_key"])]
    key_file: Option<PathBuf>,
    /// The same, from this open file descriptor
    #[arg(long, value_name = "NUMBER", global = true, conflicts_with_all = ["key_env", "ask_key"])]
    key_fd: Option<u32>,
    /// The same, from this environment variable
    #[arg(long, value_name = "VARIABLE", global = true, conflicts_with = "ask_key")]
    key_env: Option<String>,
    /// Ask for the passphrase on the terminal
    #[arg(long, global = true)]
    ask_key: bool,
    /// How a new database is encrypted, if it gets a key [default: aes-256-gcm]
    #[arg(long, value_name = "CIPHER", global = true)]
    cipher: Option<CipherArg>,
}

/// A key to be added.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct NewKeyArgs {
    /// The new key, in the first line of this file: 64 hexadecimal digits, or else a passphrase
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// The same, from this open file descriptor
    #[arg(long, value_name = "NUMBER")]
    new_key_fd: Option<u32>,
    /// The same, from this environment variable
    #[arg(long, value_name = "VARIABLE")]
    new_key_env: Option<String>,
    /// Ask for the new passphrase on the terminal, twice
    #[arg(long)]
    ask_new_key: bool,
}

/// How a new database is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CipherArg {
    /// The fastest where the processor has instructions for AES
    #[value(name = "aes-256-gcm")]
    Aes256Gcm,
    /// Faster where it has none
    #[value(name = "chacha20-poly1305")]
    ChaCha20Poly1305,
}

impl KeyArgs {
    /// Puts what was given into the options; `is_new` when a database is to be made, for which a passphrase is asked twice.
    pub fn apply(&self, options: &mut Options, is_new: bool) -> Outcome {
        options.key = match Source::of(self.key_file.as_ref(), self.key_fd, self.key_env.as_ref(), self.ask_key) {
            None => None,
            Some(source) => Some(source.key(if is_new { Asked::Twice } else { Asked::Once })?),
        };
        match self.cipher {
            None => {}
            Some(_) if options.key.is_none() => {
                return Err(Failure::usage("--cipher needs a key for the new database"));
            }
            Some(CipherArg::Aes256Gcm) => options.encryption = Encryption::Aes256Gcm,
            Some(CipherArg::ChaCha20Poly1305) => options.encryption = Encryption::ChaCha20Poly1305,
        }
        Ok(())
    }

    /// Options with nothing but what was given here.
    pub fn options(&self) -> Outcome<Options> {
        let mut options = Options::default();
        self.apply(&mut options, false)?;
        Ok(options)
    }
}

impl NewKeyArgs {
    pub fn key(&self) -> Outcome<EncryptionKey> {
        let source = self.source().ok_or_else(|| {
            Failure::usage("say where the new key is: --new-key-file, --new-key-fd, --new-key-env or --ask-new-key")
        });
        source?.key(Asked::Twice)
    }

    /// Whether there is one.
    pub fn is_given(&self) -> bool {
        self.source().is_some()
    }

    fn source(&self) -> Option<Source<'_>> {
        Source::of(self.new_key_file.as_ref(), self.new_key_fd, self.new_key_env.as_ref(), self.ask_new_key)
    }
}

/// How often a passphrase is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Once,
    Twice,
}

/// Where a key comes from.
enum Source<'a> {
    File(PathBuf),
    Variable(&'a str),
    Terminal,
}

impl<'a> Source<'a> {
    fn of(file: Option<&PathBuf>, fd: Option<u32>, variable: Option<&'a String>, ask: bool) -> Option<Self> {
        let descriptor = fd.map(|fd| PathBuf::from(format!("/dev/fd/{fd}")));
        file.cloned()
            .or(descriptor)
            .map(Self::File)
            .or(variable.map(|name| Self::Variable(name)))
            .or(ask.then_some(Self::Terminal))
    }

    fn key(&self, asked: Asked) -> Outcome<EncryptionKey> {
        let text =
            match self {
                Self::File(path) => {
                    let mut text = Zeroizing::new(String::new());
                    File::open(path)
                        .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
                        .map_err(Failure::file(format!("cannot read a key from {}", path.display())))?;
                    Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
                }
                Self::Variable(name) => Zeroizing::new(std::env::var(name).map_err(|_| {
                    Failure::usage(format!("the environment variable {name} is not set, or is no text"))
                })?),
                Self::Terminal => {
                    let ask = |prompt: &str| {
                        rpassword::prompt_password(prompt)
                            .map(Zeroizing::new)
                            .map_err(Failure::file("cannot ask for a passphrase on the terminal"))
                    };
                    let text = ask("Passphrase: ")?;
                    if asked == Asked::Twice && *ask("Once more: ")? != *text {
                        return Err(Failure::usage("the passphrases are not the same"));
                    }
                    text
                }
            };
        if text.is_empty() {
            return Err(Failure::usage("the key is empty"));
        }
        Ok(match raw_key(&text) {
            Some(key) => EncryptionKey::raw(*key),
            None => EncryptionKey::passphrase(text.as_str()),
        })
    }
}

/// The key of 64 hexadecimal digits.
fn raw_key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_digits_are_a_key_and_all_else_is_a_passphrase() {
        assert_eq!(raw_key(&"0aF1".repeat(16)).map(|key| key[..2].to_vec()), Some(vec![0x0a, 0xf1]));
        for text in ["correct horse", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert!(raw_key(text).is_none(), "{text}");
        }
    }
}
