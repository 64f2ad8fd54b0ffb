package dev.lightningdb.internal

import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.descriptors.PolymorphicKind
import kotlinx.serialization.descriptors.SerialDescriptor
import java.util.concurrent.ConcurrentHashMap

/** The names of a class's fields, in its order. What is of several classes says which one, and has its value beside that. */
@OptIn(ExperimentalSerializationApi::class)
internal class Names(val descriptor: SerialDescriptor) {
    private val all: Array<Name> =
        if (descriptor.kind is PolymorphicKind) arrayOf(Name("type"), Name("value"))
        else Array(descriptor.elementsCount) { Name(descriptor.getElementName(it)) }

    val size: Int get() = all.size

    /**
     * So many documents of this class are read by their names, for one had its fields in another order: to notice that takes longer than to
     * look for them. Threads that count at once may lose a count.
     */
    private var unordered = 0

    operator fun get(index: Int): Name = all[index]

    /** Whether the next document may have all its fields in their order. */
    fun areOrdered(): Boolean = unordered == 0 || --unordered < 0

    fun wereUnordered() {
        unordered = UNORDERED
    }

    companion object {
        private const val UNORDERED = 1000

        // A descriptor is made once for each class; those of generic classes are equal where they are alike.
        private val known = ConcurrentHashMap<SerialDescriptor, Names>()

        fun of(descriptor: SerialDescriptor): Names = known[descriptor] ?: Names(descriptor).also {
            if (known.size < KNOWN_MAX) known[descriptor] = it
        }

        private const val KNOWN_MAX = 10_000
    }
}

/** A field's name as CBOR, and its first and last bytes as numbers, highest first. */
internal class Name(name: String) {
    val cbor: ByteArray = CborWriter.of(name)
    val size: Int = cbor.size

    /** The first 8 bytes, as far as there are any. */
    val head: Long = number(0)

    /** Which bits of [head] are the name's. */
    val mask: Long = if (size >= 8) -1L else -1L shl (64 - 8 * size)

    /** The last 8 bytes, of those with more than that. */
    val tail: Long = number(maxOf(0, size - 8))

    private fun number(from: Int): Long =
        (from until from + 8).fold(0L) { number, at -> number shl 8 or if (at < size) cbor[at].toLong() and 0xff else 0 }
}
