package dev.lightningdb.internal

import dev.lightningdb.unpack as unpackRecords
import kotlinx.serialization.DeserializationStrategy
import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.SerializationStrategy
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.descriptors.StructureKind
import kotlinx.serialization.encoding.AbstractEncoder
import kotlinx.serialization.encoding.CompositeEncoder
import kotlinx.serialization.modules.EmptySerializersModule
import kotlinx.serialization.modules.SerializersModule

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

    fun <T> decode(serializer: DeserializationStrategy<T>, cbor: ByteArray): T = DocumentReader(cbor).read(serializer, 0)

    /** Gives [each] the documents in packed bytes, from [from] on, or null where there is none. */
    inline fun <T> unpack(serializer: DeserializationStrategy<T>, packed: ByteArray, from: Int, each: (T?) -> Unit) {
        val reader = DocumentReader(packed)
        unpackRecords(packed, from) { at -> each(if (at < 0) null else reader.read(serializer, at)) }
    }
}

@OptIn(ExperimentalSerializationApi::class)
private class DocumentEncoder(
    private val writer: CborWriter,
    private val names: Names? = null,
) : AbstractEncoder() {
    override val serializersModule: SerializersModule = EmptySerializersModule()

    override fun beginStructure(descriptor: SerialDescriptor): CompositeEncoder {
        writer.map(descriptor.elementsCount)
        return DocumentEncoder(writer, Names.of(descriptor))
    }

    override fun beginCollection(descriptor: SerialDescriptor, collectionSize: Int): CompositeEncoder {
        if (descriptor.kind == StructureKind.MAP) writer.map(collectionSize) else writer.array(collectionSize)
        return DocumentEncoder(writer)
    }

    override fun encodeElement(descriptor: SerialDescriptor, index: Int): Boolean {
        names?.let { writer.raw(it[index].cbor) }
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

/** The writer behind an encoder, for serializers that write what kotlinx.serialization does not know; null for other formats. */
internal fun cborWriter(encoder: Any): CborWriter? = (encoder as? DocumentEncoder)?.writer()
