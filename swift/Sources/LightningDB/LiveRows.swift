#if canImport(SwiftUI) && canImport(Observation)
    import SwiftUI

    /// The documents that a query finds, as a property of a view, which is drawn again when they change.
    ///
    /// ```swift
    /// struct Adults: View {
    ///     @LiveRows var people: [Person]
    ///     init(_ people: DocumentCollection<Person>) { _people = LiveRows(people.query(Person.age, in: 18...)) }
    ///     var body: some View { List(people, id: \.id) { Text($0.name) } }
    /// }
    /// ```
    ///
    /// The projected value, `$people`, is the `LiveQuery` behind it, which has the error where there is one.
    @available(iOS 17, macOS 14, tvOS 17, watchOS 10, *)
    @MainActor @propertyWrapper
    public struct LiveRows<Document: Codable & Sendable>: DynamicProperty {
        @State private var live: LiveQuery<Document>

        /// Follows `query` while the view is there.
        public init(_ query: Query<Document>) { _live = State(initialValue: LiveQuery(query)) }

        /// The documents.
        public var wrappedValue: [Document] { live.rows }

        /// What follows the query.
        public var projectedValue: LiveQuery<Document> { live }
    }
#endif
