//! Whether two sets of times can be told apart.

/// The middle one.
pub fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    } else {
        sorted[middle]
    }
}

/// The Mann-Whitney U test, two-sided, by the normal approximation with the
/// corrections for ties and continuity: how likely sets as different as these
/// are if nothing tells them apart.
pub fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let (n, m) = (one.len() as f64, other.len() as f64);
    let mut all: Vec<(f64, bool)> = one
        .iter()
        .map(|time| (*time, true))
        .chain(other.iter().map(|time| (*time, false)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut rank) = (0.0, 0.0, 1.0);
    for same in all.chunk_by(|a, b| a.0 == b.0) {
        let count = same.len() as f64;
        let mean_rank = rank + (count - 1.0) / 2.0;
        rank_sum += mean_rank * same.iter().filter(|(_, is_one)| *is_one).count() as f64;
        ties += count.powi(3) - count;
        rank += count;
    }
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    if variance <= 0.0 {
        return 1.0;
    }
    (2.0 * upper_tail(distance / variance.sqrt())).min(1.0)
}

/// The chance that a standard normal variable is over `z`, which is not
/// negative; to 7 digits (Abramowitz and Stegun 7.1.26).
fn upper_tail(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let factors = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let sum = factors
        .iter()
        .rev()
        .fold(0.0, |sum, factor| sum * t + factor);
    0.5 * sum * t * (-x * x).exp()
}

/// Holm's correction for asking many times: the same order, larger values.
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut corrected = vec![0.0; values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        let factor = (values.len() - rank) as f64;
        largest = largest.max((values[index] * factor).min(1.0));
        corrected[index] = largest;
    }
    corrected
}

/// Against numbers that SciPy 1.17 gave (`mannwhitneyu`, `method="asymptotic"`).
#[test]
fn the_numbers_are_scipys() {
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    let ten: Vec<f64> = (1..=10).map(f64::from).collect();
    let shifted: Vec<f64> = ten.iter().map(|time| time + 3.5).collect();
    close(mann_whitney(&ten, &ten), 1.0);
    close(mann_whitney(&ten, &shifted), 0.031_209_0);
    close(
        mann_whitney(&[1.0, 2.0, 2.0, 3.0], &[2.0, 3.0, 3.0, 4.0, 5.0]),
        0.099_342_2,
    );
    assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
    close(median(&[3.0, 1.0, 2.0, 10.0]), 2.5);
}
