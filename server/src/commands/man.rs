//! `lightning man`

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::failure::{Failure, Outcome};
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
        let command = crate::cli::Cli::command();
        let Some(folder) = self.folder else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).map_err(Failure::file("the manual page"))?;
            return output.raw(&page);
        };
        let failed = || Failure::file(format!("cannot write manual pages into {}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed())?;
        clap_mangen::generate_to(command, &folder).map_err(failed())
    }
}
