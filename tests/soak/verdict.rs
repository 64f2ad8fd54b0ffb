//! Whether the end is like the plateau.

use std::fmt::Write;

use super::sample::Sample;

/// The end may be this much above the plateau.
const GROWTH_MAX: f64 = 0.05;

/// One figure, at the plateau and at the end: means of the second and of the last third of the samples, for merges make
/// every figure go up and down. The first third is for caches and files to fill.
pub struct Verdict {
    pub name: &'static str,
    pub unit: &'static str,
    pub plateau: f64,
    pub end: f64,
}

impl Verdict {
    pub fn growth(&self) -> f64 {
        if self.plateau > 0.0 { self.end / self.plateau - 1.0 } else { 0.0 }
    }

    pub fn holds(&self) -> bool {
        self.growth() <= GROWTH_MAX
    }
}

pub fn all(samples: &[Sample]) -> Vec<Verdict> {
    const MIB: f64 = (1 << 20) as f64;
    let of = |name, unit, figure: fn(&Sample) -> f64| {
        let third = samples.len() / 3;
        let mean = |samples: &[Sample]| samples.iter().map(figure).sum::<f64>() / samples.len().max(1) as f64;
        let plateau = samples.get(third..2 * third).unwrap_or_default();
        Verdict { name, unit, plateau: mean(plateau), end: mean(samples.get(2 * third..).unwrap_or_default()) }
    };
    vec![
        of("memory", "MiB", |sample| sample.memory_bytes as f64 / MIB),
        of("files", "MiB", |sample| sample.file_bytes as f64 / MIB),
        of("in use", "MiB", |sample| sample.used_bytes as f64 / MIB),
        of("handles", "", |sample| sample.handles as f64),
        of("threads", "", |sample| sample.threads as f64),
        // Against the machine's own speed in the same second, for it has other things to do as well.
        of("read", "yardsticks / 1000", |sample| 1000.0 * sample.read_us[0] / sample.yardstick_us),
        of("write", "yardsticks / 1000", |sample| 1000.0 * sample.write_us[0] / sample.yardstick_us),
    ]
}

pub fn report(samples: &[Sample], verdicts: &[Verdict]) -> String {
    let minutes = samples.last().map_or(0.0, |sample| sample.at.as_secs_f64() / 60.0);
    let mut text = format!("{minutes:.1} minutes; means of the second third and of the last\n");
    for verdict in verdicts {
        let outcome = if verdict.holds() { "steady" } else { "GROWS" };
        let _ = writeln!(
            text,
            "  {:<8} {:9.2} → {:9.2} {:<18} {:+6.1} %  {outcome}",
            verdict.name,
            verdict.plateau,
            verdict.end,
            verdict.unit,
            100.0 * verdict.growth()
        );
    }
    let steady = verdicts.iter().all(Verdict::holds);
    text.push_str(if steady { "PASS: nothing grew by more than 5 %\n" } else { "FAIL: something grew\n" });
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn samples(memory: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |second| Sample {
            at: Duration::from_secs(second),
            memory_bytes: memory(second),
            cache_bytes: 100,
            memtable_bytes: 100,
            file_bytes: 1000,
            log_bytes: 10,
            used_bytes: 900,
            handles: 7,
            threads: 3,
            read_us: [1.0, 2.0],
            write_us: [3.0, 9.0],
            yardstick_us: 500.0,
        };
        (0..300).map(sample).collect()
    }

    #[test]
    fn what_fills_up_and_stays_is_steady_and_what_creeps_is_not() {
        let steady = all(&samples(|second| (second * 1000).min(50_000) + second % 7));
        assert!(steady.iter().all(Verdict::holds));
        let creeping = all(&samples(|second| 50_000 + second * 40));
        let failing: Vec<_> = creeping.iter().filter(|verdict| !verdict.holds()).map(|verdict| verdict.name).collect();
        assert_eq!(failing, ["memory"]);
        assert!(report(&samples(|_| 1), &creeping).contains("FAIL"));
    }
}
