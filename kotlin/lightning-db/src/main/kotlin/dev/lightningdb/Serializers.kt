package dev.lightningdb

import dev.lightningdb.internal.CborReader
import dev.lightningdb.internal.CborWriter
import dev.lightningdb.internal.cborReader
import dev.lightningdb.internal.cborWriter
import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerializationException
import kotlinx.serialization.descriptors.PrimitiveKind
import kotlinx.serialization.descriptors.PrimitiveSerialDescriptor
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder
import java.time.Instant

/** A time as the database has it, to the microsecond: `@Serializable(InstantSerializer::class) val at: Instant`. */
public object InstantSerializer : KSerializer<Instant> by Tagged("Instant", CborWriter::timestamp, CborReader::instant, Instant::parse)

/** A UUID as the database has it: `@Serializable(UuidSerializer::class) val id: UUID`. */
public object UuidSerializer : KSerializer<Uuid> by Tagged(
    "Uuid",
    CborWriter::uuid,
    { value() as? Uuid ?: throw SerializationException("a UUID was expected") },
    Uuid::fromString,
)

/** Whatever a document may hold: null, Boolean, Long, Double, String, ByteArray, Instant, UUID, List, Map. */
public object AnySerializer : KSerializer<Any?> by Tagged<Any?>("Any", CborWriter::value, CborReader::value, { it })

/** What the database has a kind of its own for; text in other formats. */
private class Tagged<T>(
    name: String,
    private val write: CborWriter.(T) -> Unit,
    private val read: CborReader.() -> T,
    private val parse: (String) -> T,
) : KSerializer<T> {
    override val descriptor: SerialDescriptor = PrimitiveSerialDescriptor("dev.lightningdb.$name", PrimitiveKind.STRING)

    override fun serialize(encoder: Encoder, value: T) {
        val writer = cborWriter(encoder)
        if (writer != null) writer.write(value) else encoder.encodeString(value.toString())
    }

    override fun deserialize(decoder: Decoder): T {
        val reader = cborReader(decoder)
        return if (reader != null) reader.read() else parse(decoder.decodeString())
    }
}
