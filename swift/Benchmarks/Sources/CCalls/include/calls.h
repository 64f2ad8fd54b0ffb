#pragma once

#include <stddef.h>
#include <stdint.h>

// Opens the table of bytes `name` of the database at `path`, whose keys are text; 0, or the number of an error.
int32_t calls_open(const char *path, const char *name, uint64_t *database, uint64_t *table);

void calls_close(uint64_t database, uint64_t table);

// Gets `count` values, of keys of `key_length` bytes each, one after the other; how many bytes they have together, 0 after an error.
size_t calls_get(uint64_t table, const uint8_t *keys, size_t key_length, size_t count);
