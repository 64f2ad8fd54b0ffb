// Lightning DB for C. Made from mobile/src/c.rs: do not edit.
//
// Every function gives LIGHTNING_OK, LIGHTNING_MISSING, or the number of an error, of which lightning_last_error tells the rest.
// Objects are handles, which any thread may use; a number that stands for nothing gives an error.
//
// Pointers are null only where it says so; a pointer and a length name as many bytes that may be read, which nobody changes during the
// call; text ends with a zero byte; a buffer is freed once.

#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// It is done.
#define LIGHTNING_OK 0

// It is done; there is nothing under the key.
#define LIGHTNING_MISSING -1

// The scope of a call that is a transaction, or a snapshot, of its own.
#define LIGHTNING_NOW 0

// Writes whatever is there.
#define LIGHTNING_PUT 0

// Writes only where nothing is there.
#define LIGHTNING_INSERT 1

// Writes only where something is there.
#define LIGHTNING_REPLACE 2

// Deletes; only in a batch.
#define LIGHTNING_DELETE 3

// Acknowledged when it is on the medium.
#define LIGHTNING_SYNC 0

// Acknowledged at once, and on the medium a second later.
#define LIGHTNING_PERIODIC 1

// Acknowledged at once; a power loss may take it.
#define LIGHTNING_RELAXED 2

// How a new database is encrypted: by AES-256-GCM.
#define LIGHTNING_AES_256_GCM 0

// By ChaCha20-Poly1305, which is faster where the processor has no instructions for AES.
#define LIGHTNING_CHACHA20_POLY1305 1

// What a [`lightning_key_provider`] gives when the device is locked, and keeps its keys to itself until it is unlocked.
#define LIGHTNING_DEVICE_LOCKED 30

// Bytes that the answer of a [`lightning_key_provider`] has at most.
#define LIGHTNING_ANSWER_MAX 512

// Gives back what was not read lately.
#define LIGHTNING_TRIM_MODERATE 0

// Gives back all that can be read again.
#define LIGHTNING_TRIM_ALL 1

// What went wrong in the last call of a thread that did not give `LIGHTNING_OK` or `LIGHTNING_MISSING`.
typedef struct lightning_error {
  // Its number, which the call gave.
  int32_t number;
  // Whether the same call may succeed when it is made again.
  bool is_retryable;
  // Its name, the same in every language.
  const char *name;
  // What happened, where, and what to do.
  const char *text;
  // The parts of it that programs look at: names and values in turn, a null pointer at the end.
  const char *const *fields;
} lightning_error;

// Bytes of the library's: give them back with [`lightning_free`].
typedef struct lightning_buffer {
  // The first of them; null where there is no buffer.
  uint8_t *data;
  // How many.
  size_t len;
  // For [`lightning_free`].
  size_t capacity;
} lightning_buffer;

// How a database is opened. All zero is the usual way.
typedef struct lightning_options {
  // Fail where there is no database.
  bool must_exist;
  // Refuse every write.
  bool read_only;
  // `LIGHTNING_SYNC`, `LIGHTNING_PERIODIC` or `LIGHTNING_RELAXED`.
  uint8_t durability;
  // Memory for everything together, in bytes; 0 is 10 MB.
  uint64_t memory_budget_bytes;
  // The change feed keeps so many bytes of the newest commits.
  uint64_t feed_retention_bytes;
  // What opens an encrypted database, or 0. A new one that is given a key is encrypted, and this is its first key.
  uint64_t key;
  // `LIGHTNING_AES_256_GCM` or `LIGHTNING_CHACHA20_POLY1305`: how a new database is encrypted, if it gets a key.
  uint8_t encryption;
} lightning_options;

// Bytes of the caller's; `data` may be null where `len` is 0.
typedef struct lightning_bytes {
  // The first of them.
  const uint8_t *data;
  // How many.
  size_t len;
} lightning_bytes;

