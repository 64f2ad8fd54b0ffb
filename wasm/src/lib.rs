//! Lightning DB in the browser and in JavaScript runtimes.
