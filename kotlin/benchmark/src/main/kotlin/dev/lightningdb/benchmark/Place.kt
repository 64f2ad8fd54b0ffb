package dev.lightningdb.benchmark

import kotlinx.serialization.Serializable

/** A document: a place, made from its number alone, so that every answer can be checked. */
@Serializable
data class Place(
    val id: Long,
    /** Unique. */
    val code: String,
    val name: String,
    val country: String,
    /** With an index; two in a hundred places have the same. */
    val population: Long,
    val latitude: Double,
    val longitude: Double,
) {
    companion object {
        /** The place of a number; [version] changes its population. */
        fun of(id: Long, version: Long = 0): Place {
            val hash = mix(id)
            return Place(
                id = id,
                code = "C" + id.toString().padStart(7, '0'),
                name = NAMES[(hash ushr 8 and 15).toInt()] + " " + NAMES[(hash ushr 12 and 15).toInt()] + " " + id,
                country = COUNTRIES[(hash ushr 16 and 15).toInt()],
                population = (mix(id + version * 0x1_0000_0000L) and Long.MAX_VALUE) % POPULATION_MAX,
                latitude = (hash ushr 20 and 0xffff).toDouble() / 400 - 80,
                longitude = (hash ushr 40 and 0xffff).toDouble() / 200 - 160,
            )
        }

        const val POPULATION_MAX = 5_000_000L

        private val NAMES = listOf(
            "Stone", "River", "Green", "North", "South", "Upper", "Lower", "Saint", "Mill", "Ford", "Hill", "Field", "Lake", "Wood", "New", "Old",
        )
        private val COUNTRIES = listOf("AT", "BR", "CH", "DE", "ES", "FI", "GB", "HU", "IN", "JP", "KE", "LV", "MX", "NO", "PT", "SE")
    }
}

/** The same number for the same one, as if by chance (SplitMix64). */
fun mix(number: Long): Long {
    var z = number * -0x61c8864680b583ebL + 0x1234_5678L
    z = (z xor (z ushr 30)) * -0x40a7b892e31b1a47L
    z = (z xor (z ushr 27)) * -0x6b2fb644ecceee15L
    return z xor (z ushr 31)
}
