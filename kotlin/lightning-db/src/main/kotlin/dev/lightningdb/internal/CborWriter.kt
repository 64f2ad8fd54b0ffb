package dev.lightningdb.internal

import dev.lightningdb.Uuid
import java.math.BigInteger
import java.time.Instant

/** Writes CBOR (RFC 8949) in its shortest form. */
internal class CborWriter(private val out: ByteBuffer) {
    constructor(capacity: Int = 128) : this(ByteBuffer(capacity))

    fun toByteArray(): ByteArray = out.toByteArray()

    fun head(major: Int, number: Long) {
        val type = major shl 5
        when {
            number in 0..23 -> out.byte(type or number.toInt())
            number in 0..0xff -> { out.byte(type or 24); out.bigEndian(number, 1) }
            number in 0..0xffff -> { out.byte(type or 25); out.bigEndian(number, 2) }
            number in 0..0xffff_ffffL -> { out.byte(type or 26); out.bigEndian(number, 4) }
            else -> { out.byte(type or 27); out.bigEndian(number, 8) }
        }
    }

    fun integer(number: Long) = if (number < 0) head(1, number.inv()) else head(0, number)

    fun integer(number: BigInteger) {
        val magnitude = if (number.signum() < 0) number.not() else number
        require(magnitude.bitLength() <= 64) { "the integer $number cannot be stored: integers are from -2^64 to 2^64 - 1" }
        head(if (number.signum() < 0) 1 else 0, magnitude.toLong())
    }

    fun float(number: Double) {
        val single = number.toFloat()
        if (single.toDouble() == number || number.isNaN()) {
            val half = halfOf(single)
            if (half >= 0) {
                out.byte(0xf9)
                out.bigEndian(half.toLong(), 2)
            } else {
                out.byte(0xfa)
                out.bigEndian(single.toRawBits().toLong(), 4)
            }
        } else {
            out.byte(0xfb)
            out.bigEndian(number.toRawBits(), 8)
        }
    }

    fun text(text: String) {
        val length = text.length
        // Most text is ASCII: no array for its bytes then.
        if (isAscii(text)) {
            head(3, length.toLong())
            out.ascii(text, length)
        } else {
            val bytes = text.encodeToByteArray()
            head(3, bytes.size.toLong())
            out.bytes(bytes)
        }
    }

    fun bytes(bytes: ByteArray) {
        head(2, bytes.size.toLong())
        out.bytes(bytes)
    }

    fun bool(value: Boolean) = out.byte(if (value) 0xf5 else 0xf4)

    fun nothing() = out.byte(0xf6)

    fun array(size: Int) = head(4, size.toLong())

    fun map(size: Int) = head(5, size.toLong())

    /** What is CBOR already. */
    fun raw(cbor: ByteArray) = out.bytes(cbor)

    fun timestamp(time: Instant) {
        if (time.nano == 0) {
            head(6, TAG_SECONDS)
            integer(time.epochSecond)
        } else {
            head(6, TAG_EXTENDED_TIME)
            map(2)
            integer(1)
            integer(time.epochSecond)
            integer(-6)
            integer((time.nano / 1000).toLong())
        }
    }

    fun uuid(uuid: Uuid) {
        head(6, TAG_UUID)
        head(2, 16)
        out.bigEndian(uuid.mostSignificantBits, 8)
        out.bigEndian(uuid.leastSignificantBits, 8)
    }

    /** Any value that a document or key may hold. */
    fun value(value: Any?) {
        when (value) {
            null, CborNull -> nothing()
            is Boolean -> bool(value)
            is Byte -> integer(value.toLong())
            is Short -> integer(value.toLong())
            is Int -> integer(value.toLong())
            is Long -> integer(value)
            is UInt -> integer(value.toLong())
            is ULong -> head(0, value.toLong())
            is BigInteger -> integer(value)
            is Float -> float(value.toDouble())
            is Double -> float(value)
            is String -> text(value)
            is ByteArray -> bytes(value)
            is Instant -> timestamp(value)
            is Uuid -> uuid(value)
            is Enum<*> -> text(value.name)
            is List<*> -> {
                array(value.size)
                value.forEach(::value)
            }
            is Map<*, *> -> {
                map(value.size)
                value.forEach { (name, element) ->
                    text(name as? String ?: throw IllegalArgumentException("the names of a map's fields are text, not $name"))
                    value(element)
                }
            }
            else -> throw IllegalArgumentException("a ${value::class.simpleName} is no value of a document: $value")
        }
    }

    companion object {
        const val TAG_SECONDS = 1L
        const val TAG_EXTENDED_TIME = 1001L
        const val TAG_UUID = 37L

        fun of(value: Any?): ByteArray = CborWriter(32).apply { value(value) }.toByteArray()
    }
}

private fun isAscii(text: String): Boolean {
    for (letter in text) if (letter.code >= 0x80) return false
    return true
}

/** Null where Kotlin asks for something: as a key of a table, or a part of one. */
internal object CborNull

/** The 16 bits that are this number exactly, or -1. */
private fun halfOf(number: Float): Int {
    val bits = number.toRawBits()
    val sign = bits ushr 16 and 0x8000
    val exponent = (bits ushr 23 and 0xff) - 127
    val fraction = bits and 0x7f_ffff
    return when {
        number.isNaN() -> 0x7e00
        exponent == 128 -> sign or 0x7c00
        number == 0f -> sign
        exponent in -14..15 && fraction and 0x1fff == 0 -> sign or ((exponent + 15) shl 10) or (fraction ushr 13)
        // Below 2^-14 the steps stay the same: 2^-24.
        exponent in -24..-15 -> {
            val whole = fraction or 0x80_0000
            val shift = -exponent - 1
            if (whole and ((1 shl shift) - 1) == 0) sign or (whole ushr shift) else -1
        }
        else -> -1
    }
}
