package dev.lightningdb.conformance

import dev.lightningdb.Uuid
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonPrimitive
import java.math.BigInteger
import java.time.Instant

/** Reads a value in the form of the scripts. */
fun read(json: JsonElement): Any? = when (json) {
    is JsonNull -> null
    is JsonArray -> json.map(::read)
    is JsonObject -> {
        val mark = json.keys.singleOrNull()?.takeIf { it.startsWith("$") }
        if (mark == null) json.mapValues { read(it.value) } else marked(mark, json.getValue(mark))
    }
    is JsonPrimitive -> when {
        json.isString -> json.content
        json.content == "true" || json.content == "false" -> json.boolean
        json.content.any { it in ".eE" } -> json.content.toDouble()
        else -> json.content.toLong()
    }
}

private fun marked(mark: String, json: JsonElement): Any? = when (mark) {
    "\$integer" -> integer(BigInteger(json.jsonPrimitive.content))
    "\$float" -> when (val text = json.jsonPrimitive.content) {
        "inf" -> Double.POSITIVE_INFINITY
        "-inf" -> Double.NEGATIVE_INFINITY
        "nan" -> Double.NaN
        else -> text.toDouble()
    }
    "\$bytes" -> bytes(json.jsonPrimitive.content)
    "\$timestamp" -> {
        val micros = when (val read = read(json)) {
            is Long -> BigInteger.valueOf(read)
            else -> read as BigInteger
        }
        val (seconds, rest) = micros.divideAndRemainder(BigInteger.valueOf(1_000_000))
        Instant.ofEpochSecond(seconds.longValueExact(), rest.longValueExact() * 1000)
    }
    "\$uuid" -> Uuid.fromString(json.jsonPrimitive.content)
    "\$map" -> (json as JsonObject).mapValues { read(it.value) }
    "\$repeat" -> json.jsonArray[0].jsonPrimitive.content.repeat(json.jsonArray[1].jsonPrimitive.int)
    else -> error("$mark stands for no kind of value")
}

private fun integer(number: BigInteger): Any = if (number.bitLength() < 64) number.toLong() else number

fun bytes(digits: String): ByteArray = digits.chunked(2).map { it.toInt(16).toByte() }.toByteArray()

/** Whether two values are the same, whatever the order of fields. */
fun same(left: Any?, right: Any?): Boolean = when {
    left is ByteArray && right is ByteArray -> left.contentEquals(right)
    left is List<*> && right is List<*> -> left.size == right.size && left.indices.all { same(left[it], right[it]) }
    left is Map<*, *> && right is Map<*, *> -> left.keys == right.keys && left.keys.all { same(left[it], right[it]) }
    else -> left == right
}

/** For messages. */
fun shown(value: Any?): String = when (value) {
    is ByteArray -> "bytes " + value.joinToString("") { "%02x".format(it) }
    is List<*> -> value.joinToString(prefix = "[", postfix = "]", transform = ::shown)
    is Map<*, *> -> value.entries.joinToString(prefix = "{", postfix = "}") { "${it.key}: ${shown(it.value)}" }
    is Double -> "float $value"
    else -> value.toString()
}
