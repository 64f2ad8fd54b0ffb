package dev.lightningdb.benchmark

import java.nio.file.Path
import java.sql.Connection
import java.sql.DriverManager
import java.sql.PreparedStatement
import java.sql.ResultSet

/** SQLite by sqlite-jdbc, as Room and SQLDelight use it: a column for each field, statements prepared once, WAL, `synchronous` FULL. */
class Sqlite : Peer {
    private lateinit var path: String
    private lateinit var connection: Connection
    private lateinit var put: PreparedStatement
    private lateinit var get: PreparedStatement
    private lateinit var getMany: PreparedStatement
    private lateinit var range: PreparedStatement
    private var asking: Asking? = null

    private fun connect() = DriverManager.getConnection("jdbc:sqlite:$path").also {
        it.createStatement().use { statement ->
            statement.execute("PRAGMA journal_mode = WAL")
            statement.execute("PRAGMA synchronous = FULL")
            statement.execute("PRAGMA cache_size = -${Peer.MEMORY_MB}000")
        }
    }

    override fun open(folder: Path) {
        path = folder.resolve("places.sqlite").toString()
        connection = connect()
        connection.createStatement().use {
            it.execute(
                "CREATE TABLE IF NOT EXISTS places (id INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL, " +
                    "country TEXT NOT NULL, population INTEGER NOT NULL, latitude REAL NOT NULL, longitude REAL NOT NULL)",
            )
            it.execute("CREATE UNIQUE INDEX IF NOT EXISTS places_code ON places (code)")
            it.execute("CREATE INDEX IF NOT EXISTS places_population ON places (population)")
        }
        put = connection.prepareStatement("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?, ?, ?)")
        get = connection.prepareStatement("SELECT * FROM places WHERE id = ?")
        getMany = connection.prepareStatement("SELECT * FROM places WHERE id IN (${List(MANY) { "?" }.joinToString()})")
        range = connection.prepareStatement(RANGE)
    }

    private fun bind(place: Place) {
        put.setLong(1, place.id)
        put.setString(2, place.code)
        put.setString(3, place.name)
        put.setString(4, place.country)
        put.setLong(5, place.population)
        put.setDouble(6, place.latitude)
        put.setDouble(7, place.longitude)
    }

    private fun row(row: ResultSet) = Place(
        row.getLong(1), row.getString(2), row.getString(3), row.getString(4), row.getLong(5), row.getDouble(6), row.getDouble(7),
    )

    private fun rows(statement: PreparedStatement): List<Place> =
        statement.executeQuery().use { rows -> buildList { while (rows.next()) add(row(rows)) } }

    override fun putAll(places: List<Place>) {
        connection.autoCommit = false
        for (place in places) {
            bind(place)
            put.addBatch()
        }
        put.executeBatch()
        connection.commit()
        connection.autoCommit = true
    }

    override fun put(place: Place) {
        bind(place)
        put.executeUpdate()
        asking?.committed()
    }

    override fun get(id: Long): Place? {
        get.setLong(1, id)
        return get.executeQuery().use { if (it.next()) row(it) else null }
    }

    override fun getMany(ids: List<Long>): List<Place?> {
        check(ids.size == MANY)
        ids.forEachIndexed { at, id -> getMany.setLong(at + 1, id) }
        val found = HashMap<Long, Place>(MANY * 2)
        getMany.executeQuery().use { while (it.next()) row(it).let { place -> found[place.id] = place } }
        return ids.map(found::get)
    }

    override fun range(population: Long, limit: Int): List<Place> {
        range.setLong(1, population)
        range.setInt(2, limit)
        return rows(range)
    }

    override fun scan(each: (Place) -> Unit) = connection.createStatement().use { statement ->
        statement.executeQuery("SELECT * FROM places ORDER BY id").use { while (it.next()) each(row(it)) }
    }

    override fun watch(population: Long, changed: (List<Place>) -> Unit): AutoCloseable {
        val own = connect()
        val statement = own.prepareStatement(RANGE)
        statement.setLong(1, population)
        statement.setInt(2, -1)
        val asking = Asking({ rows(statement) }, changed)
        this.asking = asking
        return AutoCloseable {
            this.asking = null
            asking.close()
            own.close()
        }
    }

    override fun close() = connection.close()

    private companion object {
        const val RANGE = "SELECT * FROM places WHERE population >= ? ORDER BY population LIMIT ?"
    }
}
