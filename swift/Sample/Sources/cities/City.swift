import LightningDB

/// A place, as the command `lightning`, the web demo and this program keep it. Fields that are not named here stay out of sight; what this
/// program changes, it changes by `update`, which leaves them as they are.
struct City: Codable, Sendable {
    /// The country and the name: `FI/Tampere`.
    var id: String
    var name: String
    var country: String
    var population: Int
    var lat: Double?
    var lon: Double?

    static let id = Field(\City.id, "id"), name = Field(\City.name, "name"), country = Field(\City.country, "country")
    static let population = Field(\City.population, "population")
}

extension City: CustomStringConvertible {
    var description: String { "\(id), \(population) inhabitants" }
}
