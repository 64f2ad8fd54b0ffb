package dev.lightningdb.internal

import dev.lightningdb.Uuid
import java.math.BigInteger
import java.time.Instant
import java.nio.ByteBuffer as Numbers

/** Reads CBOR (RFC 8949) of any form that a document may have, which the engine has seen to. */
internal class CborReader(val bytes: ByteArray, var at: Int = 0) {
    /** The same bytes; numbers are read at once, highest byte first. */
    private val numbers = Numbers.wrap(bytes)

    private fun fail(what: String): Nothing = throw IllegalArgumentException("$what, at byte $at of a document")

    val nextMajor: Int get() = (bytes[at].toInt() and 0xff) ushr 5

    val isAtBytes: Boolean get() = at < bytes.size && nextMajor == 2

    val isAtNull: Boolean get() = bytes[at] == NULL || bytes[at] == UNDEFINED

    /** The argument of the next head, whose major type was looked at. */
    fun argument(): Long {
        val from = at
        val low = bytes[from].toInt() and 0x1f
        if (low < 24) {
            at = from + 1
            return low.toLong()
        }
        val argument = when (low) {
            24 -> bytes[from + 1].toLong() and 0xff
            25 -> numbers.getShort(from + 1).toLong() and 0xffff
            26 -> numbers.getInt(from + 1).toLong() and 0xffff_ffffL
            27 -> numbers.getLong(from + 1)
            else -> fail("a length is not said")
        }
        at = from + 1 + (1 shl (low - 24))
        return argument
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
        val from = at
        at = from + length
        return String(bytes, from, length, Charsets.UTF_8)
    }

    /** Whether the next item is this name; then it is read. */
    fun takes(name: Name): Boolean {
        val from = at
        val to = from + name.size
        if (from + 8 > bytes.size) return takesLast(name)
        if ((numbers.getLong(from) xor name.head) and name.mask != 0L) return false
        if (name.size > 8) {
            if (to > bytes.size || numbers.getLong(to - 8) != name.tail) return false
            if (name.size > 16) for (i in 8 until name.size - 8) if (bytes[from + i] != name.cbor[i]) return false
        }
        at = to
        return true
    }

    /** As [takes], where fewer bytes are left than a number has. */
    private fun takesLast(name: Name): Boolean {
        val to = at + name.size
        if (to > bytes.size) return false
        for (i in 0 until name.size) if (bytes[at + i] != name.cbor[i]) return false
        at = to
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
        else -> {
            val from = at
            when (bytes[from].toInt() and 0xff) {
                0xf9 -> half(numbers.getShort(from + 1).toInt()).also { at = from + 3 }
                0xfa -> numbers.getFloat(from + 1).toDouble().also { at = from + 5 }
                0xfb -> numbers.getDouble(from + 1).also { at = from + 9 }
                else -> fail("a number was expected")
            }
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
        CborWriter.TAG_UUID -> Numbers.wrap(byteString()).let { Uuid(it.getLong(), it.getLong()) }
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

        /** A number of 16 bits: 1 for its sign, 5 for its exponent, 10 for its fraction. */
        private fun half(bits: Int): Double {
            val sign = (bits and 0x8000) shl 16
            val rest = bits and 0x7fff
            return when {
                // As one of 32 bits has its exponent and its fraction.
                rest in 0x400 until 0x7c00 -> Float.fromBits(sign or ((rest shl 13) + (112 shl 23)))
                rest < 0x400 -> Float.fromBits(sign or (rest * TINY).toRawBits())
                rest == 0x7c00 -> Float.fromBits(sign or Float.POSITIVE_INFINITY.toRawBits())
                else -> Float.NaN
            }.toDouble()
        }

        /** 2^-24. */
        private const val TINY = 5.9604645E-8f
    }
}
