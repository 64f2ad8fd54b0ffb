package dev.lightningdb.sample

import dev.lightningdb.Database
import dev.lightningdb.LightningException
import dev.lightningdb.Options
import dev.lightningdb.stored
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.Serializable
import kotlin.system.exitProcess

/** A place of the world, as the web demo and `lightning import` store it. */
@Serializable
data class Place(
    val id: String,
    val name: String,
    val country: String,
    val population: Long = 0,
    val lat: Double,
    val lon: Double,
)

@Serializable
data class Named(val name: String, val population: Long = 0)

private const val USAGE = """places DATABASE COMMAND, where the database is one that 'lightning import DATABASE cities …' or another program wrote:
  get ID               one place, as 'FI/Tampere'
  find PREFIX          places whose names begin so, whatever the case
  largest COUNTRY      the ten with the most people of a country
  grow ID PEOPLE       more people for a place, in a transaction
  add ID NAME PEOPLE   a new place, at 0, 0
  watch COUNTRY TIMES  how many people live in the largest ten now, and after each change"""

fun main(arguments: Array<String>) {
    if (arguments.size < 3) fail(USAGE)
    try {
        runBlocking {
            Database.open(arguments[0], Options(create = false)).use { db -> run(db, arguments[1], arguments.drop(2)) }
        }
    } catch (error: LightningException) {
        fail(error.message.orEmpty())
    }
}

private suspend fun run(db: Database, command: String, rest: List<String>) {
    // Its schema is in the file, so nothing is said of it here.
    val places = db.existingCollection<Place>("cities")
    fun largest(country: String) = places.where(Place::country).eq(country).orderBy(Place::population, descending = true).limit(10)
    when (command) {
        "get" -> places.get(rest[0])?.let(::show) ?: fail("there is no place ${rest[0]}")
        "find" -> places.where(Place::name.stored.startsWith(rest[0], fold = true)).limit(20).asFlow().collect(::show)
        "largest" -> largest(rest[0]).select<Named>().toList().forEach { println("%12d  %s".format(it.population, it.name)) }
        "grow" -> {
            val grown = db.transaction { tx ->
                val place = tx.collection(places).get(rest[0]) ?: return@transaction null
                place.copy(population = place.population + rest[1].toLong()).also { tx.collection(places).update(rest[0]) { set(Place::population, it.population) } }
            }
            grown?.let(::show) ?: fail("there is no place ${rest[0]}")
        }
        "add" -> places.insert(Place(rest[0], rest[1], rest[0].substringBefore('/'), rest[2].toLong(), 0.0, 0.0))
        "watch" -> largest(rest[0]).watch().take(rest[1].toInt()).collect { rows -> println(rows.sumOf(Place::population)) }
        else -> fail(USAGE)
    }
}

private fun show(place: Place) = println("%s (%s): %,d people at %.3f, %.3f".format(place.name, place.country, place.population, place.lat, place.lon))

private fun fail(what: String): Nothing {
    System.err.println(what)
    exitProcess(1)
}
