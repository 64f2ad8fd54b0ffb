#include "calls.h"

#include <stdbool.h>

// As in lightning.h, of which a package that depends on the library has no copy.
typedef struct {
    const uint8_t *data;
    size_t len;
} lightning_bytes;

int32_t lightning_open(const char *path, const void *options, uint64_t *database);
int32_t lightning_close(uint64_t database);
int32_t lightning_table(uint64_t database, const char *name, const char *keys, const char *values, uint64_t *table);
void lightning_release(uint64_t handle);
int32_t lightning_get(uint64_t scope, uint64_t target, lightning_bytes key, uint8_t *value, size_t capacity, size_t *length);

int32_t calls_open(const char *path, const char *name, uint64_t *database, uint64_t *table) {
    int32_t status = lightning_open(path, NULL, database);
    return status != 0 ? status : lightning_table(*database, name, "string", "bytes", table);
}

void calls_close(uint64_t database, uint64_t table) {
    lightning_release(table);
    lightning_close(database);
}

size_t calls_get(uint64_t table, const uint8_t *keys, size_t key_length, size_t count) {
    size_t sum = 0;
    uint8_t value[512];
    for (size_t at = 0; at < count; at++) {
        size_t length = 0;
        lightning_bytes key = {keys + at * key_length, key_length};
        if (lightning_get(0, table, key, value, sizeof value, &length) != 0) return 0;
        sum += length;
    }
    return sum;
}
