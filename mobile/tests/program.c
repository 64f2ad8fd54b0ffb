// What the interface for C promises, tried by a program in C: `program FOLDER`. Each test is a function; the last line counts them.

#include "lightning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;
static int failures;

#define CHECK(condition)                                                                                                                   \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            const lightning_error *error = lightning_last_error();                                                                         \
            printf("%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition, error ? error->text : "none");                         \
            failures++;                                                                                                                    \
        }                                                                                                                                  \
    } while (0)

static lightning_bytes bytes(const char *text) {
    return (lightning_bytes){(const uint8_t *)text, strlen(text)};
}

static uint64_t open_database(const char *name) {
    char path[1024];
    uint64_t database = 0;
    snprintf(path, sizeof path, "%s/%s.ldb", folder, name);
    CHECK(lightning_open(path, NULL, &database) == LIGHTNING_OK && database != 0);
    return database;
}

static uint64_t open_table(uint64_t database) {
    uint64_t table = 0;
    CHECK(lightning_table(database, "notes", "string", "bytes", &table) == LIGHTNING_OK);
    return table;
}

static bool is_there(uint64_t scope, uint64_t table, const char *key, const char *value) {
    uint8_t found[64];
    size_t length = 0;
    return lightning_get(scope, table, bytes(key), found, sizeof found, &length) == LIGHTNING_OK && length == strlen(value) &&
           memcmp(found, value, length) == 0;
}

static void put(uint64_t scope, uint64_t table, const char *key, const char *value) {
    CHECK(lightning_put(scope, table, LIGHTNING_PUT, bytes(key), bytes(value), NULL) == LIGHTNING_OK);
}

static void values_are_written_found_and_deleted(void) {
    uint64_t database = open_database("values"), table = open_table(database);
    put(LIGHTNING_NOW, table, "a", "one");
    CHECK(is_there(LIGHTNING_NOW, table, "a", "one"));
    size_t length = 0;
    CHECK(lightning_get(LIGHTNING_NOW, table, bytes("b"), NULL, 0, &length) == LIGHTNING_MISSING);
    // A place that is too small is not written to; how much is needed is said.
    uint8_t small[2] = {7, 7};
    CHECK(lightning_get(LIGHTNING_NOW, table, bytes("a"), small, sizeof small, &length) == LIGHTNING_OK);
    CHECK(length == 3 && small[0] == 7 && small[1] == 7);
    // An empty value is a value.
    put(LIGHTNING_NOW, table, "empty", "");
    CHECK(lightning_get(LIGHTNING_NOW, table, bytes("empty"), NULL, 0, &length) == LIGHTNING_OK && length == 0);
    CHECK(lightning_delete(LIGHTNING_NOW, table, bytes("a")) == LIGHTNING_OK);
    CHECK(lightning_delete(LIGHTNING_NOW, table, bytes("a")) == LIGHTNING_MISSING);
    CHECK(lightning_close(database) == LIGHTNING_OK);
}

static void errors_say_what_and_why(void) {
    uint64_t database = open_database("errors"), table = open_table(database);
    put(LIGHTNING_NOW, table, "a", "one");
    int32_t status = lightning_put(LIGHTNING_NOW, table, LIGHTNING_INSERT, bytes("a"), bytes("two"), NULL);
    const lightning_error *error = lightning_last_error();
    CHECK(status == 27 && error->number == 27 && strcmp(error->name, "Unexpected") == 0 && !error->is_retryable);
    CHECK(strcmp(error->fields[0], "what") == 0 && strcmp(error->fields[2], "key") == 0 && error->fields[4] == NULL);
    CHECK(lightning_put(LIGHTNING_NOW, table, 9, bytes("a"), bytes("x"), NULL) == 28);
    CHECK(lightning_table(database, NULL, "string", "bytes", &table) == 28);
    CHECK(lightning_open("/nowhere/at/all.ldb", NULL, &table) != LIGHTNING_OK);
    lightning_options options = {.must_exist = true};
    CHECK(lightning_open("/nowhere.ldb", &options, &table) != LIGHTNING_OK);
    CHECK(lightning_close(database) == LIGHTNING_OK);
}

static void what_is_closed_is_closed(void) {
    uint64_t database = open_database("closed"), again = open_database("closed"), table = open_table(database);
    CHECK(database != again && lightning_close(database) == LIGHTNING_OK);
    put(LIGHTNING_NOW, table, "a", "still open for the other");
    CHECK(lightning_close(again) == LIGHTNING_OK);
    size_t length = 0;
    CHECK(lightning_get(LIGHTNING_NOW, table, bytes("a"), NULL, 0, &length) == 12);
    CHECK(lightning_get(LIGHTNING_NOW, 0, bytes("a"), NULL, 0, &length) == 12);
    CHECK(lightning_get(LIGHTNING_NOW, UINT64_MAX, bytes("a"), NULL, 0, &length) == 12);
    lightning_release(table);
    lightning_release(table);
    CHECK(lightning_close(again) == LIGHTNING_OK);
    database = open_database("closed");
    CHECK(is_there(LIGHTNING_NOW, open_table(database), "a", "still open for the other"));
    CHECK(lightning_close(database) == LIGHTNING_OK);
}

static size_t pack(uint8_t *to, const char *text) {
    size_t length = strlen(text);
    for (int at = 0; at < 4; at++) to[at] = (uint8_t)(length >> (8 * at));
    memcpy(to + 4, text, length);
    return length + 4;
}

static size_t pack_number(uint8_t *to, uint64_t number) {
    for (int at = 0; at < 8; at++) to[at] = (uint8_t)(number >> (8 * at));
    return 8;
}

static void batches_scans_and_many_keys(void) {
    uint64_t database = open_database("batches"), table = open_table(database);
    static uint8_t packed[64 * 1000];
    size_t length = 0;
    for (int number = 0; number < 1000; number++) {
        char key[16];
        snprintf(key, sizeof key, "key %04d", number);
        length += pack_number(packed + length, LIGHTNING_PUT);
        length += pack_number(packed + length, table);
        length += pack(packed + length, key);
        length += pack(packed + length, key + 4);
    }
    CHECK(lightning_batch(LIGHTNING_NOW, (lightning_bytes){packed, length}) == LIGHTNING_OK);
    CHECK(lightning_batch(LIGHTNING_NOW, (lightning_bytes){packed, length - 1}) == 28);

    int entries = 0;
    uint64_t cursor = 0;
    bool is_over = false;
    lightning_buffer rows;
    CHECK(lightning_scan(LIGHTNING_NOW, table, NULL, false, UINT64_MAX, 512, &rows, &cursor) == LIGHTNING_OK && cursor != 0);
    while (true) {
        for (size_t at = 0; at < rows.len;) {
            size_t key = rows.data[at], value = rows.data[at + 4 + key];
            CHECK(key == 8 && value == 4 && memcmp(rows.data + at + 8, rows.data + at + 8 + key, 4) == 0);
            at += 8 + key + value;
            entries++;
        }
        lightning_free(rows);
        if (is_over) break;
        CHECK(lightning_next(cursor, 512, &rows, &is_over) == LIGHTNING_OK);
    }
    CHECK(entries == 1000 && lightning_next(cursor, 512, &rows, &is_over) == 12);

    lightning_range range = {bytes("key 0010"), bytes("key 0012"), true, true};
    CHECK(lightning_scan(LIGHTNING_NOW, table, &range, true, 5, 512, &rows, &cursor) == LIGHTNING_OK && cursor == 0);
    CHECK(rows.len == 2 * 20 && memcmp(rows.data + 4, "key 0012", 8) == 0);
    lightning_free(rows);

    length = pack(packed, "key 0500");
    length += pack(packed + length, "no such key");
    CHECK(lightning_get_many(LIGHTNING_NOW, table, (lightning_bytes){packed, length}, &rows) == LIGHTNING_OK);
    CHECK(rows.len == 12 && memcmp(rows.data + 4, "0500", 4) == 0 && memcmp(rows.data + 8, "\xff\xff\xff\xff", 4) == 0);
    lightning_free(rows);
    // A cursor that is left half-way is closed with its database.
    CHECK(lightning_scan(LIGHTNING_NOW, table, NULL, false, UINT64_MAX, 1, &rows, &cursor) == LIGHTNING_OK && cursor != 0);
    lightning_free(rows);
    CHECK(lightning_close(database) == LIGHTNING_OK && lightning_next(cursor, 1, &rows, &is_over) == 12);
}

static void transactions_and_snapshots(void) {
    uint64_t database = open_database("transactions"), table = open_table(database), first, second, snapshot;
    put(LIGHTNING_NOW, table, "a", "0");
    CHECK(lightning_snapshot(database, &snapshot) == LIGHTNING_OK);
    CHECK(lightning_begin(database, &first) == LIGHTNING_OK && lightning_begin(database, &second) == LIGHTNING_OK);
    CHECK(is_there(first, table, "a", "0") && is_there(second, table, "a", "0"));
    put(first, table, "a", "1");
    put(second, table, "a", "2");
    CHECK(is_there(first, table, "a", "1") && is_there(LIGHTNING_NOW, table, "a", "0"));
    CHECK(lightning_commit(first) == LIGHTNING_OK && lightning_commit(first) == 12);
    CHECK(lightning_commit(second) == 14 && lightning_last_error()->is_retryable);
    CHECK(is_there(LIGHTNING_NOW, table, "a", "1") && is_there(snapshot, table, "a", "0"));
    CHECK(lightning_put(snapshot, table, LIGHTNING_PUT, bytes("a"), bytes("x"), NULL) == 28);
    CHECK(lightning_begin(database, &first) == LIGHTNING_OK);
    put(first, table, "a", "undone");
    lightning_release(first);
    lightning_release(snapshot);
    CHECK(is_there(LIGHTNING_NOW, table, "a", "1"));
    CHECK(lightning_close(database) == LIGHTNING_OK);
}

static void documents_are_cbor(void) {
    // {"key": "id", "indexes": [{"paths": ["age"]}]}, and {"id": 1, "age": 36}
    static const uint8_t schema[] = "\xa2\x63key\x62id\x67indexes\x81\xa1\x65paths\x81\x63"
                                    "age";
    static const uint8_t ada[] = "\xa2\x62id\x01\x63"
                                 "age\x18\x24";
    static const uint8_t one[] = {1};
    uint64_t database = open_database("documents"), people = 0, cursor = 0;
    const lightning_bytes document = {ada, sizeof ada - 1};
    CHECK(lightning_collection(database, "people", (lightning_bytes){schema, sizeof schema - 1}, &people) == LIGHTNING_OK);
    lightning_buffer made = {NULL, 7, 7}, rows;
    CHECK(lightning_put(LIGHTNING_NOW, people, LIGHTNING_PUT, (lightning_bytes){NULL, 0}, document, &made) == LIGHTNING_OK);
    CHECK(made.data == NULL && made.len == 0);
    uint8_t found[64];
    size_t length = 0;
    CHECK(lightning_get(LIGHTNING_NOW, people, (lightning_bytes){one, 1}, found, sizeof found, &length) == LIGHTNING_OK);
    CHECK(length == document.len && memcmp(found, ada, length) == 0);
    // {"where": {"path": "age", "from": 30}}
    static const uint8_t query[] = "\xa1\x65where\xa2\x64path\x63"
                                   "age\x64"
                                   "from\x18\x1e";
    CHECK(lightning_query(LIGHTNING_NOW, people, (lightning_bytes){query, sizeof query - 1}, 4096, &rows, &cursor) == LIGHTNING_OK);
    CHECK(cursor == 0 && rows.len == 4 + document.len && memcmp(rows.data + 4, ada, document.len) == 0);
    lightning_free(rows);
    CHECK(lightning_query(LIGHTNING_NOW, people, (lightning_bytes){one, 1}, 4096, &rows, &cursor) == 28);
    CHECK(lightning_query(LIGHTNING_NOW, people, (lightning_bytes){NULL, 0}, 4096, NULL, NULL) == 28);
    CHECK(lightning_close(database) == LIGHTNING_OK);
}

static void files_are_given_back_and_calls_given_up(void) {
    uint64_t database = open_database("life"), table = open_table(database), scope = 0, cursor = 0, held = 0;
    put(LIGHTNING_NOW, table, "a", "one");
    put(LIGHTNING_NOW, table, "b", "two");
    CHECK(lightning_suspend(database) == LIGHTNING_OK && lightning_suspend(database) == LIGHTNING_OK);
    CHECK(lightning_put(LIGHTNING_NOW, table, LIGHTNING_PUT, bytes("c"), bytes("no"), NULL) == 29);
    CHECK(strcmp(lightning_last_error()->name, "Suspended") == 0 && lightning_last_error()->is_retryable);
    CHECK(lightning_resume(database, 1000) == LIGHTNING_OK);
    put(LIGHTNING_NOW, table, "c", "three");
    CHECK(lightning_trim_memory(database, LIGHTNING_TRIM_ALL, &held) == LIGHTNING_OK && held > 0);
    CHECK(lightning_trim_memory(database, 2, NULL) == 28);
    CHECK(is_there(LIGHTNING_NOW, table, "a", "one") && is_there(LIGHTNING_NOW, table, "c", "three"));

    CHECK(lightning_stoppable(database, LIGHTNING_NOW, &scope) == LIGHTNING_OK);
    CHECK(is_there(scope, table, "a", "one"));
    lightning_buffer rows;
    CHECK(lightning_scan(scope, table, NULL, false, UINT64_MAX, 1, &rows, &cursor) == LIGHTNING_OK && cursor != 0);
    lightning_free(rows);
    CHECK(lightning_stop(scope) == LIGHTNING_OK && lightning_stop(scope) == LIGHTNING_OK);
    bool is_over = false;
    CHECK(lightning_next(cursor, 1, &rows, &is_over) == 31);
    CHECK(lightning_put(scope, table, LIGHTNING_PUT, bytes("d"), bytes("no"), NULL) == 31);
    CHECK(!is_there(LIGHTNING_NOW, table, "d", "no"));
    CHECK(lightning_stop(table) == 28);
    CHECK(lightning_close(database) == LIGHTNING_OK);
    CHECK(lightning_open_objects() == 0);
}

typedef struct {
    int32_t status;
    int released;
} keeper;

static int32_t turn(void *context, lightning_bytes given, uint8_t *answer, size_t *length) {
    keeper *kept = context;
    static const char text[] = "it is away";
    memcpy(answer, text, *length = sizeof text - 1);
    if (kept->status != LIGHTNING_OK) return kept->status;
    for (size_t at = 0; at < given.len; at++) answer[at] = given.data[at] ^ 0x5a;
    *length = given.len;
    return LIGHTNING_OK;
}

static void let_go(void *context) {
    ((keeper *)context)->released++;
}

static void what_is_encrypted_opens_with_its_keys_alone(void) {
    char path[1024];
    uint64_t database = 0, raw = 0, text = 0, kept = 0;
    uint8_t slot = 9;
    keeper own = {LIGHTNING_OK, 0};
    static const uint8_t secret[32] = {1, 2, 3};
    snprintf(path, sizeof path, "%s/encrypted.ldb", folder);
    CHECK(lightning_raw_key((lightning_bytes){secret, 31}, &raw) == 28);
    CHECK(lightning_raw_key((lightning_bytes){secret, 32}, &raw) == LIGHTNING_OK);
    CHECK(lightning_passphrase_key(bytes("open sesame"), &text) == LIGHTNING_OK);
    lightning_key_provider provider = {&own, turn, turn, let_go};
    CHECK(lightning_provider_key(provider, &kept) == LIGHTNING_OK);
    lightning_options options = {.key = raw, .encryption = 2};
    CHECK(lightning_open(path, &options, &database) == 28);
    options.encryption = LIGHTNING_CHACHA20_POLY1305;
    CHECK(lightning_open(path, &options, &database) == LIGHTNING_OK);
    put(LIGHTNING_NOW, open_table(database), "a", "secret");
    CHECK(lightning_add_key(database, kept, &slot) == LIGHTNING_OK && slot == 1);
    CHECK(lightning_add_key(database, 0, NULL) == 28 && lightning_add_key(database, database, NULL) == 28);
    CHECK(lightning_add_key(database, text, NULL) == LIGHTNING_OK && lightning_remove_key(database, 0) == LIGHTNING_OK);
    CHECK(lightning_close(database) == LIGHTNING_OK);

    CHECK(lightning_open(path, &options, &database) == 33 && strcmp(lightning_last_error()->name, "WrongKey") == 0);
    CHECK(lightning_open(path, NULL, &database) == 33);
    options.key = kept;
    own.status = LIGHTNING_DEVICE_LOCKED;
    CHECK(lightning_open(path, &options, &database) == 30 && lightning_last_error()->is_retryable);
    own.status = LIGHTNING_MISSING;
    CHECK(lightning_open(path, &options, &database) == 33);
    own.status = 1;
    CHECK(lightning_open(path, &options, &database) == 33 && strstr(lightning_last_error()->text, "it is away"));
    own.status = LIGHTNING_OK;
    CHECK(lightning_open(path, &options, &database) == LIGHTNING_OK);
    lightning_release(kept);
    CHECK(is_there(LIGHTNING_NOW, open_table(database), "a", "secret") && own.released == 0);
    CHECK(lightning_close(database) == LIGHTNING_OK && own.released == 1);
    options.key = text;
    CHECK(lightning_open(path, &options, &database) == LIGHTNING_OK && lightning_close(database) == LIGHTNING_OK);
    lightning_release(text);
    lightning_release(raw);
    CHECK(lightning_open_objects() == 0);
}

int main(int count, char **arguments) {
    static void (*const tests[])(void) = {
        values_are_written_found_and_deleted, errors_say_what_and_why, what_is_closed_is_closed,
        batches_scans_and_many_keys,          transactions_and_snapshots, documents_are_cbor,
        files_are_given_back_and_calls_given_up, what_is_encrypted_opens_with_its_keys_alone,
    };
    if (count != 2) {
        fprintf(stderr, "program FOLDER: tries the interface for C with databases in that folder\n");
        return 2;
    }
    folder = arguments[1];
    int passed = 0, failed = 0;
    for (size_t at = 0; at < sizeof tests / sizeof *tests; at++) {
        failures = 0;
        tests[at]();
        *(failures == 0 ? &passed : &failed) += 1;
    }
    printf("test result: %s. %d passed; %d failed\n", failed == 0 ? "ok" : "FAILED", passed, failed);
    return failed == 0 ? 0 : 1;
}
