package dev.lightningdb

import dev.lightningdb.internal.CborWriter
import kotlin.reflect.KProperty1

/** What an update does with documents, one change after the other. */
@LightningDsl
public class UpdateBuilder internal constructor() {
    private val changes = mutableListOf<Map<String, Any?>>()

    /** Gives a field a value. */
    public fun set(path: String, value: Any?) {
        changes += mapOf("set" to path, "value" to value)
    }

    /** Gives a field a value. */
    public fun <V> set(property: KProperty1<*, V>, value: V): Unit = set(property.name, value)

    /** Adds to a number. */
    public fun increment(path: String, by: Number) {
        changes += mapOf("increment" to path, "by" to by)
    }

    /** Adds to a number. */
    public fun increment(property: KProperty1<*, *>, by: Number): Unit = increment(property.name, by)

    /** Takes a field away. */
    public fun remove(path: String) {
        changes += mapOf("remove" to path)
    }

    /** Merges these fields in (RFC 7396): null takes one away. */
    public fun patch(fields: Map<String, Any?>) {
        changes += mapOf("patch" to fields)
    }

    internal fun toCbor(): ByteArray = CborWriter.of(changes)
}