// Somebody who keeps a key and gives it to nobody: a keychain, a key management service. Its functions are called from any thread, and
// from several at once; `given` is there until they return. They write at most `LIGHTNING_ANSWER_MAX` bytes to `answer`, and how many
// to `length`, and give `LIGHTNING_OK`. `LIGHTNING_DEVICE_LOCKED`, or anything else for what fails, with a text for people in `answer`.
typedef struct lightning_key_provider {
  // What each of them is given.
  void *context;
  // Encrypts a key of 32 bytes so that only `unwrap` gives it back.
  int32_t (*wrap)(void *context, struct lightning_bytes given, uint8_t *answer, size_t *length);
  // The key, 32 bytes, that `wrap` has encrypted so; `LIGHTNING_MISSING` if it has not.
  int32_t (*unwrap)(void *context, struct lightning_bytes given, uint8_t *answer, size_t *length);
  // Called once, after the last call of the others; it may be null.
  void (*release)(void *context);
} lightning_key_provider;

// Keys of a table; a bound whose `data` is null is the end of the table.
typedef struct lightning_range {
  // Where it begins.
  struct lightning_bytes lower;
  // Where it ends.
  struct lightning_bytes upper;
  // Whether the key where it begins is not in it.
  bool excludes_lower;
  // Whether the key where it ends is in it.
  bool includes_upper;
} lightning_range;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The last error of this thread, until its next call; null where there was none.
const struct lightning_error *lightning_last_error(void);

// How many objects are open in this process, of all databases: where it grows, something is not given up.
uint64_t lightning_open_objects(void);

// Frees a buffer.
//
// # Safety
// It came from this library, and was not freed before.
void lightning_free(struct lightning_buffer buffer);

// Opens the database at `path`. `options` may be null.
int32_t lightning_open(const char *path,
                       const struct lightning_options *options,
                       uint64_t *database);

// A key of 32 bytes, for [`lightning_open`]. Keys are given up with [`lightning_release`] once they were used; what they were made of is
// the caller's to wipe.
int32_t lightning_raw_key(struct lightning_bytes bytes,
                          uint64_t *key);

// A passphrase, as UTF-8, from which Argon2id derives the key.
int32_t lightning_passphrase_key(struct lightning_bytes text, uint64_t *key);

// A key that somebody keeps. Whatever this gives, `release` is called.
int32_t lightning_provider_key(struct lightning_key_provider provider, uint64_t *key);

// Lets one key more open a database, at most eight, which all lead to the same data; `slot` is what it is removed by, and may be null.
int32_t lightning_add_key(uint64_t database,
                          uint64_t key,
                          uint8_t *slot);

// The key in a slot opens a database no more. The last key stays.
int32_t lightning_remove_key(uint64_t database, uint8_t slot);

// Gives a database up; the last one who does so closes it.
int32_t lightning_close(uint64_t database);

// Lets go of the files of a database, for everybody in this process who has it open: what is committed is brought into them, they are
// closed, and the lock on them is given up. Calls that need them give the error Suspended until [`lightning_resume`]. Whatever this
// gives, they are closed.
int32_t lightning_suspend(uint64_t database);

// Takes the files again. As long as another process has them, that is tried for so many milliseconds.
int32_t lightning_resume(uint64_t database,
                         uint64_t wait_ms);

// Gives memory back: `LIGHTNING_TRIM_MODERATE` or `LIGHTNING_TRIM_ALL`. `held` is how many bytes are kept; it may be null.
int32_t lightning_trim_memory(uint64_t database,
                              uint8_t level,
                              uint64_t *held);

// A scope like `scope`, which is `LIGHTNING_NOW`, a snapshot or a transaction, whose calls another thread can give up with
// [`lightning_stop`], those of cursors opened in it as well. Until [`lightning_release`].
int32_t lightning_stoppable(uint64_t database,
                            uint64_t scope,
                            uint64_t *stoppable);

// Gives up the calls that are made in a scope of [`lightning_stoppable`]: those that take long end soon, and those to come at once, with
// the error Cancelled. Nothing of a write that is given up is kept.
int32_t lightning_stop(uint64_t stoppable);

// Opens a table, and makes it if there is none. Types are named as the file does: `string`, `bytes`, `u64`, `(string, u64)`. Keys and
// values of type `string` and `bytes` cross as they are, those of others as CBOR.
int32_t lightning_table(uint64_t database,
                        const char *name,
                        const char *keys,
                        const char *values,
                        uint64_t *table);

