//! Collections: looking into them, asking them, and their indexes.

use crate::support::Shell;

const CITIES: &str = r#"{"id": 2, "name": "Turku", "country": "FI", "population": 195000, "tags": ["port", "old"]}
{"id": 1, "name": "Oulu", "country": "FI", "population": 211000}
{"id": 10, "name": "Lund", "country": "SE", "population": 94000, "tags": ["old"]}
"#;

fn cities() -> Shell {
    let shell = Shell::new();
    shell.write("cities.jsonl", CITIES);
    shell.done("import a.ldb cities cities.jsonl --key id --index country --unique name --multi tags");
    shell
}

/// Runs `lightning query` or the like, whose last argument has spaces.
fn asked(shell: &Shell, arguments: &str, query: &str) -> String {
    let arguments: Vec<_> = arguments.split(' ').chain([query]).collect();
    let ran = shell.run_with(&arguments, "");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
    ran.out
}

#[test]
fn collections_are_listed_with_their_keys_and_indexes() {
    let shell = cities();
    assert_eq!(
        shell.done("collections a.ldb"),
        "cities  key id  3 documents\n  index country  plain   3 entries\n  index name     unique  3 entries\n  index tags     \
         multi   4 entries\n"
    );
    assert_eq!(shell.done("tables a.ldb"), "cities  key -> document  3 rows\n");
    let json: serde_json::Value = serde_json::from_str(&shell.done("collections a.ldb --json")).unwrap();
    assert_eq!(json["documents"], 3);
    assert_eq!(json["indexes"][1]["unique"], true);
    assert_eq!(json["indexes"][2]["entries"], 4);
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
}

#[test]
fn queries_find_documents() {
    let shell = cities();
    let found = asked(&shell, "query a.ldb cities", r#"where country = "FI" order by population desc limit 1"#);
    assert_eq!(found, "{\"id\":1,\"name\":\"Oulu\",\"country\":\"FI\",\"population\":211000}\n");
    assert_eq!(asked(&shell, "query a.ldb cities", "select name where tags = \"port\""), "{\"name\":\"Turku\"}\n");
    assert_eq!(
        asked(&shell, "query a.ldb cities --table", "select name, population where population > 100000"),
        "name   population\n─────────────────\nOulu       211000\nTurku      195000\n(2 rows)\n"
    );
    assert_eq!(asked(&shell, "query a.ldb cities --table", "where id = 99"), "(0 rows)\n");
    assert_eq!(asked(&shell, "count a.ldb cities", "where tags = \"old\""), "2\n");
    assert_eq!(shell.done("query a.ldb cities").lines().count(), 3);
}

#[test]
fn a_query_that_cannot_be_read_says_where() {
    let shell = cities();
    let ran = shell.run_with(&["query", "a.ldb", "cities", "where population >"], "");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (2, "lightning: the query, at its end (character 19): expected a value\n")
    );
    assert_eq!(shell.fails("query a.ldb towns", 2), "lightning: a.ldb has no collection 'towns'; it has 'cities'\n");
    shell.done("put a.ldb plain k v");
    assert!(shell.fails("query a.ldb plain", 2).contains("'plain' of a.ldb is a plain table"));
}

