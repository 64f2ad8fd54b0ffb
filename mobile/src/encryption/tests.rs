use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::calls;
use crate::database::{Database as Opened, restore_backup};
use crate::failure::Failure;
use crate::objects::locked;
use crate::options::OpenOptions;
use crate::restore::RestoreUntil;
use crate::scope::NOW;
use crate::scratch::{Folder, wait};
use crate::stop::Stop;
use crate::table::WriteMode;

/// A handle that is given up.
struct Key(u64);

impl Key {
    fn raw(byte: u8) -> Self {
        Self(raw(&[byte; 32]).unwrap())
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        objects::remove(self.0);
    }
}

fn open(path: &str, key: u64) -> Result<Arc<Opened>, Failure> {
    Opened::open_blocking(path.into(), OpenOptions { key, ..OpenOptions::default() })
}

fn refused(path: &str, key: u64, name: &str, text: &str) {
    let Failure::Engine { name: found, text: said, .. } = open(path, key).err().unwrap();
    assert_eq!(found, name, "{said}");
    assert!(said.contains(text), "{said}");
}

fn put(database: &Opened, value: &[u8]) {
    let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    calls::put(NOW, table.number(), WriteMode::Put, b"a", value).unwrap();
}

fn has(database: &Opened, value: &[u8]) -> bool {
    let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    calls::get(NOW, table.number(), b"a", |found| found == Some(value)).unwrap()
}

#[test]
fn a_database_opens_with_its_key_and_nothing_else() {
    let folder = Folder::new();
    let (path, plain) = (folder.path("app.ldb"), folder.path("plain.ldb"));
    let (key, other) = (Key::raw(1), Key::raw(2));
    let options = OpenOptions { key: key.0, encryption: Some(Encryption::ChaCha20Poly1305), ..OpenOptions::default() };
    let database = Opened::open_blocking(path.clone(), options).unwrap();
    put(&database, b"secret");
    // Those who come later need a key, too, and leave it open to the first.
    refused(&path, other.0, "WrongKey", "is the one given");
    refused(&path, 0, "WrongKey", "");
    let again = open(&path, key.0).unwrap();
    assert!(has(&again, b"secret"));
    again.end_blocking().unwrap();
    assert!(has(&database, b"secret"));
    database.end_blocking().unwrap();

    refused(&path, other.0, "WrongKey", "1 raw");
    refused(&path, 0, "WrongKey", "");
    let Failure::Engine { text, .. } =
        Opened::in_memory(OpenOptions { key: 7, ..OpenOptions::default() }).err().unwrap();
    assert!(text.contains("closed"), "{text}");
    open(&path, key.0).unwrap().end_blocking().unwrap();
    open(&plain, 0).unwrap().end_blocking().unwrap();
    refused(&plain, key.0, "WrongKey", "not encrypted");
}

#[test]
fn keys_that_cannot_be_say_so() {
    assert!(raw(&[1; 31]).unwrap_err().to_string().contains("32 bytes, not 31"));
    assert!(passphrase(Zeroizing::new(Vec::new())).is_err());
    let error = passphrase(Zeroizing::new(b"\xffsecret".to_vec())).unwrap_err().to_string();
    assert!(error.contains("UTF-8") && !error.contains("secret"), "{error}");
    let database = Opened::in_memory(OpenOptions::default()).unwrap();
    let key = Key::raw(1);
    assert!(wait(database.add_key(key.0)).unwrap_err().to_string().contains("not encrypted"));
    assert!(wait(database.add_key(0)).unwrap_err().to_string().contains("no key"));
    assert!(wait(database.add_key(database.number())).unwrap_err().to_string().contains("not that of a key"));
    assert_eq!(database.keys().unwrap(), []);
}

/// One that "encrypts" by the pattern, and knows what it has encrypted by its length.
fn kept(answer: impl Fn(Ask) -> Option<Answer> + Send + Sync + 'static) -> Key {
    let keeper = move |ask, given: &[u8]| {
        if let Some(answer) = answer(ask) {
            return answer;
        }
        let turned: Vec<u8> = given.iter().map(|byte| byte ^ 0x5a).collect();
        match (ask, given) {
            (Ask::Wrap, _) => Answer::Given(Zeroizing::new([&turned[..], b"mine"].concat())),
            (Ask::Unwrap, [.., b'm', b'i', b'n', b'e']) => Answer::Given(Zeroizing::new(turned[..32].to_vec())),
            (Ask::Unwrap, _) => Answer::Missing,
        }
    };
    Key(provider(keeper).unwrap())
}

