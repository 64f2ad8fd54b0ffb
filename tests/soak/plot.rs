//! The samples as a picture.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::sample::Sample;
use super::verdict::Verdict;

const SIZE: (u32, u32) = (1000, 1000);
const MIB: f64 = (1 << 20) as f64;

/// Names one line of a panel, and gives its height.
type Line = (&'static str, fn(&Sample) -> f64);

struct Panel {
    title: &'static str,
    lines: &'static [Line],
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "Memory of the process, MiB",
        lines: &[
            ("all", |sample| sample.memory_bytes as f64 / MIB),
            ("held", |sample| sample.held_bytes as f64 / MIB),
            ("nodes", |sample| sample.cache_bytes as f64 / MIB),
            ("memtables", |sample| sample.memtable_bytes as f64 / MIB),
        ],
    },
    Panel {
        title: "Files, MiB",
        lines: &[
            ("both files", |sample| sample.file_bytes as f64 / MIB),
            ("in use", |sample| sample.used_bytes as f64 / MIB),
            ("log", |sample| sample.log_bytes as f64 / MIB),
        ],
    },
    Panel {
        title: "Open files and threads",
        lines: &[("open files", |sample| sample.handles as f64), ("threads", |sample| sample.threads as f64)],
    },
    Panel {
        title: "Median latency, µs",
        lines: &[("read", |sample| sample.read_us[0]), ("write", |sample| sample.write_us[0])],
    },
];

/// Draws one panel for each kind of figure, over the minutes.
pub fn draw(path: &Path, samples: &[Sample], verdicts: &[Verdict]) -> Result<()> {
    // The library's errors borrow what it draws on.
    panels(path, samples, verdicts).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))
}

fn panels(path: &Path, samples: &[Sample], verdicts: &[Verdict]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let steady = if verdicts.iter().all(Verdict::holds) { "nothing grew" } else { "something grew" };
    let minutes = samples.last().map_or(0.0, minutes_of);
    let titled = area.titled(&format!("{minutes:.0} minutes of constant load: {steady}"), ("sans-serif", 24))?;
    for (panel, area) in PANELS.iter().zip(titled.split_evenly((PANELS.len(), 1))) {
        let top = panel.lines.iter().flat_map(|(_, figure)| samples.iter().map(figure)).fold(0.0, f64::max);
        let (across, up): (Range<f64>, Range<f64>) = (0.0..minutes.max(0.1), 0.0..(top * 1.1).max(0.1));
        let mut chart = ChartBuilder::on(&area)
            .caption(panel.title, ("sans-serif", 18))
            .margin(8)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(across, up)?;
        chart.configure_mesh().light_line_style(WHITE).x_desc("minutes").draw()?;
        for (number, (name, figure)) in panel.lines.iter().enumerate() {
            let colour = Palette99::pick(number).to_rgba();
            let points = samples.iter().map(|sample| (minutes_of(sample), figure(sample)));
            chart
                .draw_series(LineSeries::new(points, &colour))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
    }
    area.present()?;
    Ok(())
}

fn minutes_of(sample: &Sample) -> f64 {
    sample.at.as_secs_f64() / 60.0
}
