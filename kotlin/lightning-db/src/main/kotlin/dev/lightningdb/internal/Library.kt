package dev.lightningdb.internal

import java.io.IOException
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.nio.file.attribute.PosixFileAttributeView
import java.nio.file.attribute.PosixFilePermissions

/**
 * The library, which has two entries: [Native]'s, and that of the generated interface, which JNA calls. Both must be of one copy, or
 * the one would not know what the other has opened; so both are told the same path.
 */
internal object Library {
    private const val NAME = "lightning_db_mobile"

    private val loaded: Unit by lazy {
        if (System.getProperty("java.vm.vendor").orEmpty().contains("Android")) {
            System.loadLibrary(NAME)
        } else {
            val path = file().toAbsolutePath().toString()
            System.setProperty("uniffi.component.lightning_db.libraryOverride", path)
            System.load(path)
        }
    }

    fun load() = loaded

    /**
     * The library as a file, which the system wants: a file of its own for each content, so that processes with different versions do not
     * take it from each other. `NAME.digest` beside the resource says what the content is: to look at all of it would take longer than to
     * open a database.
     */
    private fun file(): Path {
        val file = System.mapLibraryName(NAME)
        val resource = "/dev/lightningdb/native/${system()}-${processor()}/$file"
        val about = Library::class.java.getResourceAsStream("$resource.digest")
            ?: throw UnsatisfiedLinkError("this JAR of Lightning DB has no library for ${system()} on ${processor()} ($resource)")
        val (digest, size) = about.use { it.readBytes().decodeToString() }.trim().split(' ')
        val folder = ownFolder("lightning-db-${System.getProperty("user.name").orEmpty().filter(Char::isLetterOrDigit)}-$digest")
        val library = folder.resolve(file)
        if (Files.exists(library) && Files.size(library) == size.toLong()) return library
        val own = Files.createTempFile(folder, NAME, ".part")
        Library::class.java.getResourceAsStream(resource)!!.use { Files.copy(it, own, StandardCopyOption.REPLACE_EXISTING) }
        Files.move(own, library, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE)
        return library
    }

    /** A folder among temporary files into which nobody else writes, or one that is new where that cannot be said. */
    private fun ownFolder(name: String): Path {
        val folder = Path.of(System.getProperty("java.io.tmpdir"), name)
        val own = PosixFilePermissions.fromString("rwx------")
        val isPosix = "posix" in folder.fileSystem.supportedFileAttributeViews()
        if (!isPosix) return Files.createDirectories(folder)
        try {
            Files.createDirectory(folder, PosixFilePermissions.asFileAttribute(own))
            return folder
        } catch (_: IOException) {
            val there = Files.getFileAttributeView(folder, PosixFileAttributeView::class.java).readAttributes()
            val me = Files.getOwner(Path.of(System.getProperty("user.home")))
            if (there.isDirectory && there.owner() == me && there.permissions() == own) return folder
            return Files.createTempDirectory(name).also { it.toFile().deleteOnExit() }
        }
    }

    private fun system(): String {
        val name = System.getProperty("os.name").lowercase()
        return when {
            name.startsWith("mac") -> "macos"
            name.startsWith("windows") -> "windows"
            else -> "linux"
        }
    }

    private fun processor(): String = when (val name = System.getProperty("os.arch").lowercase()) {
        "amd64", "x86_64" -> "x86_64"
        "aarch64", "arm64" -> "aarch64"
        else -> name
    }
}
