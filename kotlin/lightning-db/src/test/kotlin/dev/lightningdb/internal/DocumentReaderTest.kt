package dev.lightningdb.internal

import dev.lightningdb.InstantSerializer
import kotlinx.serialization.DeserializationStrategy
import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import kotlinx.serialization.builtins.ListSerializer
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.descriptors.buildClassSerialDescriptor
import kotlinx.serialization.descriptors.element
import kotlinx.serialization.encoding.CompositeDecoder
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder
import kotlinx.serialization.encoding.decodeStructure
import kotlinx.serialization.encoding.encodeStructure
import kotlinx.serialization.serializer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import java.time.Instant

@Serializable
private data class Point(val x: Int, val y: Double, @SerialName("the name on the map, which is long") val label: String? = null)

@JvmInline
@Serializable
private value class Metres(val number: Long)

@Serializable
private enum class Mood { Calm, Merry }

@Serializable
private sealed class Shape {
    @Serializable
    @SerialName("circle")
    data class Circle(val centre: Point, val radius: Metres) : Shape()

    @Serializable
    @SerialName("path")
    data class Path(val points: List<Point>, val named: Map<String, Point>) : Shape()

    @Serializable
    @SerialName("none")
    data object None : Shape()
}

@Serializable
private data class Everything(
    val text: String,
    val mood: Mood,
    val flag: Boolean?,
    val letter: Char,
    val small: Short,
    val tiny: Byte,
    val single: Float,
    val height: Metres?,
    @Serializable(InstantSerializer::class) val at: Instant,
    val shapes: List<Shape>,
    val pair: Pair<Int, String>,
    val below: Everything? = null,
)

/** Written by hand; asks for the index of each, and does not mind a few. */
private object ByHand : KSerializer<Map<String, Int>> {
    override val descriptor: SerialDescriptor = buildClassSerialDescriptor("ByHand") {
        element<Int>("a")
        element<Int>("b")
    }

    override fun serialize(encoder: Encoder, value: Map<String, Int>) = encoder.encodeStructure(descriptor) {
        encodeIntElement(descriptor, 0, value.getValue("a"))
        encodeIntElement(descriptor, 1, value.getValue("b"))
    }

    override fun deserialize(decoder: Decoder): Map<String, Int> = decoder.decodeStructure(descriptor) {
        // Whoever may read in order need not.
        decodeSequentially()
        buildMap {
            while (true) {
                val index = decodeElementIndex(descriptor)
                if (index == CompositeDecoder.DECODE_DONE) break
                put(descriptor.getElementName(index), decodeIntElement(descriptor, index))
            }
        }
    }
}

/** Gives something else for what it cannot read, whatever the reason. */
private object Forgiving : KSerializer<Point> {
    override val descriptor: SerialDescriptor = Point.serializer().descriptor
    override fun serialize(encoder: Encoder, value: Point) = encoder.encodeSerializableValue(Point.serializer(), value)
    override fun deserialize(decoder: Decoder): Point = runCatching { Point.serializer().deserialize(decoder) }.getOrDefault(Point(-1, -1.0))
}

class DocumentReaderTest {
    private val point = Point(1, 2.5, "here")
    private val everything = Everything(
        "ä text", Mood.Merry, null, 'z', -300, -3, 1.5f, Metres(70_000), Instant.ofEpochSecond(1_700_000_000, 5000),
        listOf(Shape.Circle(point, Metres(3)), Shape.None, Shape.Path(listOf(point, Point(-70_000, 0.1)), mapOf("a" to point))), 7 to "seven",
    )

    /** What one test has taught of a class the next one does not know. */
    @BeforeEach
    fun forget() {
        for (descriptor in listOf(Point.serializer(), Everything.serializer(), Shape.serializer(), ByHand).map { it.descriptor }) {
            val names = Names.of(descriptor)
            while (!names.areOrdered()) Unit
        }
    }

    private fun <T> read(serializer: DeserializationStrategy<T>, cbor: ByteArray): T {
        forget()
        return DocumentFormat.decode(serializer, cbor)
    }

    private fun map(vararg fields: Pair<String, Any?>): ByteArray = CborWriter.of(linkedMapOf(*fields))