#[test]
fn whoever_keeps_the_key_is_asked_and_what_it_says_is_told() {
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let database = open(&path, kept(|_| None).0).unwrap();
    put(&database, b"secret");
    assert_eq!(database.keys().unwrap()[0].kind, KeyKind::Provider);
    database.end_blocking().unwrap();
    assert!(has(&open(&path, kept(|_| None).0).unwrap(), b"secret"));

    refused(&path, kept(|_| Some(Answer::Missing)).0, "WrongKey", "1 kept by others");
    let failed = kept(|_| Some(Answer::Failed("the service is away".into())));
    refused(&path, failed.0, "WrongKey", "the service is away");
    refused(&path, kept(|_| Some(Answer::Given(Zeroizing::new(vec![1; 31])))).0, "WrongKey", "31 bytes");
    let locked = kept(|_| Some(Answer::Locked("the keychain is locked".into())));
    refused(&path, locked.0, "ProtectedDataUnavailable", "the keychain is locked");
    let Failure::Engine { is_retryable, .. } = open(&path, locked.0).err().unwrap();
    assert!(is_retryable);
    assert!(!folder.0.join("app.ldb-lock").exists(), "it was not left open");
    // What a new one cannot be encrypted by leaves nothing.
    assert!(open(&folder.path("new.ldb"), failed.0).is_err());
}

#[test]
fn whoever_keeps_the_key_may_open_databases_meanwhile() {
    let folder = Folder::new();
    let (path, other) = (folder.path("app.ldb"), folder.path("other.ldb"));
    open(&path, kept(|_| None).0).unwrap().end_blocking().unwrap();
    let (own, said) = (path.clone(), Arc::new(Mutex::new(String::new())));
    let tells = Arc::clone(&said);
    let key = kept(move |_| {
        open(&other, 0).unwrap().end_blocking().unwrap();
        *locked(&tells) = open(&own, 0).err().unwrap().to_string();
        None
    });
    let database = open(&path, key.0).unwrap();
    assert!(locked(&said).contains("is being opened"), "{said:?}");
    put(&database, b"secret");
    // And who comes meanwhile waits for it.
    database.end_blocking().unwrap();
    let opened = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let database = open(&path, kept(|_| None).0).unwrap();
                assert!(has(&database, b"secret"));
                opened.fetch_add(1, Ordering::Relaxed);
                database.end_blocking().unwrap();
            });
        }
    });
    assert_eq!(opened.into_inner(), 4);
}

#[test]
fn backups_of_an_encrypted_database_are_restored_with_its_key() {
    let folder = Folder::new();
    let (app, copy, again) = (folder.path("app.ldb"), folder.path("copy.ldb"), folder.path("again.ldb"));
    let (key, other) = (Key::raw(1), Key::raw(2));
    let database = open(&app, key.0).unwrap();
    put(&database, b"a secret that nobody reads");
    wait(database.backup(copy.clone(), None, None)).unwrap();
    database.end_blocking().unwrap();
    let bytes = std::fs::read(&copy).unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"secret"));
    for wrong in [0, other.0] {
        let error =
            wait(restore_backup(copy.clone(), again.clone(), Vec::new(), RestoreUntil::End, wrong, None)).unwrap_err();
        assert!(error.to_string().starts_with("WrongKey"), "{error}");
    }
    wait(restore_backup(copy, again.clone(), Vec::new(), RestoreUntil::End, key.0, None)).unwrap();
    assert!(has(&open(&again, key.0).unwrap(), b"a secret that nobody reads"));
}

struct Told(Mutex<Vec<Reencryption>>, Option<Arc<Stop>>);

impl ReencryptionListener for Told {
    fn on_progress(&self, progress: Reencryption) {
        locked(&self.0).push(progress);
        if let Some(stop) = &self.1 {
            stop.stop();
        }
    }
}

#[test]
fn everything_is_encrypted_anew_under_one_key() {
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let (key, second, new) = (Key::raw(1), Key::raw(2), Key::raw(3));
    let database = open(&path, key.0).unwrap();
    put(&database, b"secret");
    assert_eq!(wait(database.add_key(second.0)).unwrap(), 1);
    assert_eq!(database.keys().unwrap().len(), 2);
    wait(database.remove_key(0)).unwrap();
    assert!(wait(database.remove_key(1)).unwrap_err().to_string().contains("last"));
    assert_eq!(database.reencryption().unwrap(), None);
    wait(database.reencrypt(new.0)).unwrap();
    let stop = Stop::new();
    let told = Arc::new(Told(Mutex::default(), Some(Arc::clone(&stop))));
    let given_up = wait(database.finish_reencryption(Some(Arc::clone(&told) as _), Some(stop)));
    // The thread in the background may have been faster.
    if let Err(Failure::Engine { name, .. }) = given_up {
        assert_eq!(name, "Cancelled");
    }
    wait(database.finish_reencryption(None, None)).unwrap();
    assert_eq!(database.reencryption().unwrap(), None);
    assert_eq!(database.keys().unwrap().iter().map(|key| key.slot).collect::<Vec<_>>(), [0]);
    database.end_blocking().unwrap();
    refused(&path, second.0, "WrongKey", "1 raw");
    assert!(has(&open(&path, new.0).unwrap(), b"secret"));
}
