package dev.lightningdb.internal

import kotlinx.serialization.DeserializationStrategy
import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.SerializationException
import kotlinx.serialization.builtins.ByteArraySerializer
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.descriptors.StructureKind
import kotlinx.serialization.encoding.CompositeDecoder
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.modules.EmptySerializersModule
import kotlinx.serialization.modules.SerializersModule

/**
 * Reads the documents of a chunk as objects, one after the other.
 *
 * A document that has as many fields as its class is taken to have them in the class's order, so that kotlinx.serialization can ask for
 * one value after the other; each name is compared with the one that is due. Where another one comes, the document is read once more, by
 * its names.
 */
internal class DocumentReader(cbor: ByteArray) {
    val reader = CborReader(cbor)
    private val decoder = DocumentDecoder(this)

    /** The names of the class that was read last. */
    private var names: Names? = null

    /** Whether fields are looked for by their names. */
    var isByName = false
        private set

    /** Whether fields came in another order than was thought. Whatever a serializer made of [OutOfOrder], the document is read again. */
    private var wasOutOfOrder = false

    fun <T> read(serializer: DeserializationStrategy<T>, at: Int): T {
        try {
            val document = decode(serializer, at)
            if (!wasOutOfOrder) return document
        } catch (error: Throwable) {
            if (!wasOutOfOrder) throw error
        }
        isByName = true
        try {
            return decode(serializer, at)
        } finally {
            isByName = false
            wasOutOfOrder = false
        }
    }

    private fun <T> decode(serializer: DeserializationStrategy<T>, at: Int): T {
        reader.at = at
        try {
            return decoder.decodeSerializableValue(serializer)
        } catch (error: IndexOutOfBoundsException) {
            throw SerializationException("a document ends within an item", error)
        }
    }

    fun namesOf(descriptor: SerialDescriptor): Names =
        names?.takeIf { it.descriptor === descriptor } ?: Names.of(descriptor).also { names = it }

    fun outOfOrder(names: Names): Nothing {
        names.wereUnordered()
        wasOutOfOrder = true
        throw OutOfOrder
    }
}

/** Leaves a document whose fields are not in their class's order. */
private object OutOfOrder : RuntimeException(null, null, false, false) {
    private fun readResolve(): Any = OutOfOrder
}