    private val inOrder = map("x" to 1, "y" to 2.5, "the name on the map, which is long" to "here")
    private val inAnother = map("x" to 1, "the name on the map, which is long" to "here", "y" to 2.5)

    private fun <T> readAll(serializer: DeserializationStrategy<T>, vararg documents: ByteArray?): List<T?> {
        val packed = PackedWriter()
        for (document in documents) if (document != null) packed.bytes(document) else packed.out.littleEndian(-1)
        return buildList { DocumentFormat.unpack(serializer, packed.toByteArray(), 0, ::add) }
    }

    private fun backwards(map: Map<String, Any?>): Map<String, Any?> = map.entries.reversed().associate { (name, value) -> name to value }

    /** The same with the fields of each class backwards, or as [change] says. What is of several classes must say which one before its value. */
    private fun changed(cbor: ByteArray, change: (Map<String, Any?>) -> Map<String, Any?> = { if ("type" in it) it else backwards(it) }): ByteArray {
        fun of(value: Any?): Any? = when (value) {
            is Map<*, *> -> @Suppress("UNCHECKED_CAST") change(value.mapValues { of(it.value) } as Map<String, Any?>)
            is List<*> -> value.map(::of)
            else -> value
        }
        return CborWriter.of(of(CborReader.value(cbor)))
    }

    @Test
    fun `what is written is read, of every kind and at every depth`() {
        val nested = everything.copy(below = everything.copy(below = everything))
        val cbor = DocumentFormat.encode(serializer<Everything>(), nested)
        assertEquals(nested, DocumentFormat.decode(serializer<Everything>(), cbor))
        // Many of them: a list's class is asked again whether its documents are in order.
        val many = List(1500) { nested }
        assertEquals(many, DocumentFormat.decode(serializer<List<Everything>>(), DocumentFormat.encode(serializer<List<Everything>>(), many)))
    }

    @Test
    fun `fields in another order are found, at every depth, however many`() {
        val nested = everything.copy(below = everything)
        val cbor = DocumentFormat.encode(serializer<Everything>(), nested)
        assertEquals(nested, DocumentFormat.decode(serializer<Everything>(), changed(cbor)))
        assertEquals(point, DocumentFormat.decode(serializer<Point>(), inAnother))
        // More than are read by their names before the order is tried again, within one document.
        val many = List(5000) { point.copy(x = it) }
        assertEquals(many, DocumentFormat.decode(serializer<List<Point>>(), changed(DocumentFormat.encode(serializer<List<Point>>(), many))))
        assertEquals(List(5000) { point }, readAll(serializer<Point>(), *Array(5000) { if (it % 3 == 0) inAnother else inOrder }))
    }

    @Test
    fun `fields that are missing, unknown or called otherwise`() {
        assertEquals(Point(1, 2.5), read(serializer<Point>(), map("x" to 1, "y" to 2.5)))
        // As many as the class has, but not those.
        assertEquals(Point(1, 2.5), read(serializer<Point>(), map("x" to 1, "y" to 2.5, "z" to listOf(1, mapOf("x" to 5)))))
        assertEquals(Point(1, 2.5), read(serializer<Point>(), map("z" to "?", "x" to 1, "y" to 2.5)))
        assertEquals(Point(1, 2.5, "here"), read(serializer<Point>(), map("z" to "?", "x" to 1, "y" to 2.5, "the name on the map, which is long" to "here")))
        val more = map("x" to 1, "y" to 2.5, "the name on the map, which is long" to "here", "z" to 1)
        assertEquals(List(2) { point }, read(serializer<List<Point>>(), CborWriter.of(List(2) { CborReader.value(more) })))
        // Names that are alike but for their end, or their middle.
        assertEquals(Point(1, 2.5), read(serializer<Point>(), map("x" to 1, "y" to 2.5, "the name on the map, which is lone" to "here")))
        assertEquals(Point(1, 2.5), read(serializer<Point>(), map("x" to 1, "y" to 2.5, "the name on the max, which is long" to "here")))
        assertThrows(SerializationException::class.java) { read(serializer<Point>(), map("x" to 1, "yy" to 2.5, "y2" to "here")) }
        // What is wrong is said of the document as it is, not of how it was read.
        val wrong = assertThrows(IllegalArgumentException::class.java) { read(serializer<Point>(), map("y" to 2.5, "x" to "text", "z" to 1)) }
        assertTrue("a number was expected" in wrong.message!!, wrong.message)
    }

