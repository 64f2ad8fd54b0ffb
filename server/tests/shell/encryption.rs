//! Encrypted databases: each way to give a key, and what is refused.

use crate::support::Shell;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn every_command_opens_an_encrypted_database_by_its_key() {
    let shell = Shell::new();
    shell.write("key", format!("{KEY}\nwhat follows does not count\n"));
    shell.write("rows.jsonl", "{\"id\":1,\"name\":\"PLAINTEXT\"}\n");
    shell.done("import a.ldb rows rows.jsonl --key id --key-file key --cipher chacha20-poly1305");
    for command in [
        "get a.ldb rows 1",
        "count a.ldb rows",
        "check a.ldb",
        "stats a.ldb",
        "tables a.ldb",
        "compact a.ldb",
        "backup a.ldb copy.ldb",
        "verify copy.ldb",
        "restore again.ldb copy.ldb",
        "repair a.ldb --output repaired.ldb",
        "get repaired.ldb rows 1",
        "get again.ldb rows 1",
        "key list a.ldb",
    ] {
        let told = shell.fails(command, 2);
        assert!(told.contains("no key was given"), "{command}: {told}");
        shell.done(&format!("{command} --key-file key"));
    }
    for file in ["a.ldb", "copy.ldb", "again.ldb", "repaired.ldb"] {
        let bytes = std::fs::read(shell.path(file)).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"PLAINTEXT"), "{file}");
    }
}

#[test]
fn increments_are_sealed_and_restored_by_the_key() {
    let shell = Shell::new();
    shell.write("key", KEY);
    shell.done("put a.ldb t one 1 --key-file key --keep-log 4");
    shell.done("backup a.ldb base --key-file key");
    shell.done("put a.ldb t two PLAINTEXT --key-file key --keep-log 4");
    shell.done("backup a.ldb more --since base --key-file key --keep-log 4");
    let bytes = std::fs::read(shell.path("more")).unwrap();
    assert!(!bytes.windows(9).any(|part| part == b"PLAINTEXT"));
    shell.done("verify base more --key-file key");
    shell.done("restore b.ldb base more --key-file key");
    assert_eq!(shell.done("get b.ldb t two --key-file key"), "PLAINTEXT\n");
    // An increment goes on after another, which opens by itself.
    shell.done("put a.ldb t three 3 --key-file key --keep-log 4");
    shell.done("backup a.ldb last --since more --key-file key --keep-log 4");
    shell.done("verify base more last --key-file key");
}

#[test]
fn a_key_is_never_an_argument_and_one_that_is_not_needed_is_told() {
    let shell = Shell::new();
    shell.write("key", KEY);
    shell.done("put plain.ldb t one 1");
    assert!(shell.fails("get plain.ldb t one --key-file key", 2).contains("not encrypted"));
    assert!(shell.fails("key list plain.ldb", 2).contains("not encrypted"));
    assert!(shell.fails("put new.ldb t one 1 --cipher aes-256-gcm", 2).contains("--cipher needs a key"));
    assert!(shell.fails("put new.ldb t one 1 --key-file missing", 2).contains("cannot read a key from missing"));
    assert!(shell.fails("put new.ldb t one 1 --key-env NO_SUCH_VARIABLE", 2).contains("NO_SUCH_VARIABLE"));
    shell.write("empty", "\n");
    assert!(shell.fails("put new.ldb t one 1 --key-file empty", 2).contains("the key is empty"));
    assert!(shell.fails("put new.ldb t one 1 --key-file key --key-env HOME", 2).contains("cannot be used with"));
    assert!(!shell.path("new.ldb").exists(), "nothing was made");
}
