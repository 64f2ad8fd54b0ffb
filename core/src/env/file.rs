//! A database in two files of the operating system.
/// placeholder
#[derive(Debug)]
pub struct FileStorage;
