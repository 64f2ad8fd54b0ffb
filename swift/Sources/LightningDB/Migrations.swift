import Foundation
import LightningDBFFI
@preconcurrency import LightningDBGenerated

extension Database {
    /// Opens a collection by its schema, CBOR, when its documents are of that version.
    func open<Document>(_ name: String, schema: [UInt8], _ migrations: [Int: Migration]) throws -> DocumentCollection<Document> {
        try migrate(name, Data(schema), migrations)
        return DocumentCollection(name: name, native: try calling { try native.collectionBlocking(name: name, schema: Data(schema)) }, of: self)
    }

    private func migrate(_ name: String, _ schema: Data, _ migrations: [Int: Migration]) throws {
        while let step = try calling({ try native.nextMigration(name: name, schema: schema) }) {
            // What was finished is no longer there to be released.
            defer { lightning_release(step.handle) }
            // Opening the collection says what is missing.
            guard let migration = migrations[Int(step.version)] else { return }
            switch migration.kind {
            case .each(let change): try each(step, change)
            case .changes(let changes): try calling { try native.migrateBy(step: step.handle, changes: Data(changes)) }
            case .together(let change):
                lightning_release(step.handle)
                try together(name, schema, step.version, change)
            }
        }
    }

    private func each(_ step: LightningDBGenerated.Migration, _ change: (inout [String: Value]) throws -> Void) throws {
        var changed: [UInt8] = []
        try step.documents.forEachPacked { document in
            var reader = CBORReader(document)
            guard case .map(var fields) = try reader.value() else { throw reader.failure("a map was expected") }
            try change(&fields)
            changed.pack(CBORWriter.encode(.map(fields)))
        }
        try calling { try native.migrate(step: step.handle, documents: Data(changed)) }
    }

    private func together(
        _ name: String, _ schema: Data, _ version: UInt32, _ change: (BlockingCollection<Value>) throws -> Void
    ) throws {
        let older = try calling { try native.olderCollection(name: name, schema: schema) }
        let transaction = try calling { try native.begin(isolation: .serializable) }
        defer { transaction.end() }
        let scope = transaction.number()
        try change(DocumentCollection(name: name, native: older, of: self, scope: scope).blocking)
        try calling {
            try native.finishMigration(transaction: scope, collection: older.number(), version: version)
            try transaction.commitBlocking()
        }
    }
}
