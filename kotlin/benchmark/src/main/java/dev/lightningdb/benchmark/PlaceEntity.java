package dev.lightningdb.benchmark;

import io.objectbox.annotation.Entity;
import io.objectbox.annotation.Id;
import io.objectbox.annotation.Index;
import io.objectbox.annotation.Unique;

/** A place as ObjectBox wants its types. Its ids begin with 1, ours with 0: each is one more. */
@Entity
public class PlaceEntity {
    @Id(assignable = true)
    public long id;
    @Unique
    public String code;
    public String name;
    public String country;
    @Index
    public long population;
    public double latitude;
    public double longitude;

    public PlaceEntity() {
    }

    public PlaceEntity(
            long id, String code, String name, String country, long population, double latitude, double longitude) {
        this.id = id;
        this.code = code;
        this.name = name;
        this.country = country;
        this.population = population;
        this.latitude = latitude;
        this.longitude = longitude;
    }
}
