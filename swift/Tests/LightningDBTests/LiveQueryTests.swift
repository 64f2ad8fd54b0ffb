#if canImport(Observation)
    import Foundation
    import Observation
    import Testing

    @testable import LightningDB

    @Suite @MainActor struct LiveQueryTests {
        private func people(_ db: Database) async throws -> DocumentCollection<Person> {
            try await db.collection(Person.self, name: "people", key: Person.id, indexes: [.index(Person.age)])
        }

        /// Waits until what `read` reads changes.
        @available(macOS 14, iOS 17, tvOS 17, watchOS 10, *)
        private func change(of read: () -> Void) async {
            let (changes, changed) = AsyncStream<Void>.makeStream()
            withObservationTracking(read) { changed.yield() }
            for await _ in changes { break }
        }

        @available(macOS 14, iOS 17, tvOS 17, watchOS 10, *)
        @Test(.timeLimit(.minutes(1))) func rowsAreThoseOfNowAndWhoReadsThemIsTold() async throws {
            let db = try Database.inMemory()
            let people = try await people(db)
            let live = LiveQuery(people.query(Person.age, in: 18...))
            while !live.isLoaded { await change { _ = (live.rows, live.isLoaded) } }
            #expect(live.rows.isEmpty)
            for person in [Person(id: 1, name: "Ada", age: 36), Person(id: 2, name: "Kid", age: 3)] { try await people.put(person) }
            while live.rows.isEmpty { await change { _ = live.rows } }
            #expect(live.rows.map(\.id) == [1])
            // Another query in its place.
            live.query = people.query(Person.age, in: ...17)
            while live.rows.map(\.id) != [2] { await change { _ = live.rows } }
            #expect(live.error == nil)
        }

        @available(macOS 14, iOS 17, tvOS 17, watchOS 10, *)
        @Test(.timeLimit(.minutes(1))) func itsErrorIsSeen() async throws {
            let db = try Database.inMemory()
            let live = LiveQuery(try await people(db).query())
            while !live.isLoaded { await change { _ = (live.rows, live.isLoaded) } }
            try await db.close()
            while live.error == nil { await change { _ = live.error } }
            #expect((live.error as? LightningError)?.kind == .closed)
        }

        @available(macOS 14, iOS 17, tvOS 17, watchOS 10, *)
        @Test(.timeLimit(.minutes(1))) func itEndsWithWhoHoldsIt() async throws {
            let db = try Database.inMemory()
            let people = try await people(db)
            weak var gone: LiveQuery<Person>?
            do {
                let live = LiveQuery(people.query())
                while !live.isLoaded { await change { _ = (live.rows, live.isLoaded) } }
                gone = live
            }
            while gone != nil { await Task.yield() }
        }
    }
#endif
