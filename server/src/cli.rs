//! The command line as a whole.

use clap::{Parser, Subcommand};

use crate::commands;
use crate::failure::{EXIT_CODES, Outcome};
use crate::output::Output;

/// Work with a Lightning DB database from the command line.
///
/// Keys are given as text, in the type the table was made with: numbers for number keys, text for string keys, text or
/// 0x and hexadecimal for bytes, JSON arrays for composite keys. Keys of documents are numbers, text (in quotes where it
/// looks like a number: '"7"'), uuid(…), timestamp(…) or JSON arrays. Use -- before keys or values that begin with a dash.
#[derive(Parser, Debug)]
#[command(name = "lightning", version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct Cli {
    /// Print JSON: one object on each line, errors too
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Get(commands::get::Get),
    Put(commands::put::Put),
    Insert(commands::insert::Insert),
    Delete(commands::delete::Delete),
    Scan(commands::scan::Scan),
    Count(commands::count::Count),
    Query(commands::query::QueryCommand),
    Explain(commands::explain::Explain),
    Watch(commands::watch::Watch),
    Tables(commands::tables::Tables),
    Collections(commands::collections::Collections),
    Index(commands::index::IndexCommand),
    Drop(commands::drop::DropCommand),
    Import(commands::import::Import),
    Export(commands::export::Export),
    Check(commands::check::Check),
    Repair(commands::repair::Repair),
    Health(commands::health::Health),
    Limits(commands::limits::Limits),
    Mode(commands::mode::Mode),
    Stats(commands::stats::Stats),
    Compact(commands::compact::Compact),
    Backup(commands::backup::Backup),
    Restore(commands::restore::Restore),
    Verify(commands::verify::Verify),
    Archive(commands::archive::ArchiveCommand),
    Snapshot(commands::snapshot::SnapshotCommand),
    Key(commands::key::KeyCommand),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
}

impl Cli {
    pub fn run(self) -> Outcome {
        let mut output = Output::new(self.json);
        let done = match self.command {
            Command::Get(command) => command.run(&mut output),
            Command::Put(command) => command.run(&mut output),
            Command::Insert(command) => command.run(&mut output),
            Command::Delete(command) => command.run(&mut output),
            Command::Scan(command) => command.run(&mut output),
            Command::Count(command) => command.run(&mut output),
            Command::Query(command) => command.run(&mut output),
            Command::Explain(command) => command.run(&mut output),
            Command::Watch(command) => command.run(&mut output),
            Command::Tables(command) => command.run(&mut output),
            Command::Collections(command) => command.run(&mut output),
            Command::Index(command) => command.run(&mut output),
            Command::Drop(command) => command.run(&mut output),
            Command::Import(command) => command.run(&mut output),
            Command::Export(command) => command.run(&mut output),
            Command::Check(command) => command.run(&mut output),
            Command::Repair(command) => command.run(&mut output),
            Command::Health(command) => command.run(&mut output),
            Command::Limits(command) => command.run(&mut output),
            Command::Mode(command) => command.run(&mut output),
            Command::Stats(command) => command.run(&mut output),
            Command::Compact(command) => command.run(&mut output),
            Command::Backup(command) => command.run(&mut output),
            Command::Restore(command) => command.run(&mut output),
            Command::Verify(command) => command.run(&mut output),
            Command::Archive(command) => command.run(&mut output),
            Command::Snapshot(command) => command.run(&mut output),
            Command::Key(command) => command.run(&mut output),
            Command::Completions(command) => command.run(&mut output),
            Command::Man(command) => command.run(&mut output),
        };
        // What was found before a failure is printed before it is told.
        output.flush().and(done)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