/** Reads a value, or the [left] items or fields of a structure; fields have [names]. */
@OptIn(ExperimentalSerializationApi::class)
private class DocumentDecoder(
    private val document: DocumentReader,
    private val names: Names? = null,
    private var left: Int = 0,
) : Decoder, CompositeDecoder {
    override val serializersModule: SerializersModule get() = NO_MODULE

    private val reader = document.reader

    /** The field, or item, that is thought to come next. */
    private var next = 0

    /** Whether values are asked for in the order of the fields, without asking which one follows. */
    private var isInOrder = false

    override fun beginStructure(descriptor: SerialDescriptor): CompositeDecoder = when (descriptor.kind) {
        StructureKind.LIST -> DocumentDecoder(document, null, reader.array())
        StructureKind.MAP -> DocumentDecoder(document, null, reader.map() * 2)
        else -> DocumentDecoder(document, document.namesOf(descriptor), reader.map())
    }

    override fun decodeSequentially(): Boolean {
        val names = names ?: return true
        isInOrder = left == names.size && !document.isByName && names.areOrdered()
        return isInOrder
    }

    override fun decodeElementIndex(descriptor: SerialDescriptor): Int {
        val names = names ?: return if (next < left) next++ else CompositeDecoder.DECODE_DONE
        // Who could ask in order need not.
        isInOrder = false
        while (left > 0) {
            left--
            // Fields come in the order in which they were written, which is most often that of the class.
            for (tried in 0 until names.size) {
                val index = if (next + tried < names.size) next + tried else next + tried - names.size
                if (reader.takes(names[index])) {
                    next = index + 1
                    return index
                }
            }
            reader.skip()
            reader.skip()
        }
        return CompositeDecoder.DECODE_DONE
    }

    /** Called before a value is read. */
    private fun element(index: Int) {
        if (!isInOrder) return
        val names = names!!
        if (!reader.takes(names[index])) document.outOfOrder(names)
    }

    override fun decodeCollectionSize(descriptor: SerialDescriptor): Int =
        if (descriptor.kind == StructureKind.MAP) left / 2 else left

    override fun endStructure(descriptor: SerialDescriptor) = Unit

    override fun <T> decodeSerializableValue(deserializer: DeserializationStrategy<T>): T {
        @Suppress("UNCHECKED_CAST")
        if (reader.isAtBytes && deserializer.descriptor === BYTES) return reader.byteString() as T
        return deserializer.deserialize(this)
    }

    override fun <T> decodeSerializableElement(
        descriptor: SerialDescriptor, index: Int, deserializer: DeserializationStrategy<T>, previousValue: T?,
    ): T {
        element(index)
        return decodeSerializableValue(deserializer)
    }

    override fun <T : Any> decodeNullableSerializableElement(
        descriptor: SerialDescriptor, index: Int, deserializer: DeserializationStrategy<T?>, previousValue: T?,
    ): T? {
        element(index)
        return if (deserializer.descriptor.isNullable || decodeNotNullMark()) decodeSerializableValue(deserializer) else decodeNull()
    }

    override fun decodeInline(descriptor: SerialDescriptor): Decoder = this

    override fun decodeInlineElement(descriptor: SerialDescriptor, index: Int): Decoder {
        element(index)
        return this
    }

    override fun decodeNotNullMark(): Boolean = !reader.isAtNull
    override fun decodeNull(): Nothing? = reader.nothing().let { null }
    override fun decodeBoolean(): Boolean = reader.bool()
    override fun decodeByte(): Byte = narrow(Byte.MIN_VALUE.toLong(), Byte.MAX_VALUE.toLong()).toByte()
    override fun decodeShort(): Short = narrow(Short.MIN_VALUE.toLong(), Short.MAX_VALUE.toLong()).toShort()
    override fun decodeInt(): Int = narrow(Int.MIN_VALUE.toLong(), Int.MAX_VALUE.toLong()).toInt()
    override fun decodeLong(): Long = reader.long()
    override fun decodeFloat(): Float = reader.double().toFloat()
    override fun decodeDouble(): Double = reader.double()
    override fun decodeChar(): Char = reader.text().single()
    override fun decodeString(): String = reader.text()

    override fun decodeBooleanElement(descriptor: SerialDescriptor, index: Int): Boolean = element(index).let { decodeBoolean() }
    override fun decodeByteElement(descriptor: SerialDescriptor, index: Int): Byte = element(index).let { decodeByte() }
    override fun decodeShortElement(descriptor: SerialDescriptor, index: Int): Short = element(index).let { decodeShort() }
    override fun decodeIntElement(descriptor: SerialDescriptor, index: Int): Int = element(index).let { decodeInt() }
    override fun decodeLongElement(descriptor: SerialDescriptor, index: Int): Long = element(index).let { decodeLong() }
    override fun decodeFloatElement(descriptor: SerialDescriptor, index: Int): Float = element(index).let { decodeFloat() }
    override fun decodeDoubleElement(descriptor: SerialDescriptor, index: Int): Double = element(index).let { decodeDouble() }
    override fun decodeCharElement(descriptor: SerialDescriptor, index: Int): Char = element(index).let { decodeChar() }
    override fun decodeStringElement(descriptor: SerialDescriptor, index: Int): String = element(index).let { decodeString() }

    override fun decodeEnum(enumDescriptor: SerialDescriptor): Int {
        val name = reader.text()
        val index = enumDescriptor.getElementIndex(name)
        if (index < 0) throw SerializationException("'$name' is none of ${enumDescriptor.serialName}")
        return index
    }

    private fun narrow(from: Long, to: Long): Long {
        val number = reader.long()
        if (number < from || number > to) throw SerializationException("$number does not fit the field's type")
        return number
    }

    fun reader(): CborReader = reader

    private companion object {
        val NO_MODULE = EmptySerializersModule()
        val BYTES: SerialDescriptor = ByteArraySerializer().descriptor
    }
}

/** The reader behind a decoder, for serializers that read what kotlinx.serialization does not know; null for other formats. */
internal fun cborReader(decoder: Any): CborReader? = (decoder as? DocumentDecoder)?.reader()
