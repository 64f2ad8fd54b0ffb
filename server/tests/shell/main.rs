//! The `lightning` command as a user meets it: run as a process, judged by what it prints and its exit code.

#![allow(clippy::unwrap_used)]

mod collections;
mod docs;
mod encryption;
mod entries;
mod failures;
mod foreign;
mod import_documents;
mod import_export;
mod maintenance;
#[cfg(feature = "object-store")]
mod object_store;
mod repair;
#[cfg(feature = "object-store")]
mod s3;
mod safety;
mod support;
