//! Medians, spreads and percentiles.

use std::fmt;

/// What several rounds gave: the median, and how far they lay apart.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let sorted = sorted(values);
        Self {
            median: percentile(&sorted, 50.0),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
        }
    }
}

/// `median (min–max)`, with three figures that count.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, min, max } = *self;
        write!(f, "{} ({}–{})", short(median), short(min), short(max))
    }
}

/// Three figures that count, and no fraction from a hundred on.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    assert!(!values.is_empty(), "a round measured nothing");
    values
}

/// Of sorted values: the mean of the two beside the middle for an even median,
/// the nearest rank for the others.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    if percent == 50.0 && sorted.len() % 2 == 0 {
        return f64::midpoint(sorted[sorted.len() / 2 - 1], sorted[sorted.len() / 2]);
    }
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}
