//! Plots as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

pub struct Line {
    pub title: String,
    pub points: Vec<(f64, f64)>,
}

/// Draws the lines from zero up; `tick` writes a number of the x axis.
pub fn draw(
    file: &Path,
    title: &str,
    (x_title, y_title): (&str, &str),
    tick: impl Fn(f64) -> String,
    lines: &[Line],
) -> Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let left = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let right = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    let top = points().map(|p| p.1).fold(0.0, f64::max) * 1.1;

    let area = SVGBackend::new(file, (800, 420)).into_drawing_area();
    // plotters' errors borrow the drawing.
    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", file.display());
    area.fill(&WHITE).map_err(|e| failed(&e))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        // For half of the last label.
        .margin_right(36)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d(left..right, 0.0..top)
        .map_err(|e| failed(&e))?;
    chart
        .configure_mesh()
        .x_desc(x_title)
        .y_desc(y_title)
        .x_labels(8)
        .x_label_formatter(&|x| tick(*x))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(|e| failed(&e))?;
    for (number, line) in lines.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        chart
            .draw_series(
                LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)).point_size(3),
            )
            .map_err(|e| failed(&e))?
            .label(&line.title)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(|e| failed(&e))?;
    area.present().map_err(|e| failed(&e))
}
