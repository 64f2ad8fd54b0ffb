//! Reading and writing single entries and ranges.

use crate::support::{Ran, Shell};

#[test]
fn what_is_put_is_got() {
    let shell = Shell::new();
    assert_eq!(shell.done("put a.ldb t ada 36"), "");
    assert_eq!(shell.done("get a.ldb t ada"), "36\n");
    shell.done("put a.ldb t ada 37");
    assert_eq!(shell.done("get --json a.ldb t ada"), "{\"key\":\"ada\",\"value\":\"37\"}\n");
    assert_eq!(shell.done("get --raw a.ldb t ada"), "37");
    assert_eq!(shell.done("tables a.ldb"), "t  string -> string  1 row\n");
}

#[test]
fn a_missing_key_is_exit_code_1_and_the_others_are_printed() {
    let shell = Shell::new();
    shell.done("put a.ldb t a 1");
    shell.done("put a.ldb t c 3");
    let ran = shell.run("get a.ldb t a b c");
    let expected = Ran { code: 1, out: "1\n3\n".into(), err: "lightning: a.ldb, table 't': no key 'b'\n".into() };
    assert_eq!(ran, expected);
}

#[test]
fn insert_refuses_a_key_that_is_there() {
    let shell = Shell::new();
    shell.done("insert a.ldb t a 1");
    let told = shell.fails("insert a.ldb t a 2", 1);
    assert!(told.starts_with("lightning: a.ldb, table 't': "), "{told}");
    assert_eq!(shell.done("get a.ldb t a"), "1\n");
}

#[test]
fn values_come_from_standard_input_exactly() {
    let shell = Shell::new();
    let text = "line 1\nline 2\t\u{e9}\n";
    assert_eq!(shell.run_with(&["put", "a.ldb", "t", "k", "-"], text).code, 0);
    assert_eq!(shell.done("get --raw a.ldb t k"), text);
    assert_eq!(shell.run_with(&["put", "a.ldb", "n", "k", "-", "--value-type", "u16"], " 7\n").code, 0);
    assert_eq!(shell.done("get a.ldb n k"), "7\n");
}

#[test]
fn keys_are_read_in_the_type_of_the_table() {
    let shell = Shell::new();
    for key in ["10", "9", "-1"] {
        shell.done(&format!("put a.ldb numbers --key-type i64 {key} x"));
    }
    assert_eq!(shell.done("scan a.ldb numbers --keys-only"), "-1\n9\n10\n");
    assert_eq!(shell.done("get a.ldb numbers -1"), "x\n");
    assert_eq!(
        shell.done("scan a.ldb numbers --from -1 --below 10 --json"),
        "{\"key\":-1,\"value\":\"x\"}\n{\"key\":9,\"value\":\"x\"}\n"
    );
    assert_eq!(shell.fails("get a.ldb numbers ada", 2), "lightning: key 'ada' is not an i64\n");

    shell.done(r#"put a.ldb pairs --key-type (string,u8) ["fi",2] x"#);
    shell.done(r#"put a.ldb pairs ["fi",1] y"#);
    shell.done(r#"put a.ldb pairs ["fin",0] z"#);
    assert_eq!(shell.done(r#"scan a.ldb pairs --prefix ["fi"]"#), "[\"fi\",1]\ty\n[\"fi\",2]\tx\n");
    assert_eq!(shell.done(r#"get a.ldb pairs ["fin",0]"#), "z\n");

    shell.done("put a.ldb raw --key-type bytes --value-type bytes 0x00ff 0x80");
    shell.done("put a.ldb raw text also");
    assert_eq!(shell.done("scan a.ldb raw"), "0x00ff\t0x80\ntext\talso\n");
}

#[test]
fn other_types_than_the_recorded_are_refused() {
    let shell = Shell::new();
    shell.done("put a.ldb t --key-type u64 1 x");
    let told = shell.fails("put a.ldb t --key-type string 1 x", 2);
    assert_eq!(
        told,
        "lightning: table 't' has key type u64, not string; leave out --key-type, or choose another table\n"
    );
    assert!(shell.fails("put a.ldb t --key-type int 1 x", 2).contains("types are string, bytes"));
}

#[test]
fn ranges_are_scanned_counted_and_deleted() {
    let shell = Shell::new();
    for key in ["a", "ab", "b", "c"] {
        shell.done(&format!("put a.ldb t {key} v{key}"));
    }
    for (range, keys) in [
        ("", "a ab b c"),
        (" --from ab", "ab b c"),
        (" --above ab", "b c"),
        (" --to b", "a ab b"),
        (" --below b", "a ab"),
        (" --prefix a", "a ab"),
        (" --from ab --to b", "ab b"),
        (" --from c --to a", ""),
    ] {
        let keys: Vec<_> = keys.split_whitespace().collect();
        let lines: String = keys.iter().map(|key| format!("{key}\tv{key}\n")).collect();
        assert_eq!(shell.done(&format!("scan a.ldb t{range}")), lines, "{range}");
        assert_eq!(shell.done(&format!("count a.ldb t{range}")), format!("{}\n", keys.len()), "{range}");
        let reversed: String = keys.iter().rev().map(|key| format!("{key}\n")).collect();
        assert_eq!(shell.done(&format!("scan a.ldb t{range} --reverse --keys-only")), reversed, "{range}");
    }
    assert_eq!(shell.done("scan a.ldb t --limit 1 --reverse"), "c\tvc\n");
    assert_eq!(shell.done("scan a.ldb t --limit 0"), "");
    assert_eq!(shell.done("count a.ldb t --prefix a --json"), "{\"count\":2}\n");
    assert_eq!(shell.done("delete a.ldb t --prefix a"), "deleted 2 rows\n");
    assert_eq!(shell.done("delete a.ldb t b"), "deleted 1 row\n");
    assert_eq!(shell.fails("delete a.ldb t b", 1), "lightning: a.ldb, table 't': not there: 'b'\n");
    assert_eq!(shell.done("scan a.ldb t --keys-only"), "c\n");
}

#[test]
fn delete_wants_keys_or_a_range_and_not_both() {
    let shell = Shell::new();
    shell.done("put a.ldb t a 1");
    shell.fails("delete a.ldb t", 2);
    shell.fails("delete a.ldb t a --prefix a", 2);
    assert_eq!(shell.done("count a.ldb t"), "1\n");
}

#[test]
fn documents_are_nested_in_json_and_other_text_is_not() {
    let shell = Shell::new();
    for (key, value) in [("a", r#"{"x":1}"#), ("b", "[1,2]"), ("c", "5"), ("d", "{broken")] {
        shell.done(&format!("put a.ldb t {key} {value}"));
    }
    let expected = r#"{"key":"a","value":{"x":1}}
{"key":"b","value":[1,2]}
{"key":"c","value":"5"}
{"key":"d","value":"{broken"}
"#;
    assert_eq!(shell.done("scan a.ldb t --json"), expected);
}

#[test]
fn control_characters_in_stored_text_do_not_reach_the_terminal() {
    let shell = Shell::new();
    shell.run_with(&["put", "a.ldb", "t", "a\tb", "-"], "x\n\u{1b}[2J");
    assert_eq!(shell.done("scan a.ldb t"), "a\\tb\tx\\n\\u{1b}[2J\n");
}
