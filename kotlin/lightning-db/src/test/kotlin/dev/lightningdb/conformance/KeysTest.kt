package dev.lightningdb.conformance

import dev.lightningdb.Change
import dev.lightningdb.Database
import dev.lightningdb.FeedStart
import dev.lightningdb.KeyType
import dev.lightningdb.ValueType
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.nio.file.Files
import java.nio.file.Path

class KeysTest {
    @Test
    fun `the key of each value is these bytes, and the bytes are read as that value`(): Unit = runBlocking {
        val file = Path.of(System.getProperty("lightning.conformance")).resolve("keys.json")
        val vectors = Json.parseToJsonElement(Files.readString(file)).jsonArray.map {
            read(it.jsonObject.getValue("value")) to bytes(it.jsonObject.getValue("key").jsonPrimitive.content)
        }
        assertTrue(vectors.size > 50)
        Database.forTests().use { db ->
            val keys = KeyType.named<Any?>("key")
            val table = db.table("keys", keys, ValueType.Long)
            vectors.forEachIndexed { at, (value, _) -> table.put(value, at.toLong()) }
            val commits = db.changes(FeedStart.Oldest).asFlow().filter { it.changes.isNotEmpty() }.take(vectors.size).toList()
            for ((commit, vector) in commits zip vectors) {
                assertArrayEquals(vector.second, (commit.changes.single() as Change.Put).key, shown(vector.first))
            }
            // Of values that are equal, the last one is there.
            val scanned = table.scan().toList()
            val places = scanned.map { it.second.toInt() }
            assertEquals(places.sorted(), places)
            for ((value, at) in scanned) {
                val expected = vectors[at.toInt()].first
                assertTrue(same(value, expected) || (value as Number).toDouble() == (expected as Number).toDouble(), "${shown(value)} for ${shown(expected)}")
            }
        }
    }
}
