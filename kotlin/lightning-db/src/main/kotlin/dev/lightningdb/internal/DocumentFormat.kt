package dev.lightningdb.internal

import dev.lightningdb.unpack as unpackRecords
import kotlinx.serialization.DeserializationStrategy
import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.SerializationException
import kotlinx.serialization.SerializationStrategy
import kotlinx.serialization.descriptors.PolymorphicKind
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.descriptors.StructureKind
import kotlinx.serialization.encoding.AbstractDecoder
import kotlinx.serialization.encoding.AbstractEncoder
import kotlinx.serialization.encoding.CompositeDecoder
import kotlinx.serialization.encoding.CompositeEncoder
import kotlinx.serialization.modules.EmptySerializersModule
import kotlinx.serialization.modules.SerializersModule
import java.util.concurrent.ConcurrentHashMap

/**
 * Types that kotlinx.serialization knows as documents: CBOR, straight from and into their fields. A class is a map of its fields'
 * names, a sealed one a map of `type` and `value`; `ByteArray`s are bytes.
 */
internal object DocumentFormat {
    fun <T> encode(serializer: SerializationStrategy<T>, value: T): ByteArray {
        val writer = CborWriter()
        encode(serializer, value, writer)
        return writer.toByteArray()
    }

    fun <T> encode(serializer: SerializationStrategy<T>, value: T, to: CborWriter) =
        DocumentEncoder(to).encodeSerializableValue(serializer, value)

    fun <T> decode(serializer: DeserializationStrategy<T>, cbor: ByteArray): T = decode(serializer, CborReader(cbor))

    /** Gives [each] the documents in packed bytes, from [from] on, or null where there is none. One reader remembers the names of their class. */
    inline fun <T> unpack(serializer: DeserializationStrategy<T>, packed: ByteArray, from: Int, each: (T?) -> Unit) {
        val reader = CborReader(packed)
        unpackRecords(packed, from) { at ->
            reader.at = at
            each(if (at < 0) null else decode(serializer, reader))
        }
    }

    fun <T> decode(serializer: DeserializationStrategy<T>, reader: CborReader): T = DocumentDecoder(reader).decodeSerializableValue(serializer)
}

/** The names of a class's fields, as CBOR. */
@OptIn(ExperimentalSerializationApi::class)
internal class Names(val descriptor: SerialDescriptor) {
    val all = Array(descriptor.elementsCount) { CborWriter.of(descriptor.getElementName(it)) }

    companion object {
        // A descriptor is made once for each class; those of generic classes are equal where they are alike.
        private val known = ConcurrentHashMap<SerialDescriptor, Names>()

        fun of(descriptor: SerialDescriptor): Names = known[descriptor] ?: Names(descriptor).also {
            if (known.size < KNOWN_MAX) known[descriptor] = it
        }

        private const val KNOWN_MAX = 10_000
    }
}

@OptIn(ExperimentalSerializationApi::class)
private class DocumentEncoder(
    private val writer: CborWriter,
    private val names: Array<ByteArray>? = null,
) : AbstractEncoder() {
    override val serializersModule: SerializersModule = EmptySerializersModule()

    override fun beginStructure(descriptor: SerialDescriptor): CompositeEncoder {
        writer.map(descriptor.elementsCount)
        return DocumentEncoder(writer, if (descriptor.kind is PolymorphicKind) POLYMORPHIC else Names.of(descriptor).all)
    }

    override fun beginCollection(descriptor: SerialDescriptor, collectionSize: Int): CompositeEncoder {
        if (descriptor.kind == StructureKind.MAP) writer.map(collectionSize) else writer.array(collectionSize)
        return DocumentEncoder(writer)
    }

    override fun encodeElement(descriptor: SerialDescriptor, index: Int): Boolean {
        names?.let { writer.raw(it[index]) }
        return true
    }

    // How many fields follow is said before them.
    override fun shouldEncodeElementDefault(descriptor: SerialDescriptor, index: Int): Boolean = true

    override fun <T> encodeSerializableValue(serializer: SerializationStrategy<T>, value: T) {
        when (value) {
            is ByteArray -> writer.bytes(value)
            else -> super.encodeSerializableValue(serializer, value)
        }
    }

    override fun encodeNull() = writer.nothing()
    override fun encodeBoolean(value: Boolean) = writer.bool(value)
    override fun encodeByte(value: Byte) = writer.integer(value.toLong())
    override fun encodeShort(value: Short) = writer.integer(value.toLong())
    override fun encodeInt(value: Int) = writer.integer(value.toLong())
    override fun encodeLong(value: Long) = writer.integer(value)
    override fun encodeFloat(value: Float) = writer.float(value.toDouble())
    override fun encodeDouble(value: Double) = writer.float(value)
    override fun encodeChar(value: Char) = writer.text(value.toString())
    override fun encodeString(value: String) = writer.text(value)
    override fun encodeEnum(enumDescriptor: SerialDescriptor, index: Int) = writer.text(enumDescriptor.getElementName(index))

    /** For serializers of ours. */
    fun writer(): CborWriter = writer
}

