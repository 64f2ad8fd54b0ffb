#if canImport(Observation)
    import Foundation
    import Observation

    /// The documents that a query finds, kept as they are now: views that read `rows` are drawn again when these change.
    ///
    /// ```swift
    /// let adults = LiveQuery(people.query(Person.age, in: 18...))
    /// List(adults.rows, id: \.id) { Text($0.name) }
    /// ```
    ///
    /// It follows the query from when `rows` is first read until it is gone itself. Where the query can no longer be answered, `error`
    /// says why, and `rows` are the last that were found; `restart` begins anew.
    @available(iOS 17, macOS 14, tvOS 17, watchOS 10, *)
    @MainActor @Observable
    public final class LiveQuery<Document: Codable & Sendable> {
        /// What it follows. Another query is followed in its place.
        public var query: Query<Document> {
            didSet { if following != nil { restart() } }
        }

        /// Why it has ended, if it has.
        public private(set) var error: (any Error)?
        /// Whether `rows` were found, even if there are none.
        public private(set) var isLoaded = false

        private var found: [Document] = []
        @ObservationIgnored private var following: Task<Void, Never>?

        /// Follows `query`, from when its rows are first asked for.
        public init(_ query: Query<Document>) { self.query = query }

        deinit { following?.cancel() }

        /// The documents that the query finds.
        public var rows: [Document] {
            if following == nil { restart() }
            return found
        }

        /// Begins anew: after an error, say.
        public func restart() {
            following?.cancel()
            following = Task { [weak self, query] in
                do {
                    for try await rows in query.updates {
                        guard let self, !Task.isCancelled else { return }
                        self.found = rows
                        self.isLoaded = true
                        self.error = nil
                    }
                } catch {
                    guard !Task.isCancelled else { return }
                    self?.error = error
                }
            }
        }
    }
#endif