// Opens a collection, and makes it and its indexes where they are not there. The schema is CBOR; without one it is opened as it is.
int32_t lightning_collection(uint64_t database,
                             const char *name,
                             struct lightning_bytes schema,
                             uint64_t *collection);

// The database as it is now; its handle is a scope for reading, until [`lightning_release`].
int32_t lightning_snapshot(uint64_t database, uint64_t *snapshot);

// Begins a serializable transaction; its handle is a scope for reading and writing, until [`lightning_commit`], or
// [`lightning_release`], which undoes it.
int32_t lightning_begin(uint64_t database,
                        uint64_t *transaction);

// Makes everything of a transaction permanent, or nothing. It is over then, whatever comes of it.
int32_t lightning_commit(uint64_t transaction);

// Gives up a key, table, collection, cursor, snapshot, transaction or stoppable scope. A number that stands for nothing is left alone.
void lightning_release(uint64_t handle);

// Reads the value or document of a key. `length` is how long it is; where that is more than `capacity`, nothing was copied, and it is
// asked for again.
//
// # Safety
// As the module says; `capacity` bytes may be written at `value`.
int32_t lightning_get(uint64_t scope,
                      uint64_t target,
                      struct lightning_bytes key,
                      uint8_t *value,
                      size_t capacity,
                      size_t *length);

// Reads the document that has these values in a unique index, one for each of its paths: `index` is its name, UTF-8, `values` are CBOR and
// packed as keys are for [`lightning_get_many`]. `length` and `capacity` are as for [`lightning_get`].
//
// # Safety
// As the module says; `capacity` bytes may be written at `value`.
int32_t lightning_get_by(uint64_t scope,
                         uint64_t collection,
                         struct lightning_bytes index,
                         struct lightning_bytes values,
                         uint8_t *value,
                         size_t capacity,
                         size_t *length);

// Reads the values or documents of many keys. Keys and values are packed: each with its length before it, 4 bytes, lowest first; a
// length of 0xffffffff stands for a key that is missing.
int32_t lightning_get_many(uint64_t scope,
                           uint64_t target,
                           struct lightning_bytes keys,
                           struct lightning_buffer *values);

// Writes a value under a key; or a document, whose key lies in it. `mode` is `LIGHTNING_PUT`, `LIGHTNING_INSERT` or
// `LIGHTNING_REPLACE`. Where a document's key is made, `made` is that, as CBOR; it may be null.
int32_t lightning_put(uint64_t scope,
                      uint64_t target,
                      uint8_t mode,
                      struct lightning_bytes key,
                      struct lightning_bytes value,
                      struct lightning_buffer *made);

// Deletes what is under a key: `LIGHTNING_MISSING` where nothing was.
int32_t lightning_delete(uint64_t scope, uint64_t target, struct lightning_bytes key);

// Does all writes in one transaction, or none. They are packed: of each what it does (`LIGHTNING_PUT` to `LIGHTNING_DELETE`) and its
// table or collection, 8 bytes each, lowest first; then the key and the value, each with its length before it, 4 bytes.
int32_t lightning_batch(uint64_t scope,
                        struct lightning_bytes writes);

// Begins a query, CBOR, and gives documents, packed, until they have so many bytes; `cursor` is for [`lightning_next`], or 0 where
// these are all. Without a query all documents are given.
int32_t lightning_query(uint64_t scope,
                        uint64_t collection,
                        struct lightning_bytes query,
                        size_t bytes,
                        struct lightning_buffer *rows,
                        uint64_t *cursor);

// Begins a scan of a table, and gives entries, each its key and then its value, packed, until they have so many bytes; `cursor` is for
// [`lightning_next`], or 0 where these are all. `range` may be null: all entries.
int32_t lightning_scan(uint64_t scope,
                       uint64_t table,
                       const struct lightning_range *range,
                       bool backwards,
                       uint64_t limit,
                       size_t bytes,
                       struct lightning_buffer *rows,
                       uint64_t *cursor);

// The rows that follow, packed, until they have so many bytes. Behind the last `is_over` is true, and the cursor is released.
int32_t lightning_next(uint64_t cursor,
                       size_t bytes,
                       struct lightning_buffer *rows,
                       bool *is_over);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus
