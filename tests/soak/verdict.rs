//! Whether the end is like the plateau.

use std::fmt::Write;

use super::sample::Sample;

/// The end may be this much above the plateau.
const GROWTH_MAX: f64 = 0.05;

/// One figure, at the plateau and at the end: of the second and of the last third of the samples. The first third is for
/// caches and files to fill.
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
    let third = samples.len() / 3;
    let plateau = samples.get(third..2 * third).unwrap_or_default();
    let end = samples.get(2 * third..).unwrap_or_default();
    // Merges make every figure go up and down: means.
    let size = |name, unit, figure: fn(&Sample) -> f64| {
        let mean = |samples: &[Sample]| samples.iter().map(figure).sum::<f64>() / samples.len().max(1) as f64;
        Verdict { name, unit, plateau: mean(plateau), end: mean(end) }
    };
    // Against the machine's own speed, which may be another an hour later.
    let latency = |name, figure: fn(&Sample) -> f64| {
        let relative =
            |samples: &[Sample]| 1000.0 * undisturbed(samples, figure) / undisturbed(samples, |s| s.yardstick_us);
        Verdict { name, unit: "yardsticks / 1000", plateau: relative(plateau), end: relative(end) }
    };
    vec![
        size("memory", "MiB", |sample| sample.memory_bytes as f64 / MIB),
        size("held", "MiB", |sample| sample.held_bytes as f64 / MIB),
        size("files", "MiB", |sample| sample.file_bytes as f64 / MIB),
        size("in use", "MiB", |sample| sample.used_bytes as f64 / MIB),
        size("handles", "", |sample| sample.handles as f64),
        size("threads", "", |sample| sample.threads as f64),
        latency("read", |sample| sample.read_us[0]),
        latency("write", |sample| sample.write_us[0]),
    ]
}

/// A time as it is while the machine does nothing else: the 10th percentile of what the seconds say.
///
/// Other programs can only add to a time, never take from it, and they come and go, so that a mean tells more of them than
/// of the database; what has become slower here is slower in the quietest seconds too. The time and the yardstick have
/// each their own quiet seconds: a quotient second by second would be low where only the yardstick was disturbed.
fn undisturbed(samples: &[Sample], time: impl Fn(&Sample) -> f64) -> f64 {
    let mut times: Vec<f64> = samples.iter().map(time).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 10).copied().unwrap_or_default()
}

pub fn report(samples: &[Sample], verdicts: &[Verdict]) -> String {
    let minutes = samples.last().map_or(0.0, |sample| sample.at.as_secs_f64() / 60.0);
    let mut text =
        format!("{minutes:.1} minutes; the second third and the last: means, of latencies the 10th percentile\n");
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
            held_bytes: memory(second),
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

    fn failing(samples: &[Sample]) -> Vec<&'static str> {
        all(samples).iter().filter(|verdict| !verdict.holds()).map(|verdict| verdict.name).collect()
    }

    #[test]
    fn what_fills_up_and_stays_is_steady_and_what_creeps_is_not() {
        assert!(failing(&samples(|second| (second * 1000).min(50_000) + second % 7)).is_empty());
        let creeping = samples(|second| 50_000 + second * 40);
        assert_eq!(failing(&creeping), ["memory", "held"]);
        assert!(report(&creeping, &all(&creeping)).contains("FAIL"));
    }

    #[test]
    fn other_programs_in_a_fifth_of_the_last_third_are_not_growth_and_a_shift_is() {
        let mut noisy = samples(|_| 50_000);
        for sample in noisy.iter_mut().skip(200).step_by(5) {
            (sample.read_us[0], sample.write_us[0]) = (4.0, 12.0);
        }
        assert!(failing(&noisy).is_empty());

        let mut shifted = noisy;
        shifted.iter_mut().skip(200).for_each(|sample| sample.read_us[0] *= 1.06);
        assert_eq!(failing(&shifted), ["read"]);
    }

    #[test]
    fn a_slower_machine_is_not_growth_and_a_disturbed_yardstick_hides_none() {
        let mut slower = samples(|_| 50_000);
        for sample in slower.iter_mut().skip(200) {
            (sample.read_us[0], sample.write_us[0], sample.yardstick_us) = (1.5, 4.5, 750.0);
        }
        assert!(failing(&slower).is_empty());

        let mut hidden = samples(|_| 50_000);
        hidden.iter_mut().skip(200).for_each(|sample| sample.write_us[0] *= 1.1);
        hidden.iter_mut().skip(200).step_by(2).for_each(|sample| sample.yardstick_us *= 2.0);
        assert_eq!(failing(&hidden), ["write"]);
    }
}
