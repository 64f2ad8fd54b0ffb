//! `lightning man`

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::roff::{Roff, bold, roman};

use crate::failure::{EXIT_CODES, Failure, Outcome};
use crate::output::Output;

/// Print the manual page, or write a page for each command into a folder
#[derive(Args, Debug)]
pub struct Man {
    /// The folder
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Man {
    pub fn run(self, output: &mut Output) -> Outcome {
        let Some(folder) = self.folder else {
            return output.raw(&main_page().map_err(Failure::file("the manual page"))?);
        };
        let failed = || Failure::file(format!("cannot write manual pages into {}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed())?;
        clap_mangen::generate_to(command(), &folder).map_err(failed())?;
        std::fs::write(folder.join("lightning.1"), main_page().map_err(failed())?).map_err(failed())
    }
}

/// The command line without the exit codes, which have a section of the page to themselves.
fn command() -> clap::Command {
    crate::cli::Cli::command().after_help(None::<&str>)
}

fn main_page() -> io::Result<Vec<u8>> {
    let man = clap_mangen::Man::new(command());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    exit_status().to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// The exit codes as manual pages tell them.
fn exit_status() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]);
    for line in EXIT_CODES.lines().filter_map(|line| line.trim_start().split_once("  ")) {
        let (code, meaning) = line;
        section.control("TP", []);
        section.text([bold(code)]).text([roman(meaning)]);
    }
    section
}
