package dev.lightningdb

/** A UUID, as documents and keys hold it: not text, but 16 bytes. */
public typealias Uuid = java.util.UUID
