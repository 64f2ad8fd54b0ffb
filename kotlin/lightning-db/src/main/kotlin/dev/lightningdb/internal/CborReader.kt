package dev.lightningdb.internal

import dev.lightningdb.Uuid
import java.math.BigInteger
import java.time.Instant

/** Reads CBOR (RFC 8949) of any form that a document may have, which the engine has seen to. */
internal class CborReader(val bytes: ByteArray, var at: Int = 0) {
    /** The names of the class that was read last. */
    var names: Names? = null

    private fun fail(what: String): Nothing = throw IllegalArgumentException("$what, at byte $at of a document")

    private fun unsigned(count: Int): Long {
        val from = at
        val to = from + count
        if (to > bytes.size) fail("it ends within an item")
        // The place is kept once: as a field it would be written for each byte.
        var number = 0L
        for (place in from until to) number = number shl 8 or (bytes[place].toLong() and 0xff)
        at = to
        return number
    }

    val nextMajor: Int get() = (bytes[at].toInt() and 0xff) ushr 5

    val isAtNull: Boolean get() = bytes[at] == NULL || bytes[at] == UNDEFINED

    /** The argument of the next head, whose major type was looked at. */
    fun argument(): Long = when (val low = bytes[at++].toInt() and 0x1f) {
        in 0..23 -> low.toLong()
        24 -> unsigned(1)
        25 -> unsigned(2)
        26 -> unsigned(4)
        27 -> unsigned(8)
        else -> fail("a length is not said")
    }

    private fun expect(major: Int, what: String): Long {
        if (at >= bytes.size || nextMajor != major) fail("$what was expected")
        return argument()
    }

    fun array(): Int = size(expect(4, "an array"))

    fun map(): Int = size(expect(5, "a map"))

    private fun size(length: Long): Int =
        if (length in 0..(bytes.size - at).toLong()) length.toInt() else fail("more is said to follow than there is")

    fun nothing() {
        if (!isAtNull) fail("null was expected")
        at++
    }

    fun bool(): Boolean = when (bytes[at++]) {
        TRUE -> true
        FALSE -> false
        else -> { at--; fail("true or false was expected") }
    }

    fun text(): String {
        val length = size(expect(3, "text"))
        at += length
        return String(bytes, at - length, length, Charsets.UTF_8)
    }

    /** Whether the next item is this name, as CBOR; then it is read. */
    fun takes(name: ByteArray): Boolean {
        val from = at
        if (from + name.size > bytes.size) return false
        for (i in name.indices) if (bytes[from + i] != name[i]) return false
        at = from + name.size
        return true
    }

    fun byteString(): ByteArray {
        val length = size(expect(2, "bytes"))
        at += length
        return bytes.copyOfRange(at - length, at)
    }

    /** An integer, or a float that is one: other languages write 3.0 for 3. */
    fun long(): Long = when (nextMajor) {
        0 -> argument().also { if (it < 0) fail("an integer does not fit") }
        1 -> argument().inv().also { if (it >= 0) fail("an integer does not fit") }
        6 -> when (val tagged = value()) {
            is Instant -> micros(tagged)
            else -> fail("an integer was expected")
        }
        else -> {
            val number = double()
            number.toLong().also { if (it.toDouble() != number) fail("$number is no integer") }
        }
    }

    fun double(): Double = when (nextMajor) {
        0 -> argument().let { if (it < 0) it.toULong().toDouble() else it.toDouble() }
        1 -> argument().let { if (it < 0) -1.0 - it.toULong().toDouble() else it.inv().toDouble() }
        else -> when (bytes[at++].toInt() and 0xff) {
            0xf9 -> half(unsigned(2).toInt())
            0xfa -> Float.fromBits(unsigned(4).toInt()).toDouble()
            0xfb -> Double.fromBits(unsigned(8))
            else -> { at--; fail("a number was expected") }
        }
    }

    /** Whatever comes next. */
    fun value(): Any? = when (nextMajor) {
        0 -> argument().let { if (it < 0) BigInteger(it.toULong().toString()) else it }
        1 -> argument().let { if (it < 0) BigInteger(it.toULong().toString()).not() else it.inv() }
        2 -> byteString()
        3 -> text()
        4 -> List(array()) { value() }
        5 -> buildMap { repeat(map()) { put(text(), value()) } }
        6 -> tagged(argument())
        else -> when (bytes[at]) {
            FALSE, TRUE -> bool()
            NULL, UNDEFINED -> { at++; null }
            else -> double()
        }
    }

    private fun tagged(tag: Long): Any? = when (tag) {
        CborWriter.TAG_SECONDS -> when (nextMajor) {
            0, 1 -> Instant.ofEpochSecond(long())
            else -> double().let { Instant.ofEpochSecond(Math.floor(it).toLong(), Math.round((it - Math.floor(it)) * 1e6) * 1000) }
        }
        CborWriter.TAG_EXTENDED_TIME -> {
            var (seconds, micros) = 0L to 0L
            repeat(map()) {
                when (long()) {
                    1L -> seconds = long()
                    -6L -> micros = long()
                    else -> skip()
                }
            }
            Instant.ofEpochSecond(seconds, micros * 1000)
        }
        CborWriter.TAG_UUID -> CborReader(byteString()).let { Uuid(it.unsigned(8), it.unsigned(8)) }
        else -> value()
    }

    fun instant(): Instant = if (nextMajor == 6) {
        value() as? Instant ?: fail("a time was expected")
    } else {
        long().let { Instant.ofEpochSecond(Math.floorDiv(it, MICROS), Math.floorMod(it, MICROS) * 1000) }
    }

    fun skip() {
        when (nextMajor) {
            0, 1 -> argument()
            // Where it is now is asked after the length has been read.
            2, 3 -> size(argument()).let { at += it }
            4 -> repeat(array()) { skip() }
            5 -> repeat(map()) { skip(); skip() }
            6 -> { argument(); skip() }
            else -> argument()
        }
    }

    companion object {
        private const val MICROS = 1_000_000L
        private const val FALSE = 0xf4.toByte()
        private const val TRUE = 0xf5.toByte()
        private const val NULL = 0xf6.toByte()
        private const val UNDEFINED = 0xf7.toByte()

        fun value(cbor: ByteArray): Any? = CborReader(cbor).value()

        private fun micros(time: Instant): Long = Math.addExact(Math.multiplyExact(time.epochSecond, MICROS), (time.nano / 1000).toLong())

        private fun half(bits: Int): Double {
            val sign = if (bits and 0x8000 != 0) -1.0 else 1.0
            val fraction = bits and 0x3ff
            return when (val exponent = bits ushr 10 and 0x1f) {
                0 -> sign * fraction * Math.scalb(1.0, -24)
                31 -> if (fraction == 0) sign * Double.POSITIVE_INFINITY else Double.NaN
                else -> sign * Math.scalb((fraction or 0x400).toDouble(), exponent - 25)
            }
        }
    }
}