#[test]
fn explain_tells_the_index_and_what_was_read() {
    let shell = cities();
    let told = asked(&shell, "explain a.ldb cities", r#"where country = "FI""#);
    assert!(told.starts_with("plan       index 'country'") && told.contains("\nfound      2 rows\n"), "{told}");
    let json = asked(&shell, "explain a.ldb cities --json", r#"where population > 100000"#);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["index"], &json["rows"]), (&serde_json::Value::Null, &2.into()));
    assert_eq!(json["documents_read"], 3);
}

#[test]
fn documents_are_read_and_written_by_key() {
    let shell = cities();
    assert_eq!(shell.done("get a.ldb cities 10 --json").split(",\"value\":").next(), Some("{\"key\":10"));
    assert_eq!(
        shell.fails("get a.ldb cities 11", 1),
        "lightning: a.ldb, collection 'cities': no key '11'; where the key is text, give it in quotes: '\"11\"'\n"
    );
    shell.done(r#"put a.ldb cities 11 {"name":"Pori"}"#);
    assert_eq!(shell.done("get a.ldb cities 11"), "{\"name\":\"Pori\",\"id\":11}\n");
    assert_eq!(
        shell.fails(r#"put a.ldb cities 12 {"id":13}"#, 2),
        "lightning: the document's key is 13 (field 'id'), not 12\n"
    );
    assert_eq!(
        shell.fails(r#"put a.ldb cities 12 {"name":"Pori"}"#, 2),
        "lightning: a.ldb: collection 'cities', unique index 'name': \"Pori\" is the value of document 11 already\n"
    );
    shell.fails(r#"insert a.ldb cities 11 {}"#, 1);
    shell.fails(r#"put a.ldb cities 11 [1]"#, 2);
    assert_eq!(shell.done("scan a.ldb cities --keys-only"), "1\n2\n10\n11\n");
    assert_eq!(shell.done("scan a.ldb cities --above 2 --to 10 --keys-only --reverse --json"), "{\"key\":10}\n");
    assert_eq!(shell.done("count a.ldb cities --from 2"), "3\n");
    let ran = shell.run("delete a.ldb cities 11 99");
    assert_eq!((ran.code, ran.out.as_str()), (1, "deleted 1 row\n"));
    assert_eq!(asked(&shell, "delete a.ldb cities --query", "where country = \"FI\""), "deleted 2 rows\n");
    assert_eq!(shell.done("delete a.ldb cities --from 0"), "deleted 1 row\n");
    assert_eq!(shell.done("count a.ldb cities"), "0\n");
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
}

#[test]
fn keys_of_every_kind_are_given_as_text() {
    let shell = Shell::new();
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let documents = format!(
        "{{\"k\":\"7\"}}\n{{\"k\":7}}\n{{\"k\":[\"fi\",1]}}\n{{\"k\":[\"fi\",2]}}\n{{\"k\":[\"se\",1]}}\n\
         {{\"k\":{{\"$uuid\":\"{uuid}\"}}}}\n{{\"k\":{{\"$timestamp\":0}}}}\n{{\"k\":true}}\n{{\"k\":\"Oulu\"}}\n"
    );
    shell.write("all.jsonl", documents);
    shell.done("import a.ldb all all.jsonl --key k");
    for (key, document) in [
        ("7", "{\"k\":7}"),
        ("\"7\"", "{\"k\":\"7\"}"),
        ("true", "{\"k\":true}"),
        ("Oulu", "{\"k\":\"Oulu\"}"),
        ("[\"fi\",2]", "{\"k\":[\"fi\",2]}"),
        (&format!("uuid({uuid})"), &format!("{{\"k\":\"{uuid}\"}}")),
        ("timestamp(\"1970-01-01\")", "{\"k\":\"1970-01-01T00:00:00Z\"}"),
    ] {
        assert_eq!(shell.done(&format!("get a.ldb all {key}")), format!("{document}\n"));
    }
    assert_eq!(shell.done("scan a.ldb all --prefix [\"fi\"] --keys-only"), "[\"fi\",1]\n[\"fi\",2]\n");
    assert_eq!(shell.done("scan a.ldb all --prefix Ou --keys-only"), "Oulu\n");
}

#[test]
fn indexes_are_made_and_dropped() {
    let shell = cities();
    assert!(shell.done("index add a.ldb cities population").contains("over 3 documents"));
    assert!(shell.done("index add a.ldb cities population").ends_with("is there already\n"));
    assert!(
        asked(&shell, "explain a.ldb cities", "where population = 94000").starts_with("plan       index 'population'")
    );
    shell.done("index add a.ldb cities country+name --unique --name place");
    let told = shell.fails("index add a.ldb cities country --unique", 2);
    assert!(told.contains("its index 'country' is on country; drop it first"), "{told}");
    let told = shell.fails("index add a.ldb cities country --unique --name one", 2);
    assert!(told.contains("unique index 'one': \"FI\" is the value of document"), "{told}");
    assert!(!shell.done("collections a.ldb").contains("one"), "an index that cannot be made is not there");
    assert_eq!(shell.done("index drop a.ldb cities place"), "dropped index 'place' of 'cities'\n");
    assert!(shell.fails("index drop a.ldb cities place", 1).contains("no index 'place'; it has 'country', 'name'"));
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
}

#[test]
fn watch_prints_what_changes_in_the_result() {
    let shell = cities();
    let lines = "{\"id\":2,\"country\":\"FI\",\"population\":1}\nnonsense\n{\"id\":10,\"country\":\"FI\"}\n\
                 {\"id\":11,\"country\":\"NO\"}\ndelete 1\ndelete 77\n{\"name\":\"no key\"}\n";
    let ran = shell.run_with(&["watch", "a.ldb", "cities", "select id where country = \"FI\""], lines);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert_eq!(ran.out, "+ {\"id\":1}\n+ {\"id\":2}\n+ {\"id\":10}\n- 1\n");
    let starts: Vec<_> = ran.err.lines().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(": ")).collect();
    assert_eq!(
        starts,
        [
            "standard input, line 2: give a document as a JSON object, or 'delete KEY'",
            "standard input, line 6: there is no such document",
            "standard input, line 7: collection 'cities', field 'id'",
            "lightning: 3 lines were refused; the others are written",
        ]
    );
    let ran = shell.run_with(&["watch", "a.ldb", "cities", "where id = 11", "--json"], "delete 11\n");
    let changes: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&changes[0]["added"]["country"], &changes[1]["removed"]), (&"NO".into(), &11.into()));
}

#[test]
fn collections_and_tables_are_dropped_whole() {
    let shell = cities();
    shell.done("put a.ldb plain k v");
    assert_eq!(shell.done("drop a.ldb cities"), "dropped collection 'cities' with 3 rows\n");
    assert_eq!(shell.done("drop a.ldb plain"), "dropped table 'plain' with 1 row\n");
    assert_eq!(shell.done("tables a.ldb"), "");
    assert!(shell.fails("drop a.ldb cities", 2).contains("has no table 'cities'"));
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
    shell.write("bad.jsonl", "{\"id\":1}\n{\n");
    shell.fails("import a.ldb t bad.jsonl --key id", 2);
    shell.done("drop a.ldb t");
    assert_eq!(shell.done("tables a.ldb"), "", "nor is there a note of an unfinished import");
}