private val POLYMORPHIC = arrayOf(CborWriter.of("type"), CborWriter.of("value"))

@OptIn(ExperimentalSerializationApi::class)
private class DocumentDecoder(
    private val reader: CborReader,
    private val names: Array<ByteArray>? = null,
    private var left: Int = 0,
) : AbstractDecoder() {
    override val serializersModule: SerializersModule = EmptySerializersModule()
    private var next = 0

    override fun beginStructure(descriptor: SerialDescriptor): CompositeDecoder = when (descriptor.kind) {
        StructureKind.LIST -> DocumentDecoder(reader, null, reader.array())
        StructureKind.MAP -> DocumentDecoder(reader, null, reader.map() * 2)
        is PolymorphicKind -> DocumentDecoder(reader, POLYMORPHIC, reader.map())
        else -> {
            val names = reader.names?.takeIf { it.descriptor === descriptor } ?: Names.of(descriptor).also { reader.names = it }
            DocumentDecoder(reader, names.all, reader.map())
        }
    }

    override fun decodeElementIndex(descriptor: SerialDescriptor): Int {
        if (names == null) return if (next < left) next++ else CompositeDecoder.DECODE_DONE
        while (left > 0) {
            left--
            // Fields come in the order in which they were written, which is most often that of the class.
            for (tried in names.indices) {
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

    override fun decodeCollectionSize(descriptor: SerialDescriptor): Int =
        if (descriptor.kind == StructureKind.MAP) left / 2 else left

    override fun decodeSequentially(): Boolean = names == null

    @Suppress("UNCHECKED_CAST")
    override fun <T> decodeSerializableValue(deserializer: DeserializationStrategy<T>): T =
        if (deserializer.descriptor.serialName == BYTES && reader.nextMajor == 2) reader.byteString() as T
        else try {
            super.decodeSerializableValue(deserializer)
        } catch (error: IndexOutOfBoundsException) {
            throw SerializationException("a document ends within an item", error)
        }

    override fun decodeNotNullMark(): Boolean = !reader.isAtNull
    override fun decodeNull(): Nothing? = reader.nothing().let { null }
    override fun decodeBoolean(): Boolean = reader.bool()
    override fun decodeByte(): Byte = narrow(Byte.MIN_VALUE.toLong()..Byte.MAX_VALUE).toByte()
    override fun decodeShort(): Short = narrow(Short.MIN_VALUE.toLong()..Short.MAX_VALUE).toShort()
    override fun decodeInt(): Int = narrow(Int.MIN_VALUE.toLong()..Int.MAX_VALUE).toInt()
    override fun decodeLong(): Long = reader.long()
    override fun decodeFloat(): Float = reader.double().toFloat()
    override fun decodeDouble(): Double = reader.double()
    override fun decodeChar(): Char = reader.text().single()
    override fun decodeString(): String = reader.text()

    override fun decodeEnum(enumDescriptor: SerialDescriptor): Int {
        val name = reader.text()
        val index = enumDescriptor.getElementIndex(name)
        if (index < 0) throw SerializationException("'$name' is none of ${enumDescriptor.serialName}")
        return index
    }

    private fun narrow(range: LongRange): Long = reader.long().also {
        if (it !in range) throw SerializationException("$it does not fit the field's type")
    }

    fun reader(): CborReader = reader

    private companion object {
        const val BYTES = "kotlin.ByteArray"
    }
}

/** The writer behind an encoder, for serializers that write what kotlinx.serialization does not know; null for other formats. */
internal fun cborWriter(encoder: Any): CborWriter? = (encoder as? DocumentEncoder)?.writer()

/** The reader behind a decoder. */
internal fun cborReader(decoder: Any): CborReader? = (decoder as? DocumentDecoder)?.reader()
