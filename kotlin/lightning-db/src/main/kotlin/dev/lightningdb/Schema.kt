package dev.lightningdb

import dev.lightningdb.internal.CborWriter
import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.descriptors.PolymorphicKind
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.descriptors.StructureKind
import kotlin.reflect.KProperty1

/** How keys of documents are made that come without one. */
public enum class AutoKey(internal val text: String) {
    /** Counted up; a number is never given twice. */
    Increment("increment"),

    /** UUIDs of version 7, which sort by the time they were made. */
    UuidV7("uuid"),
}

/** What an application says of a collection: its indexes, and how its documents come and go. */
@LightningDsl
public class SchemaBuilder<T : Any> internal constructor(private val key: String, private val type: SerialDescriptor?) {
    private val indexes = mutableListOf<Map<String, Any?>>()

    /** The version of the documents; where it grows, [migrate] says how they become those of the next. */
    public var version: Int = 1

    /** Documents go by themselves so many milliseconds after they were written. */
    public var expiresAfterMs: Long? = null

    /** How keys are made. */
    public var autoKey: AutoKey? = null

    internal val migrations = mutableMapOf<Int, Migration<T>>()

    init {
        check(key)
    }

    /** An index of one field, or of several in order; its name is their paths joined by `+`, unless it is given. */
    public fun index(
        vararg paths: KProperty1<T, *>,
        name: String? = null,
        sparse: Boolean = false,
        multi: Boolean = false,
        folded: Boolean = false,
    ): Unit = add(paths.map { it.name }, name, unique = false, sparse, multi, folded)

    /** An index of paths, as `address.city`. */
    public fun index(
        vararg paths: String,
        name: String? = null,
        sparse: Boolean = false,
        multi: Boolean = false,
        folded: Boolean = false,
    ): Unit = add(paths.asList(), name, unique = false, sparse, multi, folded)

    /** An index in which no two documents have the same entry. */
    public fun unique(vararg paths: KProperty1<T, *>, name: String? = null, sparse: Boolean = false, folded: Boolean = false): Unit =
        add(paths.map { it.name }, name, unique = true, sparse, multi = false, folded)

    /** An index in which no two documents have the same entry. */
    public fun unique(vararg paths: String, name: String? = null, sparse: Boolean = false, folded: Boolean = false): Unit =
        add(paths.asList(), name, unique = true, sparse, multi = false, folded)

    /** How a document of version [from] becomes one of the next: its fields are changed in place. */
    public fun migrate(from: Int, change: (MutableMap<String, Any?>) -> Unit) {
        migrations[from] = Migration.Each(change)
    }

    /** The same changes make documents of version [from] those of the next. */
    public fun migrateBy(from: Int, changes: UpdateBuilder.() -> Unit) {
        migrations[from] = Migration.By(UpdateBuilder().apply(changes).toCbor())
    }

    /** All documents of version [from] become those of the next in one transaction, in which [change] reads and writes them. */
    public fun migrateTogether(from: Int, change: (BlockingCollection<T>) -> Unit) {
        migrations[from] = Migration.Together(change)
    }

    @Suppress("LongParameterList")
    private fun add(paths: List<String>, name: String?, unique: Boolean, sparse: Boolean, multi: Boolean, folded: Boolean) {
        paths.forEach(::check)
        indexes += buildMap {
            put("paths", paths)
            name?.let { put("name", it) }
            if (unique) put("unique", true)
            if (sparse) put("sparse", true)
            if (multi) put("multi", true)
            if (folded) put("folded", true)
        }
    }

    private fun check(path: String) {
        if (type != null) checkPath(type, path)
    }

    internal fun toCbor(): ByteArray = CborWriter.of(
        buildMap {
            put("key", key)
            put("version", version)
            put("indexes", indexes)
            expiresAfterMs?.let { put("expiresAfterMs", it) }
            autoKey?.let { put("autoKey", it.text) }
        },
    )
}

/** How documents of a version become those of the next. */
internal sealed class Migration<T : Any> {
    class Each<T : Any>(val change: (MutableMap<String, Any?>) -> Unit) : Migration<T>()

    class By<T : Any>(val changes: ByteArray) : Migration<T>()

    class Together<T : Any>(val change: (BlockingCollection<T>) -> Unit) : Migration<T>()
}

/** Keeps what builders offer from being called in each other. */
@DslMarker
internal annotation class LightningDsl

/** Fails where a path begins with a field that the serializer of the type does not write. */
@OptIn(ExperimentalSerializationApi::class)
internal fun checkPath(type: SerialDescriptor, path: String) {
    var at = type
    for (name in path.split('.')) {
        if (at.kind == StructureKind.LIST) at = at.getElementDescriptor(0)
        // What a map or a sealed class holds is not known before.
        if (at.kind != StructureKind.CLASS || at.kind is PolymorphicKind) return
        val index = at.getElementIndex(name)
        require(index >= 0) {
            val names = (0 until at.elementsCount).joinToString { at.getElementName(it) }
            "${at.serialName} is stored without a field '$name'; its fields are $names. Where @SerialName renames one, give that name as text"
        }
        at = at.getElementDescriptor(index)
    }
}