    @Test
    fun `documents in another order stand between others`() {
        val other = map("a" to 1)
        repeat(3) {
            assertEquals(
                listOf(point, null, point, point, Point(1, 2.5), point),
                readAll(serializer<Point>(), inOrder, null, inAnother, inOrder, map("y" to 2.5, "x" to 1), inAnother),
            )
        }
        assertThrows(SerializationException::class.java) { readAll(serializer<Point>(), inOrder, other, inOrder) }
        // The last field of the last document, with fewer bytes behind it than a number has.
        assertEquals(listOf(mapOf("a" to 1, "b" to 2)), readAll(ByHand, map("a" to 1, "b" to 2)))
    }

    @Test
    fun `a document within one is in another order, in the middle of a chunk`() {
        val good = DocumentFormat.encode(serializer<Everything>(), everything)
        val odd = changed(good) { if ("y" in it) backwards(it) else it }
        assertEquals(List(5) { everything }, readAll(serializer<Everything>(), good, odd, good, odd, good))
    }

    @Test
    fun `serializers by hand ask as they like`() {
        for (cbor in listOf(map("a" to 1, "b" to 2), map("b" to 2, "a" to 1), map("c" to 3, "b" to 2, "a" to 1))) {
            assertEquals(mapOf("a" to 1, "b" to 2), DocumentFormat.decode(ByHand, cbor))
        }
    }

    @Test
    fun `who catches all errors does not see that an order was wrong`() {
        assertEquals(listOf(point, point, Point(-1, -1.0), point), readAll(Forgiving, inOrder, inAnother, map("x" to 1), inOrder))
        val points = CborWriter.of(listOf(inOrder, inAnother, inOrder).map(CborReader::value))
        forget()
        assertEquals(List(3) { point }, DocumentFormat.decode(ListSerializer(Forgiving), points))
    }

    @Test
    fun `numbers have every form that other languages write`() {
        fun half(bits: Int) = DocumentFormat.decode(serializer<Double>(), byteArrayOf(0xf9.toByte(), (bits ushr 8).toByte(), bits.toByte()))
        for (bits in 0..0xffff) {
            // As RFC 8949 gives it, in its appendix D.
            val (exponent, fraction) = (bits ushr 10 and 0x1f) to (bits and 0x3ff)
            val size = when (exponent) {
                0 -> Math.scalb(fraction.toDouble(), -24)
                31 -> if (fraction == 0) Double.POSITIVE_INFINITY else Double.NaN
                else -> Math.scalb((fraction + 1024).toDouble(), exponent - 25)
            }
            assertEquals(if (bits and 0x8000 == 0) size else -size, half(bits), "$bits")
        }
        for (number in listOf(0L, 23, 24, 255, 256, 65_535, 65_536, 0xffff_ffff, 0x1_0000_0000, Long.MAX_VALUE)) {
            for (signed in listOf(number, number.inv())) assertEquals(signed, DocumentFormat.decode(serializer<Long>(), CborWriter.of(signed)))
            assertEquals(number.toDouble(), DocumentFormat.decode(serializer<Double>(), CborWriter.of(number)))
        }
        assertEquals(3L, DocumentFormat.decode(serializer<Long>(), CborWriter.of(3.0)))
        for (number in listOf(0.1, 1e300, 1.5e-8)) assertEquals(number, DocumentFormat.decode(serializer<Double>(), CborWriter.of(number)))
    }

    @Test
    fun `a document that ends too early is no document`() {
        val cbor = DocumentFormat.encode(serializer<Everything>(), everything)
        for (length in 0 until cbor.size) {
            assertThrows(IllegalArgumentException::class.java, { DocumentFormat.decode(serializer<Everything>(), cbor.copyOf(length)) }, "$length")
        }
    }
}
