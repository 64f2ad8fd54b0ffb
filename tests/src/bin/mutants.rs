//! `mutants`: simulates each deliberate bug of the engine until it is caught, and the engine without any, which must not be.

use std::process::ExitCode;
use std::time::Instant;

use lightning_db::testing::mutant::Mutant;
use lightning_db_tests::mutants::{Trial, WAYS, Way, line, report, trial};

const USAGE: &str = "\
mutants [options] [NAME...]: simulates deliberate bugs of the engine until each is caught

  NAME          only these mutants
  --rounds N    give up after so many rounds of all ways to look (default 150)
  --way WAY     look in this way only
  --control N   rounds without any mutant, in which nothing may be found (default 12)
  --write FILE  write the table there, in Markdown
";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprint!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Panics of the engine are failures and reported as such.
    std::panic::set_hook(Box::new(|_| {}));
    let control = trial(None, &options.ways, options.control);
    if let Some(catch) = &control.caught {
        println!("without any mutant: {}, seed {}: {}", catch.way, catch.seed, catch.what);
        return ExitCode::FAILURE;
    }
    println!("without any mutant: nothing wrong in {} runs", control.stats.runs);
    let start = Instant::now();
    let mut trials: Vec<(Mutant, Trial)> = Vec::new();
    for mutant in Mutant::ALL.iter().filter(|mutant| options.wants(**mutant)) {
        let trial = trial(Some(*mutant), &options.ways, options.rounds);
        println!("{:5.1} s {}", start.elapsed().as_secs_f64(), line(*mutant, &trial));
        trials.push((*mutant, trial));
    }
    let survivors = trials.iter().filter(|(_, trial)| trial.caught.is_none()).count();
    println!("{} of {} caught", trials.len() - survivors, trials.len());
    if let Some(file) = &options.write
        && let Err(error) = std::fs::write(file, report(&control, &trials))
    {
        println!("{file}: {error}");
        return ExitCode::FAILURE;
    }
    if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Options {
    names: Vec<String>,
    rounds: u64,
    control: u64,
    ways: Vec<(Way, u64)>,
    write: Option<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { names: Vec::new(), rounds: 150, control: 12, ways: WAYS.to_vec(), write: None };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let number = |value: String| value.parse().map_err(|_| format!("'{value}' is not a number"));
            match arg.as_str() {
                "--rounds" => options.rounds = number(value()?)?,
                "--control" => options.control = number(value()?)?,
                "--write" => options.write = Some(value()?),
                "--way" => {
                    let name = value()?;
                    options.ways = WAYS.into_iter().filter(|(way, _)| way.to_string() == name).collect();
                    if options.ways.is_empty() {
                        return Err(format!("'{name}' is none of {}", WAYS.map(|(way, _)| way.to_string()).join("; ")));
                    }
                }
                name if Mutant::ALL.iter().any(|mutant| mutant.name() == name) => options.names.push(arg),
                _ => return Err(format!("unknown option or mutant '{arg}'")),
            }
        }
        Ok(options)
    }

    fn wants(&self, mutant: Mutant) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == mutant.name())
    }
}
